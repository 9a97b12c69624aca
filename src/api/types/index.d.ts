/**
 * A schema as [Standard Schema](https://standardschema.dev) defines it; zod, valibot and arktype make such. `T` is what it accepts.
 */
export interface StandardSchema<T = any> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult | Promise<SchemaResult>
    readonly types?: { readonly input: T; readonly output: unknown } | undefined
  }
}

/** What a schema says of an index: it passes if there are no issues. */
export type SchemaResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** What is wrong with an index, and at which place in it. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * What parses and prints an index that is no plain JSON: see {@link UpdateOptions.codec}. `@pipeline/atomic/jsonc`, `/yaml`, `/toml` and
 * `/devalue` have ready ones.
 */
export interface IndexCodec {
  /** What a text says; without a byte order mark. It throws for one that is broken. */
  parse(text: string): unknown
  /** A text that says `value`. `previous` is the text that it replaces, which `parse` has accepted; `undefined` for a new file. */
  stringify(value: any, previous: string | undefined): string
  /**
   * Whether the values are those of JSON. Then what JSON would lose is refused as without a codec: a `Map`, a `Set`, a `Promise`, an iterator, also deep
   * in what a function returns.
   *
   * @default false
   */
  readonly isPlain?: boolean
  /** The end of the names of such files, such as `'.yaml'`: for programs that choose a codec by a name. This package does not look at it. */
  readonly extension?: string
}

/**
 * Changes a JSON file that begins as an empty object, without losing an update. State a type to have more than `any` in
 * it: `atomicIndexUpdate<Record<string, Post>>(…)`.
 *
 * `fn` gets the parsed file, or a copy of `initial` if there is no file, and returns the next index. It may be async,
 * and it may run more than once for one call, so it must have no side effects. The whole contract is documented at
 * the signature of {@link atomicIndexUpdate} without `initial`.
 */
export declare function atomicIndexUpdate(
  path: PathLike,
  fn: (index: Record<string, any>) => object | PromiseLike<object>,
  options: UpdateOptions & { initial: Record<string, never>; schema?: undefined },
): Promise<UpdateResult>

/**
 * Changes a JSON file that begins as an empty array, without losing an update. State a type to have more than `any` in
 * it: `atomicIndexUpdate<Post[]>(…)`.
 *
 * `fn` gets the parsed file, or a copy of `initial` if there is no file, and returns the next index. It may be async,
 * and it may run more than once for one call, so it must have no side effects. The whole contract is documented at
 * the signature of {@link atomicIndexUpdate} without `initial`.
 */
export declare function atomicIndexUpdate(
  path: PathLike,
  fn: (index: any[], run: UpdateRun) => any[] | PromiseLike<any[]>,
  options: UpdateOptions & { initial: never[]; schema?: undefined },
): Promise<UpdateResult>

/**
 * Changes a JSON file that begins as `initial`, without losing an update.
 *
 * `fn` gets the parsed file, or a copy of `initial` if there is no file, and returns the next index. It may be async,
 * and it may run more than once for one call, so it must have no side effects. The whole contract is documented at
 * the signature of {@link atomicIndexUpdate} without `initial`.
 */
export declare function atomicIndexUpdate<T extends object = any>(
  path: PathLike,
  fn: (index: T, run: UpdateRun) => T | PromiseLike<T>,
  options: UpdateOptions<T> & { initial: T },
): Promise<UpdateResult>

/**
 * Reads and parses a JSON file, or takes `initial` where there is none, so that there always is a value. All else is documented at the signature
 * of {@link readIndex} without `initial`.
 */
export declare function readIndex<T = any>(
  path: PathLike,
  options: ReadIndexOptions<T> & { initial: T },
): Promise<IndexRead<T> & { value: T }>

/** As {@link readIndexSync} without `initial`; with it there always is a value. */
export declare function readIndexSync<T = any>(
  path: PathLike,
  options: ReadIndexSyncOptions<T> & { initial: T },
): IndexRead<T> & { value: T }

/** What `fn` of an update gets as its second argument, if it declares one. */
export interface UpdateRun {
  /**
   * Aborted when nobody waits for this run any more: the signal of the call was aborted, `fnTimeout` has passed, or the function kept other
   * calls waiting (then it runs again, later). For what the function waits for: `fetch(url, { signal })`.
   */
  signal: AbortSignal
  /** Which run of the function this is for its call: 1, 2, … */
  attempt: number
}

/** A version of an index, as {@link watchIndex} gives it. */
export interface IndexChange<T = any> {
  /** The parsed index. */
  value: T
  /** The value that was given before, the very same; at first `undefined`. */
  previous: T | undefined
}

/** Options of {@link IndexLock.update}. */
export type LockedUpdateOptions<T = any> = Omit<
  UpdateOptions<T>,
  'fallback' | 'network' | 'endpoint' | 'maxAttempts' | 'onCorrupt'
>

/** Options of {@link recoverIndex}. */
export type RecoverIndexOptions<T = any> = RecoveryOptions<T> & Omit<IndexLockOptions, 'signal'>

/** What {@link recoverIndex} has found and done. */
export interface IndexRecovery<T = any> {
  /**
   * `'none'`: the index is good, and nothing was done; another process may have recovered it. `'restored'`: a backup was put back.
   * `'rebuilt'`: it is what `rebuild` returned. `'initialized'`: it is `initial`.
   */
  action: 'none' | 'restored' | 'rebuilt' | 'initialized'
  /** The index as it is now, parsed. With `'none'` and `migrate`: what that makes of it; the file stays as it is. */
  value: T
  /** With `'restored'`: the path of the backup that was put back: the path of the call, with `.backup` and a number. It stays where it is. */
  source?: string
  /**
   * Where the broken bytes are now: the path of the call, with `.corrupt-20261128T205912Z`, which is the time in UTC. A name of more than 222
   * bytes is cut for that. If the path is a link into another directory, they are beside the file that it leads to, and this is an
   * absolute path. `undefined` if the file was missing.
   */
  setAside?: string
  /** What was wrong with the index; `undefined` if the file was missing. */
  corrupt?: AtomicError
}

/** Options of {@link restoreIndex}. */
export interface RestoreIndexOptions
  extends IndexLockOptions,
    Pick<WriteOptions, 'flush' | 'verify'>,
    Pick<UpdateOptions, 'codec'> {}

/** What {@link restoreIndex} has done. */
export interface IndexRestoration {
  /** `false`: the index says the same as the backup. */
  written: boolean
  /** As {@link WriteResult.durable}. */
  durable: boolean
  /** The path of the backup that was put back, where it was: as it was given, or the path of the call, with `.backup` and a number. */
  source: string
  /** Where the version is now that was there, the newest backup: the path of the call, with `.backup`. */
  backup?: string
  /** Where the index is now that was there and was broken: as {@link IndexRecovery.setAside}. */
  setAside?: string
}

/** What is given for one path: a lock. For an array of paths: an array of locks, in their order. */
export type IndexLocks<P> = P extends readonly PathLike[]
  ? { -readonly [K in keyof P]: IndexLock }
  : IndexLock

export interface IndexLock {
  /** Reads and parses the index, as {@link readIndex} does: `value` is `undefined` if there is no file. */
  read<T = any>(
    options?: Pick<
      UpdateOptions<T>,
      'initial' | 'numbers' | 'codec' | 'schema' | 'migrate' | 'timeout'
    > | null,
  ): Promise<IndexRead<T>>
  /** Changes the index, as {@link atomicIndexUpdate} does: `fn` gets `undefined` if there is no file. */
  update<T extends object = any>(
    fn: (index: T | undefined, run: UpdateRun) => T | PromiseLike<T>,
    options?: LockedUpdateOptions<T> | null,
  ): Promise<UpdateResult>
}

/** Options of {@link readIndexAt} and {@link readIndexKeys}. */
export interface ReadIndexAtOptions
  extends Pick<UpdateOptions, 'numbers'>,
    Pick<ReadIndexOptions, 'fallback'> {}
