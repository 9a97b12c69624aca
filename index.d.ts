/// <reference types="node" />

/**
 * A path, as in `node:fs`: a string, a `Buffer` with its bytes, or a `file:` URL.
 *
 * A path that begins with `s3://`, `az://` or `gs://`, and a `URL` of that protocol, is an object in a store:
 * `s3://bucket/key`. For these the package `@pipeline/atomic-cloud` has to be installed too, or the call rejects with
 * `ERR_ATOMIC_NO_CLOUD`. A function that has no meaning there rejects with `ERR_ATOMIC_UNSUPPORTED` and says what to call
 * instead. Text that begins with another protocol and two slashes, `https://` or `file://`, is `ERR_INVALID_ARG_VALUE`. A local directory with the name
 * `s3:` is reached as `./s3://…`.
 *
 * Names such as `.NAME.xxxxxxxxxxxx.atomic-tmp` and `….atomic-txn`, with twelve letters and digits, are those of unfinished files of this package,
 * and what a killed process has left under them is removed. So calls that write refuse them, and do not make a directory of such a name (`EINVAL`).
 */
export type PathLike = string | Buffer | URL

/**
 * The content of a file: a string, or all bytes of an `ArrayBuffer` or of a view of any kind, at any offset. A buffer that was transferred, and a view whose
 * buffer was made shorter so that it no longer fits, show no bytes, and are refused (`ERR_INVALID_ARG_VALUE`).
 */
export type Data = string | NodeJS.ArrayBufferView | ArrayBuffer

/** One file of {@link atomicWriteAll}. Options given here win over the options of the call. */
export interface WriteEntry extends Omit<WriteOptions, 'signal' | 'fallback'> {
  /** The file to write. */
  path: PathLike
  /** Its content. It is copied when the entry is taken from the iterable, and may be changed right after that. */
  data: Data
}

/** The codes that are this package's own. All others are the operating system's or Node's. */
export type AtomicErrorCode =
  /** The bytes read back are not the bytes given. `offset` is the first that differs, where that is known. */
  | 'ERR_ATOMIC_VERIFY'
  /** The file is not UTF-8, not JSON, or nothing that `codec` can parse; `offset`, `line` and `column` say where. It is never overwritten. */
  | 'ERR_ATOMIC_CORRUPT_INDEX'
  /** The index has a number that JavaScript would change: `offset`, `line`, `column`, `literal`. See `numbers`. */
  | 'ERR_ATOMIC_LOSSY_INDEX'
  /** Another program has removed or replaced the lock file of an index while its lock was held: others may have changed the index. Nothing was written. */
  | 'ERR_ATOMIC_LOCK_LOST'
  /** The update did not get the index within `timeout`. */
  | 'ERR_ATOMIC_LOCK_TIMEOUT'
  /** The function of an update did not settle within `fnTimeout`. Nothing of it was written. */
  | 'ERR_ATOMIC_FN_TIMEOUT'
  /** The call was made inside the function of a call for the same file or directory, and would wait for itself. */
  | 'ERR_ATOMIC_REENTRANT'
  /** Two entries of one call name the same file: `entry` and `duplicateOf`. */
  | 'ERR_ATOMIC_DUPLICATE'
  /** A file that `ifChanged` left alone was changed or removed before the other files of the call were complete. */
  | 'ERR_ATOMIC_CHANGED'
  /** There is a device, a FIFO or a socket where a regular file is needed. */
  | 'ERR_ATOMIC_NOT_REGULAR'
  /** The file system cannot swap two directories in one step. See the option `fallback`. */
  | 'ERR_ATOMIC_NO_EXCHANGE'
  /** The index is on a network file system. See the option `network`. */
  | 'ERR_ATOMIC_NETWORK_FS'
  /** The file system has no locks, so there can be no index on it. `errno` and `syscall` say what it answered. */
  | 'ERR_ATOMIC_NO_LOCKS'
  /** The file system has no step that gives a file its name only if that is free. See the option `flag`. */
  | 'ERR_ATOMIC_NO_EXCLUSIVE'
  /** `build` left no directory where it was to leave one. */
  | 'ERR_ATOMIC_NO_TREE'
  /** A path leads out of the root of a transaction. */
  | 'ERR_ATOMIC_OUTSIDE_ROOT'
  /** What a transaction had read was changed by others each time before its commit, or an object has another version than `ifVersion`. Nothing was written. */
  | 'ERR_ATOMIC_CONFLICT'
  /** The transaction is committed, but not all names stand. The next call below the root completes it. */
  | 'ERR_ATOMIC_PENDING'
  /** The disk failed in the moment of the commit. `recover` tells whether the transaction counts. */
  | 'ERR_ATOMIC_UNKNOWN'
  /** The journal of the root is of another version, or belongs to another user. Nothing was changed. */
  | 'ERR_ATOMIC_JOURNAL'
  /** The call was made inside a function of a transaction, or is a transaction inside a function of an update. */
  | 'ERR_ATOMIC_NESTED'
  /** Others have replaced the object in a store each time before the call could. Nothing was written. */
  | 'ERR_ATOMIC_CONTENDED'
  /** The store did not answer, and whether the object is replaced is not known. The message says how to find out. */
  | 'ERR_ATOMIC_UNKNOWN_OUTCOME'
  /** The store ignores conditions, so updates would be lost there. The message says which, and what it was tried with. */
  | 'ERR_ATOMIC_STORE_UNFIT'
  /** The path is that of an object in a store, and the package for these is not installed, or cannot be loaded. */
  | 'ERR_ATOMIC_NO_CLOUD'
  /** The library of a codec of this package is not installed, or cannot be loaded. The message says what to type. */
  | 'ERR_ATOMIC_NO_CODEC'
  /** The index does not pass the option `schema`. Nothing was written. */
  | 'ERR_ATOMIC_SCHEMA'
  /** A patch cannot be applied to the index: `pointer` says what of it, `reached` how far that leads. Nothing of it was done. */
  | 'ERR_ATOMIC_PATCH'
  /** The function has no meaning for this path: a directory in an object store, a release on a disk. The message says what to call. */
  | 'ERR_ATOMIC_UNSUPPORTED'

/**
 * What the functions of this package reject with, except for what your own functions and iterables throw: that is
 * passed on as it is. Nothing is thrown at the call itself, and `stack` leads to the caller. It is a type, not a class:
 *
 * ```ts
 * await atomicWrite('config.json', text).catch((error: AtomicError) => {
 *   if (error.committed) console.error('The new file is there, but a power cut may bring the old one back:', error)
 *   else throw error
 * })
 * ```
 *
 * - An error of the operating system has `code`, `errno`, `syscall`, `path` and perhaps `dest`, as in `node:fs`.
 * - An error of this package has a `code` that begins with `ERR_ATOMIC_` and the `path` of the file.
 * - A wrong argument, and a result of `fn` that is no index, is a `TypeError`: `ERR_INVALID_ARG_TYPE`,
 *   `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_URL_SCHEME`, `ERR_INVALID_FILE_URL_HOST`, `ERR_INVALID_FILE_URL_PATH`,
 *   `ERR_INVALID_RETURN_VALUE`.
 * - A method of {@link AtomicFile} or of {@link IndexLock} that is called at the wrong time: `ERR_INVALID_STATE`.
 * - An index that is longer than a string can be: `ERR_STRING_TOO_LONG`, with `path` and `size`.
 * - An aborted signal: `name` is `'AbortError'`, `code` is `'ABORT_ERR'`, `cause` is the reason of the signal.
 * - `ERR_INTERNAL_ASSERTION` is a bug in this package. Please report it.
 */
export interface AtomicError extends NodeJS.ErrnoException {
  code: AtomicErrorCode | (string & {})
  /**
   * Present, and `true`, if the new content already had its name when the error occurred: flushing the directory,
   * closing the file or a later file of the same call failed. A power cut may bring the old content back. With
   * `fallback: 'in-place'`: the file was being overwritten, and may hold a part of the new content.
   * Without it the old content is unchanged.
   */
  committed?: true
  /** The second path of a system call that takes two. */
  dest?: string
  /**
   * {@link atomicWriteAll}: the position of the entry that failed, from 0. {@link atomicTransaction} with a list: of an operation that is not
   * valid. {@link snapshotRead}: of the path.
   */
  entry?: number
  /** {@link atomicWriteAll}, with `committed`: how many entries have their names, counted from the first. */
  replaced?: number
  /** `ERR_ATOMIC_DUPLICATE`: the position of the first entry that names the same file, from 0. */
  duplicateOf?: number
  /** `ERR_ATOMIC_VERIFY`, `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`: where in the file, in bytes from 0. */
  offset?: number
  /** `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`: the line, from 1. */
  line?: number
  /** `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`: the position in the line, in bytes from 1. */
  column?: number
  /** `ERR_ATOMIC_LOSSY_INDEX`: the number, as it is in the file. */
  literal?: string
  /** `ERR_ATOMIC_LOCK_TIMEOUT`: the path of the lock file. */
  lock?: string
  /**
   * `ERR_ATOMIC_LOCK_TIMEOUT`: the process that has the lock, this one or another.
   */
  holder?: LockHolder
  /** `ERR_STRING_TOO_LONG`: the size of the file in bytes, where it is the file that is too long. */
  size?: number
  /** `ERR_ATOMIC_SCHEMA`: what the schema has found, and where. */
  issues?: readonly SchemaIssue[]
  /** `ERR_ATOMIC_PATCH`: the pointer that the error is about. */
  pointer?: string
  /** `ERR_ATOMIC_PATCH`: the part of it that leads somewhere. */
  reached?: string
  /** {@link appendLines}: what the call had set aside before it failed. */
  torn?: TornLine
  /** Objects in stores: the HTTP status that the store answered with. */
  status?: number
  /** Objects in stores: by what the store knows the request. */
  requestId?: string
  /** The error that led to this one, or the reason of an aborted signal. */
  cause?: unknown
}

/**
 * A process that has the lock of an index, with the name of its machine or container and the time since when. It is what the lock file
 * says, for people to read: the pid may be that of another container, and after a kill that of a dead process.
 */
export interface LockHolder {
  pid: number
  host: string
  since: Date
}

/**
 * Options for objects in stores, whose paths begin with `s3://`, `az://` or `gs://`. They mean nothing for files. Credentials come from
 * the environment, as for the tools of the clouds.
 */
export interface CloudOptions {
  /**
   * The address of the store, for one that is not the cloud's own: `'http://127.0.0.1:9000'`.
   *
   * @default the cloud's
   */
  endpoint?: string | undefined
  /**
   * How long the whole call may take, in milliseconds. For {@link atomicIndexUpdate} of a file it is how long to wait for the index.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * How often to try, before the call rejects with `ERR_ATOMIC_CONTENDED`.
   *
   * @default as often as `timeout` allows
   */
  maxAttempts?: number | undefined
}

/** What {@link list} gives for each object. */
export interface ListedObject {
  /** Its URL. */
  path: string
  /** Its size in bytes. */
  size: number
  /** Its version, as `ifVersion` takes it. */
  version: string
  /** When it was written, by the clock of the store. */
  modified: Date
}

/** One object of {@link atomicPublish}. */
export interface ReleaseEntry {
  /** Its name below the prefix. */
  path: string
  /** Its content. */
  data: Data
  /** The encoding of a string. */
  encoding?: BufferEncoding | undefined
}

/** Options of {@link atomicPublish}. */
export interface PublishOptions extends CloudOptions {
  /** How many older releases stay. */
  keep?: number | undefined
  /** Aborts the call, until the new release is the newest. */
  signal?: AbortSignal | undefined
}

/** What {@link atomicPublish} did. The package for stores tells more. */
export interface PublishResult {
  /** The name of the release. */
  release: string
  /** The version of the pointer to it. */
  version: string
  [more: string]: unknown
}

/** The newest release below a prefix. The package for stores tells more. */
export interface Release {
  /** The name of the release. */
  release: string
  /** The version of the pointer to it. */
  version: string
  [more: string]: unknown
}

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
  readonly isPlain?: boolean | undefined
  /** The end of the names of such files, such as `'.yaml'`: for programs that choose a codec by a name. This package does not look at it. */
  readonly extension?: string | undefined
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

/**
 * A change of an index, for {@link atomicIndexPatch}: by pointers, by keys, as JSON Merge Patch (RFC 7396), or as a list of operations of JSON
 * Patch (RFC 6902).
 *
 * A *pointer* (RFC 6901) has a `/` before each key, as `/posts/hello/title`; in a key `~1` is a `/` and `~0` a `~`. A position in an array is a
 * number from 0, and `-` is the place behind the last one. The empty pointer is the whole index. A pointer has at most
 * 1,000 keys.
 */
export type IndexPatch = PointerPatch | KeyPatch | MergePatch | readonly JsonPatchOperation[]

/**
 * A change by pointers. The parts are done in the order in which they are listed here, each on what those before it have left. All that `set`
 * names must begin with `/`; names that do not are keys: see {@link KeyPatch}. What is both is refused, and so is `''` beside
 * pointers: it is a key by itself. To replace the whole index give `[{ op: 'replace', path: '', value }]`.
 */
export interface PointerPatch {
  /** The pointers of what is to be removed. It must be there. Positions in an array are those after the removals before. */
  remove?: readonly string[] | undefined
  /** The pointers of what is to be set, with the values. The last key need not be there, all before it must be. */
  set?: Record<string, unknown> | undefined
  /** Records to put into a list of records, and records to remove from it. */
  upsert?: RecordsPatch | readonly RecordsPatch[] | undefined
  /**
   * The pointers of numbers, with what to add to them. A member that is not there counts as 0. A sum of whole numbers that would lose digits
   * (beyond 2^53) is refused, unless `numbers` says otherwise. Any other sum is that of JavaScript's numbers, which may be rounded; one that is
   * not finite is refused.
   */
  increment?: Record<string, number> | undefined
  /** The pointers of arrays, with the values to add behind their last ones. A member that is not there counts as `[]`. */
  append?: Record<string, readonly unknown[]> | undefined
  delete?: undefined
  merge?: undefined
}

/** A change of records that are told by a key, in an array or as the members of an object. */
export interface RecordsPatch {
  /** The pointer of the array, or of the object. It must be there. */
  at: string
  /** The name of the member of each record that tells it from the others: a string or a number. In an object it is also the name of the record. */
  key: string
  /** The records to put there. One takes the place of the record that has its key, as a whole; a new one comes behind the last. */
  records?: readonly object[] | undefined
  /** The keys of the records to remove, before any is put there. They need not be there. */
  remove?: readonly (string | number)[] | undefined
}

/**
 * A change by keys of an index that is an object: `delete` first, and then `set`. With `delete`, also an empty one, each name in `set` is a key, also
 * one that begins with `/`: give it if names come from outside the program. Without it, names that begin with `/` are pointers. `set: {}` alone
 * changes nothing, also of an array.
 */
export interface KeyPatch {
  /** The keys to set. */
  set?: Record<string, unknown> | undefined
  /** The keys to delete. One that is set as well is there afterwards. */
  delete?: readonly string[] | undefined
  remove?: undefined
  upsert?: undefined
  increment?: undefined
  append?: undefined
  merge?: undefined
}

/** JSON Merge Patch: an object is merged member by member, `null` removes a member, and any other value takes the place of the old one. Its objects are at most 1,000 deep. */
export interface MergePatch {
  /** What the index is merged with. */
  merge: object
  set?: undefined
  delete?: undefined
  remove?: undefined
  upsert?: undefined
  increment?: undefined
  append?: undefined
}

/** An operation of JSON Patch. `path` and `from` are pointers. */
export type JsonPatchOperation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; from: string; path: string }

/**
 * An index, as the function of a patch looks at it. What the methods return belongs to the function: to change it changes nothing else. They answer at once, while the
 * function runs; after that they throw `ERR_INVALID_STATE`.
 */
export interface IndexView {
  /** The value at a pointer, parsed; `undefined` if nothing is there. The empty pointer gives all of the index, which has to be parsed for it. */
  at(pointer: string): any
  /** How many items the array at a pointer has, or how many members the object; `undefined` if neither is there. */
  count(pointer: string): number | undefined
  /**
   * The records of the array at the pointer `at` whose member `key` is `value`, in the order of the array, each with its pointer. Of equal members the last one counts, as
   * for `JSON.parse`. `[]` if no array is there. The first call for an array and a key looks through the array (a few ms a megabyte, on the thread that calls); the next ones, also of later
   * patches, find the records by a table, which is kept with the text of the index: until another process, a function or a patch that fails has changed it.
   */
  findAll(at: string, key: string, value: string | number): { pointer: string; value: any }[]
}

/**
 * A function that makes a patch of what is in the index; `undefined`: nothing is to be changed. It is called as the function of {@link atomicIndexUpdate} is: under the lock, in
 * the order of the calls, maybe more than once, and it may be async.
 */
export type IndexPatchFunction = (
  view: IndexView,
  run: UpdateRun,
) => IndexPatch | undefined | PromiseLike<IndexPatch | undefined>

/** Options of {@link atomicIndexPatch}: those of {@link atomicIndexUpdate}, but for `keep`, and `wait`. `fnTimeout` is for the function of a patch. */
export interface PatchOptions extends Omit<UpdateOptions, 'keep'> {
  /**
   * What is patched if there is no file. For files only.
   *
   * @default {}
   */
  initial?: any
  /**
   * For an object in a store: whether the promise resolves when the change is stored, or when it is in the index.
   *
   * @default 'applied'
   */
  wait?: 'accepted' | 'applied' | undefined
}

/** What {@link atomicIndexPatch} did. The other fields are those of the update, where the change is part of one already. */
export interface PatchResult extends Partial<UpdateResult> {
  /** Whether the change is in the index. `false`: it is stored, and will be. */
  applied: boolean
  /** Whether the change survives a power cut. */
  durable: boolean
}

/**
 * Appends JSON Lines: each value of `lines`, strings too, becomes one line by `JSON.stringify`. The whole contract is documented at
 * the signature of {@link appendLines} for strings.
 */
export declare function appendLines(
  path: PathLike,
  lines: Iterable<unknown>,
  options: AppendLinesOptions & { json: true },
): Promise<AppendResult>

/**
 * Reads JSON Lines: gives the parsed value of each line. The whole contract is documented at the signature of {@link readLines}
 * without `json`.
 */
export declare function readLines<T = any>(
  path: PathLike,
  options: ReadLinesOptions & { json: true },
): AsyncGenerator<T, void, undefined>

/** A line that {@link readLines} has skipped. */
export interface SkippedLine {
  /** Its number, from 1. */
  line: number
  /** Where it begins, in bytes from the start of the file. */
  offset: number
  /** How long it is, in bytes, without its line end. */
  bytes: number
  /**
   * `'unfinished'`: it has no line end. `'nul'`: it has NUL bytes, as a power cut leaves them. `'utf8'`: it is not UTF-8. `'json'`: it
   * is not JSON. `'changed'`: the file was made shorter or overwritten while it was read, so that no line begins here any more; `bytes`
   * is 0, and the lines end here.
   */
  reason: 'unfinished' | 'nul' | 'utf8' | 'json' | 'changed'
}

/** Options of {@link atomicTransaction}. They are read once, when the function is called. */
export interface TransactionOptions {
  /**
   * Flush all files, the journal and the directories, so that the transaction survives a power cut. Without it, it
   * survives that its process is killed.
   *
   * @default true
   */
  flush?: boolean | undefined
  /**
   * Read the files back before the commit, as {@link WriteOptions.verify}.
   *
   * @default true
   */
  verify?: boolean | 'device' | undefined
  /**
   * How long to wait for the files and the indexes, in milliseconds, before the call rejects with
   * `ERR_ATOMIC_LOCK_TIMEOUT`. 0 tries once; `Infinity` waits without a limit.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * How often `build` runs again because others have changed what `tx.read` had read, before the call rejects with
   * `ERR_ATOMIC_CONFLICT`.
   *
   * @default 3
   */
  retries?: number | undefined
  /** Aborts the call until the commit begins: it rejects with an `AbortError`, and nothing has changed. */
  signal?: AbortSignal | undefined
}

/** How a transaction writes a file. */
export type TransactionWriteOptions = Pick<
  WriteOptions,
  'encoding' | 'mode' | 'flag' | 'verify' | 'ifChanged' | 'mkdir'
>

/**
 * How a transaction updates an index. `backup` is below the root as well; it is a copy, written by the same transaction.
 *
 * With `keep: 'value'` the function gets a frozen index, as that of {@link atomicIndexUpdate} does, and each may be the one that the other has kept. Of several transactions
 * that are committed together, and of several updates of one index in a transaction, each may have it or not. If more than eight of them update one index, they get
 * it as without the option, not frozen, and it is parsed by the next one. Patches do without it, and {@link Transaction.readIndex} calls the functions of this
 * transaction with an index that is not frozen.
 *
 * What is written is what would be written without it, with one exception. Of two functions one behind the other, in one transaction or in two that are committed
 * together, at least one of which has the option, the second one is given what JSON has of the index that the first one returned. A date is a string there, and
 * what JSON has nothing of, such as a `Set`, is refused with `ERR_INVALID_RETURN_VALUE`, though the second function would have replaced it.
 */
export type TransactionUpdateOptions<T = any> = Pick<
  UpdateOptions<T>,
  | 'initial'
  | 'keep'
  | 'space'
  | 'numbers'
  | 'backup'
  | 'codec'
  | 'schema'
  | 'migrate'
  | 'mode'
  | 'verify'
  | 'mkdir'
>

/** An index as a transaction has written it. */
export interface Updated<T> {
  /**
   * The index, once the transaction is committed; before that it throws `ERR_INVALID_STATE`. Transactions that were
   * committed together share the object.
   */
  readonly value: T
}

/**
 * What {@link atomicTransaction} gives to `build`. Paths are relative to the root, or absolute and below it. Operations take
 * effect in the order of the calls; several on one file are one change of it.
 */
export interface Transaction {
  /** The root, as it was given. */
  readonly root: string
  /**
   * Writes a file. `data` is copied at the call; a function is called as those of `update` are, and may be async.
   */
  write(
    path: PathLike,
    data: Data | (() => Data | PromiseLike<Data>),
    options?: TransactionWriteOptions | BufferEncoding,
  ): void
  /**
   * Changes a JSON file, as {@link atomicIndexUpdate}: `fn` runs when all files are locked, or while the transactions before this one are being
   * committed, on what they write; then it runs again if the index is not that when it is locked. What it reads by itself elsewhere nobody locks:
   * `read` what the transaction depends on. What it throws rejects the transaction.
   */
  update<T extends object = any>(
    path: PathLike,
    fn: (index: T) => T | PromiseLike<T>,
    options: TransactionUpdateOptions<T> & { initial: T },
  ): Updated<T>
  update<T extends object = any>(
    path: PathLike,
    fn: (index: T | undefined) => T | PromiseLike<T>,
    options?: TransactionUpdateOptions<T>,
  ): Updated<T>
  /**
   * Changes a JSON file as {@link atomicIndexPatch} does, in the order of the calls, among them those of `update`. What is not there begins as
   * `initial`, or as `{}`. A function is called as those of `update` are. If more than eight patches and updates of one index are committed together, its view is of the parsed index,
   * and else of the text.
   */
  patch<T extends object = any>(
    path: PathLike,
    patch: IndexPatch | ((view: IndexView) => IndexPatch | undefined | PromiseLike<IndexPatch | undefined>),
    options?: Omit<TransactionUpdateOptions<T>, 'keep'>,
  ): Updated<T>
  /** Removes a file. With `missing: 'ignore'` it need not be there; the default is `'error'` (`ENOENT`). */
  remove(path: PathLike, options?: { missing?: 'error' | 'ignore' | undefined }): void
  /** Renames a file, over another one if there is one. It keeps its owner, mode and attributes. */
  rename(from: PathLike, to: PathLike): void
  /** Makes a directory, and those above it. It is made before the commit, and stays if that fails. */
  mkdir(path: PathLike): void
  /**
   * Reads a file as this transaction sees it: with its own changes so far. Resolves with `null` if there is none. If others
   * change what was read before the commit, `build` runs again.
   */
  read(path: PathLike, options: BufferEncoding | { encoding: BufferEncoding }): Promise<string | null>
  read(path: PathLike, options?: { encoding?: null | undefined } | null): Promise<Buffer | null>
  /** As `read`, parsed; without a file `initial`. To change an index, prefer `update`, which waits for its turn. */
  readIndex<T extends object = any>(
    path: PathLike,
    options: Pick<UpdateOptions<T>, 'numbers' | 'codec' | 'schema' | 'migrate'> & { initial: T },
  ): Promise<T>
  readIndex<T extends object = any>(
    path: PathLike,
    options?: Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'>,
  ): Promise<T | undefined>
}

/** One operation of a transaction that is given as a list. Beside `write`, `update` and `patch`, `mkdir` is the option, `true` or `false`; alone it is the path of a directory. */
export type TransactionOperation =
  | ({ write: PathLike; data: Data | (() => Data | PromiseLike<Data>) } & TransactionWriteOptions &
      Partial<Record<'update' | 'patch' | 'remove' | 'rename', undefined>>)
  | ({ update: PathLike; fn: (index: any) => object | PromiseLike<object> } & TransactionUpdateOptions &
      Partial<Record<'write' | 'patch' | 'remove' | 'rename', undefined>>)
  | ({ patch: PathLike; change: Parameters<Transaction['patch']>[1] } & Omit<
      TransactionUpdateOptions,
      'keep'
    > &
      Partial<Record<'write' | 'update' | 'remove' | 'rename', undefined>>)
  | ({ remove: PathLike; missing?: 'error' | 'ignore' | undefined } & Partial<
      Record<'write' | 'update' | 'patch' | 'rename' | 'mkdir', undefined>
    >)
  | ({ rename: PathLike; to: PathLike } & Partial<
      Record<'write' | 'update' | 'patch' | 'remove' | 'mkdir', undefined>
    >)
  | ({ mkdir: PathLike } & Partial<Record<'write' | 'update' | 'patch' | 'remove' | 'rename', undefined>>)

/** What a transaction did. */
export interface TransactionResult<T> {
  /** What `build` returned. */
  value: T
  /** The number of the commit in its root; `null` if at most one file had to be changed, which takes no record. */
  transaction: number | null
  /** Whether all of it was flushed to disk. */
  durable: boolean
  /** What was done to each file, by the path that was given. `bytes` is its size, and of a file that was removed 0. */
  files: {
    path: string
    action: 'written' | 'unchanged' | 'removed' | 'renamed'
    bytes: number
    verified: 'cache' | 'device' | false
  }[]
  /** How often `build` ran. */
  attempts: number
  /** The number of transactions that were committed together, this one included. */
  batchSize: number
  /** Milliseconds from the beginning of the commit until all files were locked. */
  lockWaitMs: number
  /** What an earlier transaction had left, if it was recovered on the way. */
  recovered: Recovered | null
}

/** A transaction that is committed by hand. */
export interface OpenTransaction extends Transaction {
  /** Commits. Rejects as {@link atomicTransaction} does. The transaction has ended then in any case. */
  commit(): Promise<TransactionResult<undefined>>
  /** Ends the transaction without a commit. Nothing has happened. */
  rollback(): Promise<void>
  /** As `rollback`, unless it is committed. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of {@link snapshotRead}. */
export interface SnapshotOptions {
  /**
   * The encoding of the files; with `null` they are buffers.
   *
   * @default 'utf8'
   */
  encoding?: BufferEncoding | null | undefined
  /**
   * How long to try, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /** Aborts the call. */
  signal?: AbortSignal | undefined
}

/** As {@link snapshotRead} with an encoding, but resolves with buffers. */
export declare function snapshotRead<const P extends readonly PathLike[]>(
  root: PathLike,
  paths: P,
  options: Omit<SnapshotOptions, 'encoding'> & { encoding: null },
): Promise<{ -readonly [K in keyof P]: Buffer | null }>

/** Options of {@link recover}. */
export interface RecoverOptions {
  /**
   * Give up what cannot be recovered.
   *
   * @default false
   */
  giveUp?: boolean | undefined
  /**
   * How long to wait for a transaction that is at work, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /** Aborts the call. */
  signal?: AbortSignal | undefined
}

/** What {@link recover} found and did. */
export interface Recovered {
  /**
   * `'nothing'`: there was nothing to recover. `'completed'`: all of the transaction is there. `'dropped'`: nothing of it is, because
   * it had not been committed. `'given-up'`: see `giveUp`.
   */
  outcome: 'nothing' | 'completed' | 'dropped' | 'given-up'
  /** The number of the transaction. */
  transaction: number | null
  /**
   * What was done to each file, by its path below the root. `'superseded'`: somebody had changed it since, and theirs stays; `kept`
   * is where the transaction's is, if there was one. `'lost'`: somebody has removed what was to be written. `'stood'`: it was
   * as it was to be.
   */
  files: {
    path: string
    action: 'stood' | 'renamed' | 'removed' | 'dropped' | 'superseded' | 'lost'
    kept: string | null
  }[]
}

/**
 * What the channels of this package publish, for `diagnostics_channel.tracingChannel(name)` with one of these names:
 *
 * | name | calls of |
 * |---|---|
 * | `@pipeline/atomic:write` | {@link atomicWrite}, {@link atomicWriteSync}, {@link remove} |
 * | `@pipeline/atomic:update` | {@link atomicIndexUpdate}, {@link atomicIndexPatch} |
 * | `@pipeline/atomic:batch` | {@link atomicWriteAll} |
 * | `@pipeline/atomic:directory` | {@link atomicDirectory}, {@link copyDirectoryAtomic} |
 * | `@pipeline/atomic:transaction` | {@link atomicTransaction} |
 * | `@pipeline/atomic:append` | {@link appendLines} |
 * | `@pipeline/atomic:lock` | {@link acquireIndexLock}, {@link acquireIndexLockSync}, {@link withIndexLock} |
 * | `@pipeline/atomic:recover` | {@link recoverIndex}, {@link restoreIndex}, {@link recover} |
 *
 * Each call is one message, an object that all five events of the call share. `start` comes before anything is done, in the async
 * context of the caller; `end` when the function has returned its promise; `error` if that rejects; then `asyncStart` and `asyncEnd`. A call
 * of {@link atomicWriteSync} or {@link acquireIndexLockSync} is over at its `end` and has no events after that; its `error` comes before.
 * Calls that nobody listens to are not measured. A channel belongs to one thread, as all of `diagnostics_channel` does.
 *
 * The time of {@link withIndexLock} is that of its function, too; its steps are those of taking the lock. Of an object in a store
 * `result.attempts` says how often it was tried.
 *
 * Not published: `AtomicFile`, the methods of locks and of {@link beginTransaction}, {@link atomicPublish}, {@link sweep}, and reads.
 * {@link stats} counts what they do.
 */
export interface TraceMessage {
  /** The function that was called. */
  function:
    | 'atomicWrite'
    | 'atomicWriteSync'
    | 'remove'
    | 'atomicIndexUpdate'
    | 'atomicIndexPatch'
    | 'atomicWriteAll'
    | 'atomicDirectory'
    | 'copyDirectoryAtomic'
    | 'atomicTransaction'
    | 'appendLines'
    | 'acquireIndexLock'
    | 'acquireIndexLockSync'
    | 'withIndexLock'
    | 'recoverIndex'
    | 'restoreIndex'
    | 'recover'
  /** The path as the caller has given it, or the array of paths of a lock; the root of a transaction, or where a directory is copied to. A batch has none. */
  path: PathLike | readonly PathLike[] | undefined
  /** From the call until its promise was settled, in milliseconds. It is there from `error` and `asyncStart` on, or from `end`. */
  milliseconds?: number
  /** What of that time went into which step. It is there from `error` and `asyncStart` on. */
  steps?: TraceSteps
  /** What the promise was fulfilled with. */
  result?: unknown
  /** What it was rejected with. */
  error?: unknown
}

/**
 * Milliseconds of each step that a call has been in. A call is in one step at a time, so their sum is less than the time of the call:
 * the rest is waiting for a worker thread, functions of the caller, and JSON. A step that several calls share (the commit of a group of
 * updates, transactions or appended lines) counts in full for each of them. Calls for objects in stores have none but `queue`.
 */
export interface TraceSteps {
  /** Following the path, and opening the directory. */
  resolve?: number
  /** Waiting for earlier calls of this process for the same file. */
  queue?: number
  /** Waiting for the lock that other processes may hold. */
  lock?: number
  /** Making the new file or directory: content, owner, mode, attributes. */
  stage?: number
  /** Flushing it. */
  fsync?: number
  /** Reading it back. */
  verify?: number
  /** Giving it its name. */
  rename?: number
  /** Flushing its directory, or waiting for a flush that is shared. */
  directoryFsync?: number
}

/**
 * What {@link sweep} has found. NAME is the file or directory that it was made for:
 *
 * - `'temp'`: `.NAME.XXXXXXXXXXXX.atomic-tmp`, a file on its way to NAME;
 * - `'tree'`: a directory of that name, which was being filled, or was replaced and is to be removed;
 * - `'lock'`: `.NAME.lock`, the lock of the index NAME;
 * - `'staged'`: `.NAME.XXXXXXXXXXXX.atomic-txn`, a file that a transaction has staged, or whose name it was about to remove. One that may be another program's and
 *   has no other name stays (`'only-copy'`);
 * - `'mark'`: `.atomic/XXXX.live`, which says that a process stages files below that root;
 * - `'journal'`: `.atomic/journal`, of a root whose last transaction was interrupted or is at work;
 * - `'previous'`: `.NAME.XXXXXXXXXXXX.atomic-old`, a directory that was NAME, on its way to where it was to be kept;
 * - `'lost'`: `.NAME.XXXXXXXXXXXX.atomic-lost`, what an interrupted transaction would have written to NAME, which another program had changed.
 */
export type LeftoverKind = 'temp' | 'tree' | 'lock' | 'staged' | 'mark' | 'journal' | 'previous' | 'lost'

/**
 * Why {@link sweep} has left something where it is:
 *
 * - `'in-use'`: a living process has it;
 * - `'recent'`: it was changed less than `olderThan` milliseconds ago;
 * - `'pending'`: it belongs to a transaction that was interrupted. {@link recover} completes or drops that; then sweep again;
 * - `'only-copy'`: it may be the only copy of your data. Look at it, and remove it or put it in its place yourself;
 * - `'undecided'`: nothing tells whether a living process has it. The file system has no locks, the root of the transaction was moved, or the
 *   lock file is empty;
 * - `'not-yours'`: it is another user's;
 * - `'failed'`: removing it failed, see `error`.
 */
export type KeptReason = 'in-use' | 'recent' | 'pending' | 'only-copy' | 'undecided' | 'not-yours' | 'failed'

/** Something that a process has left behind, or is about to remove itself. */
export interface Leftover {
  /**
   * Where it is: the directory as it was given, and the way from there. Of a relative directory whose bytes are no UTF-8 it is the
   * absolute path. Bytes that are no UTF-8 are replaced by U+FFFD.
   */
  path: string
  /** The bytes of the path, only if they are no UTF-8: what functions of `node:fs` find it by. It is absolute if those of the directory are none. */
  rawPath?: Buffer
  kind: LeftoverKind
  /** In bytes. Of a tree: those of its files. */
  size: number
  /** How long ago it was last changed, in milliseconds, by the clocks of this machine and of the file system. Never negative. */
  age: number
}

/** What {@link sweep} has left where it is. */
export interface KeptLeftover extends Leftover {
  reason: KeptReason
  /** Of a lock: the process that has it, or had it last. */
  holder?: LockHolder
  /** With the reason `'failed'`: what went wrong. */
  error?: AtomicError
}

/** What {@link sweep} did. */
export interface SweepResult {
  /** What was removed; with `dryRun`, what would have been. */
  removed: Leftover[]
  /** What was found and left where it is. */
  kept: KeptLeftover[]
  /** Directories that could not be looked at, each with its `path`. */
  errors: AtomicError[]
  /** Directories that were not entered because another file system is mounted there. Sweep them by their own paths. */
  mounts: string[]
  /** How many directories were looked at. */
  directories: number
}

/** What {@link inspectIndexLock} has found. */
export interface IndexLockState {
  /** Whether a process has the lock at this moment. */
  held: boolean
  /** The path of the lock file. */
  lock: string
  /** What the lock file says, if there is one: the process that has the lock or, with `held: false`, that was killed with it. */
  holder?: LockHolder
}

/** What {@link inspectDirectory} finds out by trying, and answers with yes or no. `null`: it could not be tried, and `means` says why. */
export type DirectoryAbility =
  /** A file can be made only if its name is free. */
  | 'exclusiveCreate'
  /** A rename replaces a file in one step. */
  | 'renameOver'
  /** A rename can refuse a taken name. */
  | 'renameNoReplace'
  /** Two names can be exchanged in one step. */
  | 'exchange'
  /** A file can have several names. */
  | 'hardLinks'
  /** A file can be made without a name (`O_TMPFILE`), and get one later. */
  | 'unnamedFiles'
  /** The names in a directory can be flushed to the disk. */
  | 'directoryFlush'
  /** What was flushed survives a power cut, as far as the type of the file system tells. */
  | 'durable'
  /** Files can be locked (`flock`), which is what keeps an index for one process. */
  | 'locks'
  /** No other machine changes this file system. */
  | 'local'
  /** Bytes can be read back from the device, past the page cache. */
  | 'deviceVerify'
  /** Names that differ in case only are two files. */
  | 'caseSensitive'
  /** Names that differ only in how Unicode writes a character are two files. */
  | 'normalizationSensitive'
  /** Files have permissions of their own. */
  | 'modes'
  /** Files can have extended attributes. */
  | 'extendedAttributes'
  /** Files can have POSIX ACLs. */
  | 'acls'

/** One row of {@link DirectoryInspection}. `means`: what follows from the value for you, in one sentence. */
export type DirectoryTrait =
  | { name: DirectoryAbility; value: boolean | null; means: string }
  /** The type of the file system, and the device or server that it is on, as the system calls them. */
  | { name: 'fileSystem' | 'device'; value: string | null; means: string }
  /** `longestName`: in bytes, for a name in ASCII. `flushTime`: the median of writing and flushing 4 KiB, in milliseconds. */
  | { name: 'longestName' | 'flushTime'; value: number | null; means: string }

/** What {@link inspectDirectory} has found, a row for each trait, always in the same order. */
export interface DirectoryInspection {
  /** The directory, links resolved. */
  path: string
  traits: DirectoryTrait[]
}

/** Options of {@link atomicWriteSync}: those of {@link atomicWrite}, without what a call that blocks has no use for. */
export type WriteSyncOptions = Omit<WriteOptions, keyof CloudOptions | 'signal' | 'ifVersion' | 'backup'>

/** Options of {@link readIndexSync}: those of {@link readIndex}, without those of stores. */
export type ReadIndexSyncOptions<T = any> = Omit<ReadIndexOptions<T>, keyof CloudOptions>
/**
 * A file that is written piece by piece and replaced as a whole: until {@link AtomicFile.commit} resolves, and after
 * any crash, every reader sees the old file, or none if there was none. Use it for content that is too large to be
 * held in memory, or that arrives over time.
 *
 * What was written is not kept in memory: only a digest is, and the file is read back and compared with it.
 *
 * ```ts
 * const file = await AtomicFile.open('sitemap.xml')
 * try {
 *   for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
 *   await file.commit()
 * } finally {
 *   await file[Symbol.asyncDispose]() // gives the file up, unless it is committed
 * }
 * ```
 *
 * TypeScript since 5.2 and Node.js since 24 can say the same with `await using`:
 *
 * ```ts
 * await using file = await AtomicFile.open('sitemap.xml')
 * for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
 * await file.commit()
 * ```
 *
 * Leaving the block without a commit, because of an exception for example, leaves the old file unchanged and nothing
 * beside it. A file that is neither committed nor aborted is given up when it is garbage-collected. If the process
 * exits or is killed before, the operating system frees the file, or the next process that writes into the directory
 * removes it.
 *
 * Methods reject with an {@link AtomicError} as {@link atomicWrite} does. A method that is called at the wrong time
 * (a write after the commit, a second commit) rejects with `ERR_INVALID_STATE` and changes nothing.
 */
export declare class AtomicFile {
  /**
   * Follows `path`, creates missing parent directories and starts a file beside the target that no reader sees.
   *
   * The options are those of {@link atomicWrite}; a string is the encoding. `flag: 'wx'` is checked here and
   * decided by the commit. An abort of `signal` gives the file up, until it has its name.
   *
   * At most a quarter of the descriptors that the process may have are used for open files. Another one waits up
   * to ten seconds for one of them to be committed or aborted, and then rejects with `EMFILE`.
   */
  static open(path: PathLike, options?: Omit<WriteOptions, 'fallback' | 'ifVersion' | 'backup' | keyof CloudOptions> | BufferEncoding | null): Promise<AtomicFile>
  /**
   * Appends `chunk`, in the order of the calls. The chunk is copied during the call. `encoding` is that of this
   * string, by default the one of the options. The promise resolves when there is room for more: if you await each
   * write, no more than about 1 MiB and one chunk is in memory.
   *
   * A resolved write does not mean that the data is on disk: only a resolved {@link AtomicFile.commit} does. After
   * a failure (a full disk) the file is given up, and every later method but `abort` rejects with that failure, so
   * it is not lost if a write was not awaited; such a write causes no unhandled rejection. A chunk that is refused
   * itself (a number, half of a surrogate pair) is not written and changes nothing else.
   */
  write(chunk: Data, encoding?: BufferEncoding): Promise<void>
  /**
   * The file as a stream, for `pipeTo` and `stream.pipeline`. Closing the stream ends the content and does not
   * commit: a source that ended early would look complete. Aborting the stream, as `pipeTo` and `pipeline` do when
   * the source fails, gives the file up. The method `pipe` of a Node.js stream does not write to web streams, and throws
   * `ERR_INVALID_ARG_TYPE` here: `await Readable.toWeb(readable).pipeTo(file.writable)` does, and reports errors of both. While the stream is locked, holds chunks that it has not passed on, or
   * has failed, a commit is refused with `ERR_INVALID_STATE`.
   */
  get writable(): WritableStream<Data>
  /**
   * Waits for all writes, flushes the file, reads it back and gives it its name, as {@link atomicWrite} does.
   * Among the writes to one file, its place is that of this call.
   *
   * If it rejects, the old file is unchanged unless `error.committed === true`, and this file is given up. If its
   * directory was replaced or removed in the meantime, or before this resolves, it rejects with `ENOENT`.
   */
  commit(): Promise<WriteResult>
  /**
   * Gives the file up: when the promise resolves, nothing of it is left. A commit that is running is stopped and
   * rejects with an `AbortError`. If the file has its name already, this rejects with `ERR_INVALID_STATE`. A
   * second abort does nothing.
   */
  abort(): Promise<void>
  /**
   * What `await using` calls at the end of its block: waits for a commit that is running, and gives the file up if
   * it is not committed.
   */
  [globalThis.Symbol.asyncDispose](): Promise<void>
}

/**
 * The lock of an index, as {@link acquireIndexLock} and {@link withIndexLock} give it. While it is held, no update of any
 * process, worker thread or call changes the index, but for those of the lock itself.
 *
 * Calls on one lock take place one after the other, in their order; {@link IndexLock.update | updates} that wait share a commit.
 * A call after the release rejects with `ERR_INVALID_STATE`. If the directory of the index is replaced as a whole while the lock is
 * held, the lock is that of a file which has no path any more: calls on it reject with `ENOENT`.
 */
export declare class IndexLock {
  /** The path of the index, as it was given. */
  get path(): string
  /**
   * Reads and parses the index, as {@link readIndex} does. The options are its options, and `timeout`, which is how long to wait
   * for earlier calls on this lock (by default 30,000 ms). With `initial` there always is a value.
   */
  read<T = any>(options: Pick<UpdateOptions<T>, 'numbers' | 'codec' | 'schema' | 'migrate' | 'timeout'> & { initial: T }): Promise<IndexRead<T> & { value: T }>
  /**
   * Changes the index, as {@link atomicIndexUpdate} does. The options are those of that function, but for `fallback` and `network`,
   * which are those of the lock. `timeout` is how long to wait for earlier calls on this lock. Without `initial`, `fn` gets `undefined`
   * if there is no file.
   */
  update<T extends object = any>(fn: (index: T, run: UpdateRun) => T | PromiseLike<T>, options: LockedUpdateOptions<T> & { initial: T }): Promise<UpdateResult>
  /**
   * Replaces the index by `value`, an object or an array, whatever the index says: also if it is no JSON, or has numbers that
   * JavaScript would change. Otherwise it is written as by {@link IndexLock.update}: with the layout of the old one, and not
   * at all if it says the same. `backup: true` keeps the old bytes. The value is copied as JSON during the call. What JSON
   * cannot express rejects with `ERR_INVALID_ARG_VALUE`.
   */
  write<T extends object = any>(value: T, options?: Omit<LockedUpdateOptions<T>, 'initial' | 'fnTimeout' | 'migrate'> | null): Promise<UpdateResult>
  /**
   * Makes the index good again, as {@link recoverIndex} does, if it is broken or missing. `timeout` is how long to wait for earlier calls
   * on this lock; later ones wait until it is over. Calls on the lock inside `rebuild` reject with `ERR_ATOMIC_REENTRANT`.
   */
  recover<T extends object = any>(options?: (RecoveryOptions<T> & Pick<UpdateOptions, 'timeout'>) | null): Promise<IndexRecovery<T>>
  /**
   * Gives the index back, after the calls that were made on the lock before. When the promise resolves, the lock is free. A second
   * release waits for the first one.
   */
  release(): Promise<void>
  /** What `await using` calls at the end of its block: {@link IndexLock.release}. */
  [globalThis.Symbol.asyncDispose](): Promise<void>
  /**
   * Gives the index back, as {@link IndexLock.release} does. The lock is free when this returns, unless calls on the lock are under way:
   * then it is free when they are over, which {@link IndexLock.release} waits for.
   */
  releaseSync(): void
  /** What `using` calls at the end of its block: {@link IndexLock.releaseSync}. */
  [globalThis.Symbol.dispose](): void
}

/**
 * Locks an index, or several, until the lock is released: the very lock that {@link atomicIndexUpdate} takes, so no update comes
 * between what is read and what is written under it, however long that takes. For rebuilds that read, compute for minutes, and write.
 *
 * ```ts
 * const lock = await acquireIndexLock('posts/index.json')
 * try {
 *   const { value } = await lock.read<Posts>()
 *   await lock.write(await rebuild(value))
 * } finally {
 *   await lock.release()
 * }
 * ```
 *
 * With TypeScript since 5.2 and Node.js since 24, `await using lock = await acquireIndexLock(path)` releases it at the end of the
 * block. {@link withIndexLock} always releases it, and knows calls that would wait for it.
 *
 * Calls of one process get the index in the order in which they were made, whatever they are; other processes wait for the lock file
 * with their own timeouts, and get it first when it is released. Plain readers wait for nobody. A lock that is held keeps no thread
 * and does not keep the process alive. It is free as soon as its process or its worker thread ends, also by a kill. A lock that is
 * garbage-collected is released, with a warning of the process (`ATOMIC_LOCK_NOT_RELEASED`).
 *
 * Several paths are locked together: all, or none within `timeout`. The promise is then for an array of locks, in the order of the
 * paths, each of which is released by itself. They are taken in one order everywhere, so that two calls with several paths, or a call
 * and a transaction, do not wait for each other. A path that means the same file as an earlier one rejects with
 * `ERR_ATOMIC_DUPLICATE`. An error that is about one of several paths has its position as `entry`.
 *
 * Rejects with an {@link AtomicError}: `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_NETWORK_FS` as
 * {@link atomicIndexUpdate} does; `ERR_ATOMIC_REENTRANT` inside the function of a call for the same file, `ERR_ATOMIC_NESTED` inside
 * a function of a transaction; `ERR_ATOMIC_UNSUPPORTED` for an object in a store; `AbortError`; and with what opening the directory
 * fails with. What the index says is not looked at. Calls on the lock that would write reject with `ERR_ATOMIC_LOCK_LOST` when another
 * program has removed, moved or replaced the lock file, as another process may have the lock by then: release it, and begin again. With
 * `ELOOP` reject all that come after the index has become a symbolic link.
 *
 * Not promised: a call that waits for a lock which its own program holds waits until its timeout, and a write of the file, which has
 * none, until the release; only inside the function of {@link withIndexLock} such calls are refused. A process holds at most as many
 * locks as a sixteenth of the descriptors that it may have; further calls wait for one of them to be released. Two programs that
 * take two locks one after the other in opposite orders wait for each other until a timeout: give both paths at once.
 */
export declare function acquireIndexLock<const P extends PathLike | readonly PathLike[]>(paths: P, options?: IndexLockOptions | null): Promise<IndexLocks<P>>

/**
 * Locks an index as {@link acquireIndexLock} does, if its lock is free at this moment, and returns the lock: for code that cannot wait,
 * in constructors and in handlers of `process.on('exit')`. {@link IndexLock.releaseSync} gives it back, or `using lock = …` at the end of its
 * block. It **blocks** the event loop for a few calls of the system, and where a killed process has left a transaction, once, for as long as it
 * takes to recover that: hundreds of milliseconds or more.
 *
 * {@link readIndexSync} reads the index under it. Nothing is written synchronously under it: {@link IndexLock.update} and
 * {@link IndexLock.write} return promises, and {@link atomicWriteSync} throws `ERR_ATOMIC_REENTRANT` as under any lock, so call it after
 * {@link IndexLock.releaseSync}, or in handlers of `exit`.
 *
 * If another process has the lock, or a call of this process has the index or waits for it, it throws `ERR_ATOMIC_LOCK_TIMEOUT` at once, as
 * {@link acquireIndexLock} does with `timeout: 0`. Calls of this process that have not come as far yet come after it. Else it throws what that
 * rejects with. There is one path, no `signal`, and no `timeout` but 0 (`ERR_INVALID_ARG_VALUE`). In handlers of `exit` no call is refused for
 * being made inside a function, which does not go on after them: the lock is free or not. Where no file descriptor is free (`EMFILE`, `ENFILE`) it
 * tries again for a tenth of a second, as nobody can close one meanwhile on this thread.
 */
export declare function acquireIndexLockSync(path: PathLike, options?: (Omit<IndexLockOptions, 'timeout' | 'signal'> & { timeout?: 0 | undefined }) | null): IndexLock

/**
 * Appends lines to a file, for logs and JSON Lines. `lines` is one line, or an iterable of them; each gets its line feed here.
 * When the promise resolves they are at the end of the file, whole, in their order and next to each other, on disk and read back.
 *
 * A line is a string without line feeds, NUL characters and lone surrogates; with `json: true` (see the other signature) it is
 * made of a value. An iterable is gone through during the call. An empty one appends nothing and does not look at the file.
 * A call takes about four times the size of its lines in memory (measured: 110 MB for 27 MB).
 *
 * Calls come after each other, whatever threads and processes make them: each takes the lock of an index (`.NAME.lock`), and an
 * flock(2) on the file itself (not on Windows), which makes those exclude each other that know it by other names. Calls of
 * one process that wait for the same file at the same time, with the same options, share one write and one flush: a thousand at
 * once take about as long as a handful. They run in the order of the calls, also among {@link atomicWrite} and
 * {@link atomicIndexUpdate} of the same file.
 *
 * The file is appended to in place: its owner, mode and hard links stay, and a program that has it open sees the lines. A symbolic
 * link is followed. A new file gets `mode`. What a crash has left of an append shows at the end of the file, as a line without
 * a line end. The next call moves it to a file of its own, `NAME.torn-…`, which is flushed also with `flush: false`, and says so in
 * its result, or with `error.torn` if it fails after that; it is never removed. An
 * editor may leave out the last line end as well: with `json: true` a complete value there (no number) gets its line end;
 * of plain text nothing tells the two apart, and it is set aside too.
 *
 * Rejects with an {@link AtomicError} as {@link atomicWrite} does, and with `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_NETWORK_FS`,
 * `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_NESTED` and `ERR_ATOMIC_REENTRANT` as {@link atomicIndexUpdate} does. Nothing of the lines is in the file then, also
 * after a full disk in the middle. The one exception is marked: with `error.committed === true` they may be there, as a whole or in
 * part, because what was written could not be taken back (also when another program has appended next to it, or cut the file), or
 * because the name of a new file could not be flushed. `ESTALE`: another program has put another file in its place, or has appended to it,
 * again and again. Calls that
 * were appended together fail together. For an object in a store it is `ERR_ATOMIC_UNSUPPORTED`. An abort of `signal` takes effect
 * until the lines are written.
 *
 * Not promised: anything about programs that write to the file without this package. Whole lines that they append are kept, but
 * for those that come in the microseconds between the last look at the file's size and a truncation, which a torn line or
 * a failed append needs; on Windows also those that come while lines are written can be overwritten. A
 * part of a line that they are still writing counts as torn. A reader may meet a line that is being written: {@link readLines} skips
 * it. The file must be readable too, and its directory writable.
 */
export declare function appendLines(path: PathLike, lines: string | Iterable<string>, options?: (AppendLinesOptions & { json?: false | undefined }) | null): Promise<AppendResult>

/** Options of {@link appendLines}. They are read once, when the function is called. */
export interface AppendLinesOptions extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'signal'> {
  /**
   * Append JSON: each value of `lines`, strings too, becomes one line by `JSON.stringify`. `ERR_INVALID_ARG_VALUE` refuses what
   * JSON would lose, as {@link atomicIndexUpdate} does. Say it for each append to a file of JSON lines: it decides what an
   * unfinished last line is.
   *
   * @default false
   */
  json?: boolean | undefined
  /**
   * Begin a new file for lines that come when this one has `size` bytes or more: it becomes `NAME.1`, the one before it
   * `NAME.2`, and so on; `keep` old files stay, and the oldest beyond that is removed. A crash at any point loses no line of
   * those that are kept, and leaves none in two files. The new file has the owner and the mode of the old one. Files with higher
   * numbers are left alone.
   *
   * @default undefined: never
   */
  rotate?: { size: number; keep: number } | undefined
  /**
   * How long to wait for the file, in milliseconds: for other processes that append, and for earlier calls of this one. Then
   * the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * What to do on a network file system, as for {@link atomicIndexUpdate}: `'refuse'` rejects with `ERR_ATOMIC_NETWORK_FS`,
   * `'allow'` is for files that only this machine appends to.
   *
   * @default 'refuse'
   */
  network?: 'refuse' | 'allow' | undefined
}

/** What {@link appendLines} did. */
export interface AppendResult {
  /** How many lines were appended. */
  lines: number
  /** How many bytes these are, line ends included. */
  bytes: number
  /** Where the first of them begins, in bytes from the start of the file. */
  offset: number
  /** Whether the lines survive a power cut, as in {@link WriteResult}. */
  durable: boolean
  /** How they were read back: from the page cache, from the device, or not at all. */
  verified: 'cache' | 'device' | false
  /** Whether a new file was begun for them (`rotate`). */
  rotated: boolean
  /** What was found at the end of the file and set aside. Each call that was appended together with this one tells it. */
  torn?: TornLine
  /** How long the call has waited until the file was its own, in milliseconds. */
  lockWaitMs: number
  /** The number of calls that were appended together, this one included. */
  batchSize: number
}

/**
 * What a patch makes of an index that is a value: what {@link atomicIndexPatch} does with a file, for an index that is a part of something else, or
 * in a test.
 *
 * ```ts
 * await atomicIndexUpdate('s3://bucket/all.json', (all) => ({ ...all, posts: applyIndexPatch(all.posts, publish(post)) }))
 * ```
 *
 * The index that is given stays as it is, and may be frozen. What is returned shares with it what the patch does not change; if that is
 * nothing, it is the very same index. What the patch brings is copied, as JSON. A function gets a view of the index, and has to return at once: no promise.
 * `findAll` looks through the list each time, and a patch copies each list and object that it changes something in, but not what is in there.
 *
 * Throws what {@link atomicIndexPatch} rejects with for such a patch, without a `path`, and what the function throws. `ERR_INVALID_ARG_TYPE` if the index is no object and
 * no array; `ERR_INVALID_STATE` for a part of it on the way that JSON would print as something else (a date, a `Map`). Sums are those of `numbers: 'strict'`.
 */
export declare function applyIndexPatch<T extends object = any>(index: T, patch: IndexPatch | ((view: IndexView) => IndexPatch | undefined)): T

/**
 * Replaces a directory and everything in it in one step. `build` fills a new directory beside `path`; when it is
 * done, every file and directory in it is flushed, and the two directories are swapped. Every path below `path` that
 * is opened, at any time and after any crash, leads to the old tree or to the new one.
 *
 * `build` gets the path of an empty directory on the same file system, which other users cannot enter, and fills it
 * with files, directories and symbolic links. What it returns is `value` in the result. Whatever it throws is what
 * the call rejects with, and by then the new directory is removed. It must have finished all its writing when it
 * returns or when its promise resolves: later writes are not flushed. It may remove the directory and make it anew,
 * or rename another one of the same user and file system to its path.
 *
 * Symbolic links on the way to `path`, and `path` itself if it is one, are followed and stay links. The directory
 * keeps owner, mode, ACLs and extended attributes of the one that it replaces, as far as the system permits; what is
 * in it is as `build` made it. Calls for one directory run one after the other, in the order of the calls, so
 * `build` may read what the call before it made. A call for the same directory that an async `build` makes rejects with
 * `ERR_ATOMIC_REENTRANT`: it would wait for this one.
 *
 * To mount the directory elsewhere (`mount --bind`, a volume of a container), mount its parent: a mount of the
 * directory itself goes on showing the old tree, which is empty soon after the swap and for good.
 *
 * A file of the old tree that is open stays readable. A program that has the old directory itself open, or as its
 * working directory, sees the old tree until that is removed, 20 ms after the swap, unless it is kept
 * (`keepPrevious`).
 *
 * Rejects with an {@link AtomicError}: with errors of the operating system as in `node:fs` (`ENOTDIR`: `path` is a
 * file; `EBUSY`: it is a mount point, the root, or ends in `.` or `..`; `ENOENT`: its parent was replaced or moved
 * during the call; what is in the new tree is named by where it was to be, below `path`), and with
 * - `ERR_ATOMIC_NO_EXCHANGE`: the file system cannot swap two directories (see `fallback`), or the directory to be
 *   replaced is part of a lower layer of an overlay, as a directory of a container's image is. That one cannot be
 *   renamed at all: mount a volume at its parent, or remove it when the container starts. `build` is not called;
 * - `ERR_ATOMIC_NO_TREE`: `build` left no directory of this user at the path that it got, or replaced it after it
 *   had settled;
 * - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in the new tree;
 * - `EINVAL`: something in it has a name of unfinished files (`.NAME.xxxxxxxxxxxx.atomic-tmp`), which the next write there would remove;
 * - `ERR_ATOMIC_REENTRANT`: the call was made inside `build` of a call for the same directory;
 * - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
 *
 * If it rejects, the old tree is unchanged and nothing is left behind, except parent directories that were created.
 * There is one exception, and it is marked: with `error.committed === true` the new tree has its name, but flushing
 * the parent directory failed, or moving the old tree to the place where it is kept. In that case the old tree is
 * beside the new one.
 *
 * A process that is killed may leave a directory `.NAME.xxxxxxxxxxxx.atomic-tmp` beside `path`, and a file that guards
 * it, `.xxxxxxxxxxxx.xxxxxxxxxxxx.atomic-tmp`. The next process that works in the parent directory removes them if
 * they belong to the same user, without following links or entering mounts, but not on a network file system, as after {@link atomicWrite}. A directory `.NAME.xxxxxxxxxxxx.atomic-old`, left by a crash at the moment of the swap with `keepPrevious`
 * or `fallback`, is never removed, because it may be the only copy of the old tree: move it where it belongs.
 *
 * Not promised: that two opens, or a path that goes up again (`a/../b`), see the same tree; anything about programs
 * that write into the old tree in the meantime. Calls of other processes are not waited for: the last swap wins.
 */
export declare function atomicDirectory<T>(path: PathLike, build: (staging: string) => T | PromiseLike<T>, options?: DirectoryOptions | null): Promise<BuildResult<T>>

/**
 * Changes a JSON file, or keys of an object in a store, as a patch says. Without a file it begins as `{}`, or as `initial`.
 *
 * ```ts
 * await atomicIndexPatch('posts.json', {
 *   set: { '/updated': '2026-11-29' },
 *   upsert: { at: '/posts', key: 'slug', records: [post], remove: ['old-post'] },
 *   increment: { '/topics/rust': 1 },
 * })
 * ```
 *
 * {@link IndexPatch} has the forms: pointers, keys, JSON Patch, JSON Merge Patch. In `set` a name that begins with `/` is a pointer; **give `delete: []` as
 * well if names come from outside the program: then all of them are keys.** A patch is applied as a whole or not at all. It is copied
 * as JSON during the call.
 *
 * **What is written may depend on what is there**: instead of a patch, give a function that makes one. It gets an {@link IndexView}, which finds values and records in the
 * text of the index, so neither the function nor the patch needs all of it parsed.
 *
 * ```ts
 * await atomicIndexPatch('posts.json', (view) => {
 *   const [known] = view.findAll('/posts', 'slug', post.slug)
 *   if (known?.value.hash === post.hash) return undefined
 *   return known ? { set: { [known.pointer]: post } } : { append: { '/posts': [post] } }
 * })
 * ```
 *
 * Such a function is called as that of {@link atomicIndexUpdate}: under the lock, in the order of the calls, with the same second argument, and maybe more than once; it may be async, calls
 * inside of it for the same file are refused, and what it throws rejects this call alone. For `undefined`, and for a patch that changes nothing, nothing is written (`written: false`), also no
 * file that is not there yet. The view ends when the function returns, or its promise settles. Where the index is parsed anyway, for functions of updates
 * in the same commit, or with `schema`, `codec` or `space`, the view is of what that says; the function cannot tell. An object in a store is updated then, as by {@link atomicIndexUpdate}.
 *
 * A file is changed as by {@link atomicIndexUpdate}, with its options, errors and promises: patches and functions share commits, and take effect in the order of
 * the calls. `initial`, `space`, `numbers`, `codec` and `schema` mean what they mean there.
 *
 * An object in a store is changed by way of an inbox, which many machines can write to at once, while one object takes about 15 commits a
 * second: with `wait: 'accepted'` the promise resolves when the change is stored and will be in the index, with `'applied'` when it
 * is. For a file both mean that it is. The inbox carries keys: `set` and `delete`, a `set` of pointers with one key each, and `upsert` at `''`, which puts records
 * into the index itself, an object. Any other patch of an object rejects with `ERR_ATOMIC_UNSUPPORTED`, as it could fail when nobody waits for it any more: use {@link atomicIndexUpdate} there.
 *
 * Rejects also with
 * - `ERR_ATOMIC_PATCH`: the patch cannot be applied to what is in the index. `pointer` is the one that leads nowhere, or to what does not fit (something else than a
 *   number to increment, than an array to append to; the `test` of a JSON Patch), `reached` is how far it leads;
 * - `ERR_INVALID_ARG_TYPE`, if the patch, given or made, is of another form, or of keys and the index is an array;
 * - `ERR_INVALID_ARG_VALUE`, if the patch has pointers and keys, a pointer of more than 1,000 keys, or something that JSON cannot write or would lose, as a `Map`.
 */
export declare function atomicIndexPatch(path: PathLike, patch: IndexPatch | IndexPatchFunction, options?: PatchOptions | null): Promise<PatchResult>

/**
 * Changes a JSON file, or one of another format by `codec`, without losing an update: any number of calls, worker threads and processes may do so at the
 * same time, and each works on what the one before it left.
 *
 * `fn` gets the parsed index, or `undefined` if there is no file and no `initial`, and returns the next index: an
 * object or an array. It may change the index in place and return it. Whatever it throws is what the call rejects
 * with, and then the file is unchanged and the lock is free.
 *
 * `fn` may be async, and it may run more than once for one call: when it or a function that shares its commit fails,
 * when another program changed the file without the lock, put a symbolic link in its place (which is followed), or removed the lock file, when the directory was replaced (then it gets the index in
 * the new one), and when it is async and keeps the functions before it
 * waiting for more than 100 ms. So it must have no side effects. A function that declares a second parameter gets an {@link UpdateRun}:
 * which run this is, and a signal that is aborted when nobody waits for the run any more. (What counts is `fn.length`: a parameter
 * with a default value, and rest parameters, declare none.)
 *
 * Calls of one thread that wait for the same index share the next commit if their options are the same (apart from
 * `initial`, `migrate`, `timeout` and `signal`). Their functions run in the order of the calls. Each gets the very object that
 * the one before it returned, with everything in it that JSON would not keep (if it fails on that, it runs again on
 * what was written). The result is written once, and each promise resolves after that. A function that fails rejects
 * only the promise of its own call. `batchSize` tells how many calls there were. A thousand calls at once cost little
 * more than one.
 *
 * The file is written as by {@link atomicWrite}. If the functions have changed nothing, it is left as it is, however it
 * is formatted (`written: false`). Otherwise its indent, its line ends (LF, CRLF), a byte order mark, and what is after
 * the last bracket stay as they are, and the rest is laid out as `JSON.stringify` does it. JavaScript puts keys that are
 * whole numbers first, in ascending order, and keeps the last of several equal keys: that counts as a change. Waiting
 * costs no thread. While an update runs, `.NAME.lock` is beside
 * the file; if its process is killed, others take the lock over at once.
 *
 * Rejects with an {@link AtomicError} as {@link atomicWrite} does, and with
 * - `ERR_ATOMIC_CORRUPT_INDEX`: the file is not UTF-8 or not JSON (an empty file is not JSON either), or nothing that `codec` can parse. `offset`, `line`
 *   and `column` say where. It is never overwritten;
 * - `ERR_ATOMIC_LOSSY_INDEX`: the file has a number that JavaScript would change (see `numbers`). `offset`, `line` and
 *   `column` say where, `literal` which;
 * - `ERR_ATOMIC_SCHEMA`: the index, or what a function made of it, does not pass `schema`. `issues` are those of the schema;
 * - `ERR_ATOMIC_LOCK_TIMEOUT`: the call did not get the index within `timeout`. `lock` is the path of the lock file,
 *   `holder` who has it, as far as it says so. They are for people: a pid may be another container's;
 * - `ERR_ATOMIC_FN_TIMEOUT`: `fn` did not settle within `fnTimeout`;
 * - `ERR_ATOMIC_NO_LOCKS`: the file system has no locks (flock); keep the index on another one;
 * - `ERR_ATOMIC_NETWORK_FS`: the file is on a network file system (see `network`);
 * - `ERR_ATOMIC_REENTRANT`: the call was made inside `fn` of a call for the same file;
 * - `ERR_STRING_TOO_LONG`: the file, or what it is to become, is longer than a string can be (0x1fffffe8 characters);
 * - `ERR_ATOMIC_NO_CODEC`: the library of a codec of this package is not installed;
 * - `ERR_INVALID_RETURN_VALUE`: `fn` returned something else than an object or an array; or one that is not JSON; or
 *   one that JSON would write as `{}` although there is more to it: a `Map`, a `Set`, an iterator, an instance of a
 *   class without `toJSON`. The same is true for a `Map`, a `Set`, a promise and the like in it.
 *
 * An abort takes effect until the commit begins; for a call that is written alone, until its rename.
 *
 * For an object in a store (`s3://…`) there is no lock. Others replace the object only if it still is what they have read, so `fn` runs again
 * when another machine was faster. `timeout` bounds the whole call: it rejects with `ERR_ATOMIC_CONTENDED` when others were faster each
 * time, with `ERR_ATOMIC_LOCK_TIMEOUT` behind an earlier call of this process, and with what the store has failed with;
 * `ERR_ATOMIC_UNKNOWN_OUTCOME` says that the commit may have been made. `mode`, `flush`, `verify`, `mkdir`, `fallback`, `publish` and
 * `network` mean nothing there.
 *
 * Not promised: anything about programs that change the file without this function. Their changes are noticed until
 * right before the rename. So is that one has removed, moved or replaced the lock file; an update is lost if that happens after this look, and
 * another process reads the index, changes it and comes as far as its own look before the rename. Calls for the same file that an async `fn` makes, awaited or not, reject with
 * `ERR_ATOMIC_REENTRANT`, whichever function of this package it is: awaited they would wait for this call, and that they
 * are not cannot be known. That takes Node.js 20.16; and before Node.js 24 what a function calls after its first `await`
 * is not noticed if functions with the same source text, such as `(index) => change(index)`, have returned only plain
 * values so far: an update then waits until `timeout`, and a write waits for ever. Two functions that wait for each other's indexes do so until `timeout`. A write has
 * none: do not wait inside `fn` for a write of another file that waits behind an {@link atomicWriteAll} of both.
 */
export declare function atomicIndexUpdate<T extends object = any>(path: PathLike, fn: (index: T | undefined, run: UpdateRun) => T | PromiseLike<T>, options?: UpdateOptions<T> | null): Promise<UpdateResult>

/**
 * Publishes a whole set of objects below `prefix` at once, all or nothing: they are written under a prefix of their own, and then one
 * pointer is replaced. {@link readRelease} finds those of the newest release. Of older releases `keep` stay; what is left of publishers that
 * were killed is removed. For files it is refused with `ERR_ATOMIC_UNSUPPORTED`: there {@link atomicDirectory} replaces a whole directory.
 *
 * The `path` of an entry is relative to the prefix.
 */
export declare function atomicPublish(prefix: PathLike, entries: Iterable<ReleaseEntry> | AsyncIterable<ReleaseEntry>, options?: PublishOptions | null): Promise<PublishResult>

/**
 * Changes several files together: after it, all of them are as the transaction makes them, or none is, also if the process
 * is killed or the power fails in the middle. Resolves when that is on disk.
 *
 * `root` is a directory that all files are below; it is made if it is missing. `build` gets a {@link Transaction} and calls
 * `tx.write`, `tx.update`, `tx.remove`, `tx.rename` and `tx.mkdir`, which only register what is to be done. When it has
 * returned, or its promise has resolved, the files are locked, the functions that were given to `tx.update` run, if they have not
 * before, and all is committed. Whatever `build` or one of the functions throws is what the call rejects with; then nothing has changed. A list
 * of operations can be given in the place of `build`; a `build` that registers nothing and returns such a list is refused
 * (`ERR_INVALID_RETURN_VALUE`).
 *
 * ```ts
 * const { value } = await atomicTransaction('content', (tx) => {
 *   tx.write(`blog/${slug}.json`, text)
 *   tx.update<Posts>('index.json', (posts) => ({ ...posts, [slug]: title }), { initial: {} })
 *   tx.remove(`drafts/${slug}.json`, { missing: 'ignore' })
 *   return slug
 * })
 * ```
 *
 * Transactions and updates of this package below one root come after each other, whatever processes make them, and so do the writes of this
 * process but for those that block (*serializable*). A write of another process waits for no transaction, so of two that it makes one after the other, the
 * first may come after a transaction and the second before it. A program that reads the files in any other way sees each of them old or new, and complete, but for the
 * time of the renames some old and some new ones: {@link snapshotRead} reads several files as of one moment.
 *
 * Transactions of one thread that wait while another one commits are committed together: one record, one round of flushes,
 * and each index is parsed and written once. Their functions run in the order of the calls, each on what the one before it
 * has made. One that throws leaves out its own transaction as a whole. Functions may run while the transactions before them are being
 * committed, and run again if the indexes are not what they were given. So they may run more than once, and must have no side effects; an
 * async function holds the locks while it runs.
 *
 * A transaction that is interrupted is completed or undone by the next transaction, {@link snapshotRead} or
 * {@link recover} below the root, or by the first write or update of a process there. A file that another program has changed since
 * is left as it is; what the transaction would have written to it is kept beside it as `.NAME.….atomic-lost`. The root gets a
 * folder `.atomic` with a journal and locks: do not remove it while transactions run.
 *
 * Rejects with an {@link AtomicError} as {@link atomicWrite} and {@link atomicIndexUpdate} do, and with
 * - `ERR_ATOMIC_OUTSIDE_ROOT`: a path leads out of the root, by `..`, by a symbolic link or into another mount, or into
 *   `.atomic`;
 * - `ERR_ATOMIC_CONFLICT`: what `tx.read` had read was changed by others each time before the commit;
 * - `ERR_ATOMIC_LOCK_TIMEOUT`: the files or the indexes were not free within `timeout`;
 * - `EMFILE`: it updates more indexes than an eighth of the descriptors that the process may have (`ulimit -n`);
 * - `ERR_ATOMIC_NESTED`: the call was made inside a function of another transaction or update. An update that is called
 *   inside a function of a transaction rejects with it too;
 * - `ERR_ATOMIC_PENDING` (`committed: true`): it is committed, but a name could not be changed. Remove the cause; the next
 *   call below the root completes it;
 * - `ERR_ATOMIC_UNKNOWN`: the disk failed in the moment of the commit. {@link recover} tells whether it counts;
 * - `ERR_ATOMIC_JOURNAL`: the journal was written by another version, or belongs to another user; or something is mounted over a directory
 *   that an interrupted transaction changes. Nothing was changed.
 *
 * An abort of `signal` takes effect until the commit begins. Directories that had to be made stay if the transaction fails.
 *
 * Limits: 4,096 operations; all files on the file system of the root, and not in a directory that is mounted once more below it (`mount --bind`, a
 * volume of a container; the root itself may be one), not to be read either; no network file systems. Transactions of one root
 * commit one after the other, but those of different processes without common files wait no longer than a record takes.
 *
 * Not promised: anything about programs that write to the files without this package. Their changes are noticed until right
 * before the renames. On Windows, a program that has a file open can keep the transaction pending. Roots inside other roots
 * are independent of them.
 */
export declare function atomicTransaction<T = void>(root: PathLike, build: ((tx: Transaction) => T | PromiseLike<T>) | readonly TransactionOperation[], options?: TransactionOptions | null): Promise<TransactionResult<T>>

/**
 * Writes a file atomically. When the promise resolves, the data is on disk, was read back, and has its final name.
 * Every reader, at any time and after any crash, sees the old file or the new one, each of them complete.
 *
 * `data` is copied during the call and may be changed right after it. A string as `options` is the encoding. Symbolic
 * links are followed and stay links. Owner, mode, ACLs and extended attributes of a replaced file are kept as far as
 * the system permits; its hard links keep the old content. Nothing blocks the event loop.
 *
 * Writes to one file run in the order of the calls, so the last call wins. This holds for all paths that lead to the
 * file (relative, absolute, through a link) and for all worker threads of the process.
 *
 * If the directory is replaced before the call resolves, by {@link atomicDirectory} or by a rename, the file is written
 * again, in the new one; if there is none, `mkdir` decides. A symbolic link on the way that is switched meanwhile
 * changes nothing: the file is written where the path led at the call.
 *
 * Rejects with an {@link AtomicError}:
 * - errors of the operating system as in `node:fs`: `ENOSPC`, `EACCES`, `EISDIR`, … `EMFILE` only after ten seconds
 *   in which no descriptor became free; `EINVAL` for a name of our own unfinished files, see {@link PathLike};
 * - `ERR_MEMORY_ALLOCATION_FAILED`: there is no memory for the copy of `data`;
 * - `ERR_ATOMIC_VERIFY`: the bytes read back are not the bytes given;
 * - `ERR_ATOMIC_NOT_REGULAR`: the path names a device, a FIFO or a socket;
 * - `ERR_ATOMIC_REENTRANT`: the call was made inside the async function of an {@link atomicIndexUpdate} of the file;
 * - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
 *
 * If it rejects, the old file is unchanged and nothing is left behind, except parent directories that were created.
 * There is one exception, and it is marked: with `error.committed === true` the new file has its name, but flushing
 * the directory or closing the file failed, and a power cut may bring the old file back.
 *
 * While a write runs, a file `.NAME.xxxxxxxxxxxx.atomic-tmp` may be beside the target. A process that is killed may
 * leave it there; the next process that writes into the directory removes it. On a network file system it stays until {@link sweep} is
 * called, because nothing tells there whether a process of another machine has it.
 *
 * To watch for changes, watch the directory: each write puts another file in the place of the old one, which a watcher
 * of the file itself (`fs.watch(file)`) goes on watching and so hears of none after the first. See `publish` for
 * programs that wait for new files.
 *
 * Not promised: an order between the writes of two files; protection from a disk that reports a flush as done before
 * it is. Writes by other processes are not waited for: the last rename wins. A path that cannot be followed to its end
 * within a second, on a mount that does not answer, loses its place before calls with other paths.
 */
export declare function atomicWrite(path: PathLike, data: Data, options?: WriteOptions | BufferEncoding | null): Promise<WriteResult>

/**
 * Writes many files. Each is complete at any time, as with {@link atomicWrite}, and none is replaced unless all can
 * be: every entry is written to a staged file, read back and flushed, and only when that is done for all of them do
 * they get their names, in the order of the entries. Resolves with one result for each entry, in that order.
 *
 * Many flushes run at the same time, and each directory is flushed once: a thousand small files take little longer
 * than a few. `entries` is consumed as by `for await`, with back-pressure: at most two waves, each of up to 256
 * entries or 16 MiB (at least one entry), are in memory. The iterable may wait for anything but this call.
 *
 * Rejects with an {@link AtomicError} as {@link atomicWrite} does, with the `path` of the entry that failed and its
 * position as `entry`, and with
 * - `ERR_ATOMIC_DUPLICATE`: the entry names the same file as the one at `error.duplicateOf`, perhaps by another
 *   path;
 * - `ERR_ATOMIC_CHANGED`: a file that `ifChanged` left alone was changed or removed before the other files got their names;
 * - `ENOENT`: the directory of the entry was replaced or moved during the call;
 * - whatever `entries` or `onProgress` throws, as it is.
 *
 * If it rejects, all files are unchanged and nothing is left behind, except parent directories that were created.
 * There is one exception, and it is marked: with `error.committed === true` the first `error.replaced` entries have
 * their names and the others do not, and a power cut may bring old files back.
 *
 * An abort of `signal` takes effect until the first rename. In the order of writes to one file the call has its
 * place when its last entry is staged: an {@link atomicWrite} to one of the files that was called before that comes
 * first.
 *
 * Limits: batches use at most a quarter of the descriptors that the process may have (at most 4,096), so 10,000
 * files work at `ulimit -n 256`. On Linux about 32,000 staged files need no descriptor. Beyond that, and where the
 * file system does not support it (overlays, other platforms), files stay open, up to three quarters of the
 * descriptors; more than that rejects with `EMFILE`, after ten seconds.
 *
 * Do not wait for this call inside the function of an update of one of its files, and do not wait for one of its
 * files inside the function of an update of another: each would wait for the other.
 *
 * Not promised: that all files change at the same moment. While the renames run, readers may see new files beside
 * old ones, and a crash in that time leaves each file old or new, complete. To change all at the same moment,
 * replace a directory: {@link atomicDirectory}.
 */
export declare function atomicWriteAll(entries: Iterable<WriteEntry> | AsyncIterable<WriteEntry>, options?: WriteAllOptions | null): Promise<WriteResult[]>

/**
 * Writes a file as {@link atomicWrite} does, and returns when that is done: for handlers of `process.on('exit')`, in which nothing
 * asynchronous comes to its end, and for what a program writes before it serves anyone. It **blocks** the event loop for as long as
 * the disk takes to flush; elsewhere call {@link atomicWrite}. It works in worker threads.
 *
 * Options, result and errors are those of {@link atomicWrite}; what that rejects with is thrown. An option `signal` is refused
 * (`ERR_INVALID_ARG_VALUE`), as nothing can abort a thread that is blocked, and so are `ifVersion` and `backup`. Objects in stores
 * are `ERR_ATOMIC_UNSUPPORTED`. Where no file descriptor is free (`EMFILE`, `ENFILE`) it tries again for a tenth of a second, and not for ten
 * seconds, as nobody can close one meanwhile on this thread.
 *
 * It waits for no call of this process, because that could wait for the blocked thread: it comes before all that have not begun to
 * write. An {@link atomicWrite} of the file that was called before and has not written yet is not carried out, unless with `'wx'`: it
 * resolves with `written: false` when its turn comes, so the last call wins. The function of an {@link atomicIndexUpdate} that
 * has not been written runs again, on the new content. Batches, transactions and `AtomicFile`s that end later replace it.
 *
 * Inside the function of a call for the file, and while this program holds its lock ({@link acquireIndexLock}), it throws
 * `ERR_ATOMIC_REENTRANT`. In handlers of `process.on('exit')` it writes all the same, also where a worker thread exits and another thread has
 * the lock: what the function would have returned, and what is done under the lock, is not waited for. Locks of other
 * processes are not waited for, as {@link atomicWrite} does not.
 */
export declare function atomicWriteSync(path: PathLike, data: Data, options?: WriteSyncOptions | BufferEncoding | null): WriteResult

/** Which earlier versions of an index are kept. For files only; in a transaction one backup is kept, of each version. */
export interface BackupOptions {
  /**
   * Where the newest backup is. Older ones are beside it, and have `.1`, `.2`, … at the end.
   *
   * @default `${path}.backup`
   */
  path?: PathLike | undefined
  /**
   * How many backups to keep, from 1 to 1000. When a version is kept, each older backup moves on by one, and the last one goes. Nothing is
   * copied where the file system has links. Files of more generations, which an earlier call has kept, stay as they are.
   *
   * @default 1
   */
  generations?: number | undefined
  /**
   * Keep a version only if it was written that much later than the newest backup: in milliseconds, or a number with a unit, `'30s'`,
   * `'15m'`, `'1h'`, `'7d'`. What counts are the times of the files, so other programs that touch them change it.
   *
   * @default 0: keep each version
   */
  every?: number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}` | undefined
}

/**
 * As {@link atomicTransaction}, for code that has no function to give: `tx.commit()` commits. Without it nothing happens; the
 * transaction ends with the block of `await using`, or with `tx.rollback()`. What `tx.read` has read and others have
 * changed since rejects the commit with `ERR_ATOMIC_CONFLICT`, because there is no function to run again.
 *
 * ```ts
 * await using tx = await beginTransaction('content')
 * tx.write('a.json', '1')
 * tx.write('b.json', '2')
 * await tx.commit()
 * ```
 */
export declare function beginTransaction(root: PathLike, options?: Omit<TransactionOptions, 'retries'> | null): Promise<OpenTransaction>

/** What {@link atomicDirectory} did. */
export interface BuildResult<T = unknown> extends DirectoryResult {
  /** What `build` returned, or what its promise resolved with. */
  value: T
}

/**
 * Replaces a directory by a copy of another one, in one step: as with {@link atomicDirectory}, readers see the old
 * tree or the complete copy. All of it happens off the JavaScript thread.
 *
 * Files are copied with their permission bits (without set-id bits), symbolic links as links with the same text, and
 * directories even if they are empty. Owners, times, extended attributes and hard links between files are not
 * copied; nor is what this package has not finished there (`.NAME.xxxxxxxxxxxx.atomic-tmp`). Blocks are shared with the original where the file system supports that (btrfs, xfs); holes stay holes.
 *
 * Rejects with an {@link AtomicError} as {@link atomicDirectory} does, and with
 * - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in `from`;
 * - `ERR_ATOMIC_VERIFY`: a copy differs from its original, or the original changed in the meantime;
 * - `EINVAL`: one of the two directories is inside the other.
 */
export declare function copyDirectoryAtomic(from: PathLike, to: PathLike, options?: CopyDirectoryOptions | null): Promise<DirectoryResult>

/**
 * Options of {@link copyDirectoryAtomic}: those of {@link atomicDirectory}, and `verify`. A new directory gets the
 * mode of the directory that is copied.
 */
export interface CopyDirectoryOptions extends DirectoryOptions {
  /**
   * Read every file back and compare it with the file that it was copied from; a difference rejects with
   * `ERR_ATOMIC_VERIFY`.
   *
   * @default true
   */
  verify?: boolean | undefined
}

/** Options of {@link atomicDirectory}. They are read once, at the call. */
export interface DirectoryOptions {
  /**
   * Permission bits of the directory itself, as a number or as a string of octal digits. They are set exactly: the
   * umask does not apply.
   *
   * @default the mode of the replaced directory; for a new one 0o777 & ~umask
   */
  mode?: number | string | undefined
  /**
   * Flush every file and every directory of the new tree to disk before the tree gets its name, and the parent
   * directory after that. Without it, a power cut can bring the old tree back or leave files of the new one empty.
   *
   * @default true
   */
  flush?: boolean | undefined
  /**
   * Create missing parent directories, and flush each into its parent. They stay if the call fails. `false`
   * rejects with `ENOENT` instead.
   *
   * @default true
   */
  mkdir?: boolean | undefined
  /**
   * Aborts the call: it rejects with an `AbortError` and the old tree is unchanged. An abort that comes after the
   * new tree got its name has no effect. An abort while `build` runs takes effect when `build` has settled: pass
   * the signal on to the work that it does.
   */
  signal?: AbortSignal | undefined
  /**
   * Keep the old tree: `true` as `${path}.previous`, a path under that path, which must be on the same file system
   * (`EXDEV` otherwise, before `build` is called). An older tree at that place is replaced.
   *
   * @default false
   */
  keepPrevious?: boolean | PathLike | undefined
  /**
   * What to do where the file system cannot swap two directories in one step (some network file systems, and
   * Windows). A directory of a container's image needs something else, see `ERR_ATOMIC_NO_EXCHANGE`. `'rename'` renames the old tree away and then the new one to its place; for an instant
   * there is no directory under `path`. Without this option the call rejects with `ERR_ATOMIC_NO_EXCHANGE`.
   *
   * @default undefined
   */
  fallback?: 'rename' | undefined
}

/** What the replacement of a directory did. The fields say what was really done, not what was asked for. */
export interface DirectoryResult {
  /** The number of regular files in the new tree. */
  files: number
  /** The number of directories in the new tree, not counting the tree's own. */
  directories: number
  /** The number of symbolic links in the new tree. */
  links: number
  /** The total size of the files in bytes. */
  bytes: number
  /**
   * Whether the whole tree and its parent directory were flushed to disk, so that the new tree survives a power
   * cut. `false` without `flush`, on file systems in memory (tmpfs), on an overlay that is mounted `volatile`, on
   * network file systems whose flush need not reach the server's disk (SMB, AFS, sshfs, object stores), and
   * wherever the file system or the platform cannot flush.
   */
  durable: boolean
  /**
   * The path of the old tree if it still exists: with `keepPrevious`, or because it could not be removed
   * (`leftover`).
   */
  previous: string | null
  /**
   * Why the old tree could not be removed, or not completely. The new tree is in place all the same. The next
   * process that works in the same parent directory tries again to remove the rest, which is at `previous`.
   */
  leftover: AtomicError | null
}

/** How often a value was in which range, in {@link Stats}. */
export interface Histogram {
  /** What values are measured in. */
  unit: 'ms' | 'calls'
  /** The largest value of each bucket. A value is in the first bucket whose bound it does not exceed. */
  bounds: Array<number>
  /** How many values are in each bucket: one number more than there are bounds, the last for larger values. */
  counts: Array<number>
  /** How many values there are. */
  count: number
  /** The sum of all values. */
  sum: number
}

/** Options of {@link acquireIndexLock} and {@link withIndexLock}. */
export interface IndexLockOptions extends Pick<UpdateOptions, 'mkdir' | 'fallback' | 'network'> {
  /**
   * How long to wait for the lock, or for all of them, in milliseconds: for earlier calls of this process and then for
   * other processes. Then the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`, and holds nothing. 0 tries once; `Infinity` waits
   * without a limit.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /** Ends the waiting: the call rejects with an `AbortError`. It has no effect once the lock is held. */
  signal?: AbortSignal | undefined
}

/** What {@link readIndex} has read. */
export interface IndexRead<T = any> {
  /** The parsed index; without one `initial`, or `undefined`. */
  value: T | undefined
  /**
   * Where the value comes from: from the file, from a backup, or from `initial`, because there is no file. Of an object in a store only
   * `'backup'` is said.
   */
  source?: 'file' | 'backup' | 'initial'
  /** The version of an object in a store, to be given to `ifVersion`; `undefined` if there is no object, and for files. */
  version?: string
  /** The path of the backup that was read. */
  backup?: string
  /** With `source: 'backup'`: why the index itself could not be used; `undefined` if it is missing. */
  corrupt?: AtomicError
}

/**
 * Finds out what the file system of a directory keeps, and what follows from it for data there: by trying, in a folder with a temp name in
 * that directory, which it removes. It takes as long as some twenty flushes of the disk.
 *
 * ```ts
 * const { traits } = await inspectDirectory('/srv/content')
 * console.table(traits, ['name', 'value', 'means'])
 * ```
 *
 * Rejects with an {@link AtomicError} if the folder cannot be made: `ENOENT`, `ENOTDIR`, `EACCES`, `EROFS`, `ENOSPC`; and with
 * `ERR_ATOMIC_UNSUPPORTED` for a place in a store. What cannot be tried has the value `null`: all but `fileSystem`, `device`, `local`, and a `durable` that is `false` anyway,
 * in an append-only directory (`chattr +a`), where that folder would stay.
 *
 * Not promised: whether the device keeps what it says is flushed; no program can find that out without cutting its power. `locks` is tried
 * with two open files of this process, which is how the system tells processes apart. A directory below can differ from this one (mounts,
 * `chattr +F`).
 */
export declare function inspectDirectory(directory: PathLike, options?: InspectOptions | null): Promise<DirectoryInspection>

/**
 * Tells whether a process has the lock of an index at this moment, and which one, without waiting for it. Neither the index nor its lock file
 * need be there, and no right to write is needed.
 *
 * Rejects with an {@link AtomicError}: `ENOENT` if the directory is missing, `EACCES`, `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_UNSUPPORTED` for an
 * object in a store.
 *
 * Not promised: that the answer still holds when it arrives. To look, the lock is taken for an instant, shared; a call with `timeout: 0` tries
 * for a millisecond because of that. To change the index, take the lock ({@link acquireIndexLock}).
 */
export declare function inspectIndexLock(path: PathLike): Promise<IndexLockState>

/**
 * Tells what {@link inspectIndexLock} resolves with; what that rejects with is thrown. It **blocks** the event loop for a few calls of the
 * system.
 */
export declare function inspectIndexLockSync(path: PathLike): IndexLockState

/** Options of {@link inspectDirectory}. */
export interface InspectOptions {
  /** Aborts the call. */
  signal?: AbortSignal | undefined
}

/**
 * Lists the objects of a store whose names begin with `prefix` (`s3://bucket/blog/`), in the order of their names. For files it is refused
 * with `ERR_ATOMIC_UNSUPPORTED`: `readdir` of `node:fs` lists these. Errors reject the first step of the iteration.
 */
export declare function list(prefix: PathLike, options?: (CloudOptions & { signal?: AbortSignal | undefined }) | null): AsyncIterable<ListedObject>

/**
 * Reads and parses a JSON file, or an object in a store, as {@link atomicIndexUpdate} does it for its function. It takes no lock and waits
 * for nobody, and needs no right to write: it reads one complete version, which may be replaced by the time the promise resolves. To change an
 * index, use {@link atomicIndexUpdate}: what is read here and written later may undo what others have written meanwhile.
 *
 * `options.initial` is what a file that does not exist counts as; `options.numbers` says what becomes of numbers that JavaScript would
 * change, `options.codec` what parses the file, `options.schema` what the index has to be like, as in {@link UpdateOptions}. `options.migrate` works on the value that is
 * returned: the file stays as it is. For an object there are those of {@link CloudOptions} too.
 *
 * Rejects with an {@link AtomicError}: `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`, `ERR_ATOMIC_SCHEMA`, `ERR_STRING_TOO_LONG`, with
 * what opening and reading fail with (not `ENOENT`), and with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`. With `fallback`: if no backup
 * is good, with what is wrong with the index itself.
 */
export declare function readIndex<T = any>(path: PathLike, options?: ReadIndexOptions<T> | null): Promise<IndexRead<T>>

/**
 * Reads one value of a JSON file, at a JSON pointer (RFC 6901) such as `'/posts/hello'`, without parsing the rest. Resolves with `undefined` if the
 * pointer leads nowhere, or there is no file. The empty pointer is the whole index.
 *
 * The text is searched on a worker: the one that this process keeps from its last commit, if the file is still that, or else the file as it is read and checked now
 * (UTF-8, JSON). Only the value that is found is parsed, on the JavaScript thread. It takes no lock
 * and waits for nobody, as {@link readIndex}. Memory: the value; also one text of the file, for the empty pointer, and where the text is kept, damaged or odd (keys or
 * numbers of more than 4 KiB). Of equal keys the last one counts.
 *
 * `numbers` means what it means for {@link readIndex}, for the value that is returned: the rest is not looked at. `fallback: 'backup'` reads
 * the newest good backup if the index is broken or missing. What needs the whole index is refused (`ERR_INVALID_ARG_VALUE`): `initial`, `codec`, `schema`,
 * `migrate`, `onCorrupt`.
 *
 * Rejects as {@link readIndex} does; with `ERR_INVALID_ARG_VALUE`, if `pointer` is none or has more than 1,000 keys; with `ERR_ATOMIC_UNSUPPORTED` for an object in a store.
 */
export declare function readIndexAt<T = any>(path: PathLike, pointer: string, options?: ReadIndexAtOptions | null): Promise<T | undefined>

/**
 * Reads the keys of an object in a JSON file, or of the array there (`'0'`, `'1'`, …), at a JSON pointer: by default of the index itself. It parses
 * nothing else. They are in the order of the file; JavaScript would put whole numbers first. Resolves with `undefined` if there is neither an
 * object nor an array.
 *
 * Options and errors are those of {@link readIndexAt}.
 */
export declare function readIndexKeys(path: PathLike, pointer?: string | null, options?: ReadIndexAtOptions | null): Promise<string[] | undefined>

/** Options of {@link readIndex}. */
export interface ReadIndexOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'>, CloudOptions {
  /**
   * What to do if the index is broken or missing: it is not JSON, it does not pass `schema`, or the disk cannot read it (`EIO`).
   * `'backup'` reads the newest good one of `${path}.backup`, `${path}.backup.1` and so on, as the option `backup` of
   * {@link atomicIndexUpdate} leaves them; `source` says so. Nothing is changed on disk.
   *
   * @default the call rejects, and a missing file counts as `initial`
   */
  fallback?: 'backup' | undefined
}

/**
 * Goes through the records of a large JSON file: the items of an array, or the members of an object as `[key, value]`, at a JSON pointer, by
 * default of the index itself. Some 256 KiB are parsed at a time, so the event loop is never held up for long.
 *
 * ```ts
 * for await (const post of readIndexRecords('posts.json', '/posts')) console.log(post.title)
 * for await (const [slug, post] of readIndexRecords('topics.json', '/topics')) console.log(slug, post)
 * ```
 *
 * All records are of one version of the file, the one that the first step has read; its text is in memory until the loop ends. There is no step
 * if the pointer leads to no array and no object. A key that an object has twice comes twice; the last one counts.
 *
 * Options and errors are those of {@link readIndexAt}, but for `fallback`, which is refused.
 */
export declare function readIndexRecords<T = any>(path: PathLike, pointer?: string | null, options?: Pick<ReadIndexAtOptions, 'numbers'> | null): AsyncGenerator<T, void, undefined>

/**
 * Reads and parses a JSON file as {@link readIndex} does, and returns what that resolves with: for configuration that a program needs
 * before anything else. It **blocks** the event loop meanwhile. It takes no lock and waits for no other call, so it sees the
 * last version that has its name, whatever is under way.
 *
 * Options, result and errors are those of {@link readIndex}; what that rejects with is thrown. Where no file descriptor is free (`EMFILE`,
 * `ENFILE`) it tries again for a tenth of a second, and not for ten seconds, as nobody can close one meanwhile on this thread.
 * A `schema` or `migrate` that returns a promise is refused (`ERR_INVALID_ARG_VALUE`). Objects in stores are `ERR_ATOMIC_UNSUPPORTED`.
 */
export declare function readIndexSync<T = any>(path: PathLike, options?: ReadIndexSyncOptions<T> | null): IndexRead<T>

/**
 * Reads a file line by line, as `for await` goes on: a quarter of a megabyte of it, or a line that is longer, is in memory at a time, as
 * bytes and as strings. Measured, the process grows by 40 MB for a file of lines of 60 bytes, and by 115 MB for one of empty lines,
 * however long it is; most of that is garbage that is yet to be collected. A line that is longer than a quarter of a megabyte is in memory as a whole,
 * twice for a moment: measured, 130 MB for one line of 64 MB, and 260 MB for three of them after each other. The time grows with the length of
 * a line and no faster (0.4 s of processor time for 64 MB). It takes no lock and needs no right to write. Splitting and checking are done on a worker.
 *
 * ```ts
 * for await (const event of readLines('events.jsonl', { json: true })) console.log(event)
 * ```
 *
 * What is no whole line is skipped, and told to `onTorn`: a last line without a line end, which may be an append that is
 * under way; lines with NUL bytes, which a power cut can leave; lines that are not UTF-8. With `json: true` (see the other
 * signature) lines that are not JSON are skipped too, and a last line that lacks only its line end is given. A byte order
 * mark at the beginning is no part of the first line; a carriage return at the end of a line is.
 *
 * The first step opens the file, and all steps read that one: lines that are appended meanwhile are given, and after a rotation by
 * {@link appendLines} those of the old file, to its end. Leaving the loop closes the file.
 *
 * To read rotated files too while others append, open all of them before the first loop, by one `next()` each, from the newest to the
 * oldest: `NAME`, `NAME.1`, `NAME.2`, …. A rotation meanwhile then loses no line of those that are kept; it can bring one file twice,
 * which its lines tell. In the other order it would leave a file out.
 *
 * A file that is made shorter or overwritten while it is read (by `copytruncate` of logrotate, or an append that takes back what it
 * could not write) ends where no line begins any more, and `onTorn` is told with the reason `'changed'`. That is not seen
 * if by chance a line begins at that very place again.
 *
 * The first step rejects with an {@link AtomicError}: `ENOENT`, `EACCES`, …, `ERR_ATOMIC_NOT_REGULAR`, `ERR_ATOMIC_UNSUPPORTED` for an
 * object in a store, `ERR_INVALID_ARG_TYPE`. Any step rejects with what reading fails with, and with `ERR_STRING_TOO_LONG` for a
 * line that no string can hold.
 */
export declare function readLines(path: PathLike, options?: (ReadLinesOptions & { json?: false | undefined }) | null): AsyncGenerator<string, void, undefined>

/** Options of {@link readLines}. They are read once, when the function is called. */
export interface ReadLinesOptions {
  /**
   * Parse each line with `JSON.parse`, and give the values. Lines of white space are passed over.
   *
   * @default false
   */
  json?: boolean | undefined
  /**
   * Is told of each line that is skipped. What it throws rejects the step. Without it, what a crash may have left is skipped silently; where other lines
   * were skipped (`'json'`, `'utf8'`), the process gets one warning (`ATOMIC_LINES_SKIPPED`) when the loop has ended, once for a file in each thread.
   */
  onTorn?: ((torn: SkippedLine) => void) | undefined
}

/**
 * Tells which release below `prefix` is the newest, and where its objects are. For files it is refused with
 * `ERR_ATOMIC_UNSUPPORTED`: a directory that {@link atomicDirectory} has replaced is read by its path.
 */
export declare function readRelease(prefix: PathLike, options?: (CloudOptions & { signal?: AbortSignal | undefined }) | null): Promise<Release>

/**
 * Completes or undoes what an interrupted transaction below `root` has left, and says what it found and did, file by file.
 * It need not be called: the next transaction, {@link snapshotRead} or first write of a process below the root does the same.
 * It is for programs that read the files in another way, such as a web server: call it before they start.
 *
 * While a transaction is at work it waits for it, up to `timeout` milliseconds (default 30,000). What cannot be recovered (a
 * journal of another version, a file that cannot be renamed, a directory over which something is mounted) rejects; with `giveUp: true` it is given up: what was staged is kept as
 * `.NAME.….atomic-lost`, what stands stays. What was staged in a directory over which something is mounted cannot be kept: unmount it first.
 */
export declare function recover(root: PathLike, options?: RecoverOptions | null): Promise<Recovered>

/**
 * Makes an index good again that is broken or missing. It takes the lock of {@link atomicIndexUpdate} and looks at the index under it. If it is
 * good, nothing is done: so of many processes that have found it broken one recovers it, and no older state is put over a newer one.
 *
 * Broken is an index that is not JSON, or that `codec` cannot parse (`ERR_ATOMIC_CORRUPT_INDEX`), that does not pass `schema` even after `migrate`
 * (`ERR_ATOMIC_SCHEMA`), or that the disk cannot read (`EIO`). It is replaced by the first of these that there is:
 *
 * 1. the newest good one of `${path}.backup`, `${path}.backup.1` and so on, as the option `backup` of {@link atomicIndexUpdate} leaves them:
 *    byte for byte, or what `migrate` makes of it. The backup stays;
 * 2. what `rebuild` returns;
 * 3. `initial`.
 *
 * Before that the broken file gets a second name beside it (see `setAside`), by a link, or as a copy where there are no links; no file is ever
 * overwritten by that or removed. The index is replaced in one step, as by {@link atomicWrite}: readers find the broken one or the
 * good one at any time, also after a kill or a power cut, and never none. After a kill in between the next call uses the name that is there.
 *
 * ```ts
 * const { action, setAside } = await recoverIndex('posts/index.json', { rebuild: listPosts })
 * if (setAside) console.warn(`The index was ${action}; what was broken is in ${setAside}`)
 * ```
 *
 * Rejects with an {@link AtomicError}: with what is wrong with the index (`ENOENT` if it is missing), if there is nothing to put in its
 * place; `ERR_ATOMIC_LOSSY_INDEX` for numbers that JavaScript would change (see `numbers`), which is no damage;
 * `ERR_INVALID_RETURN_VALUE` and `ERR_ATOMIC_SCHEMA` for what `rebuild` returned; `ERR_ATOMIC_UNSUPPORTED` for an object in a store, whose
 * bucket can keep versions; `ERR_ATOMIC_LOCK_LOST`, if another program has removed or replaced the lock file meanwhile: make the call again,
 * which uses what this one has set aside; and as {@link acquireIndexLock} and {@link atomicWrite} do. Then the index is unchanged, unless `error.committed` is `true`.
 *
 * Not promised: what was changed since the backup was kept is not in it; `rebuild` is not asked for that.
 */
export declare function recoverIndex<T extends object = any>(path: PathLike, options?: RecoverIndexOptions<T> | null): Promise<IndexRecovery<T>>

/** Options of {@link IndexLock.recover}, and of {@link recoverIndex}. */
export interface RecoveryOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate' | 'flush' | 'verify'> {
  /**
   * Makes an index when no backup is good, from what it was made of: the files that it lists. It gets the error that says what is wrong
   * with the index, or `undefined` if the file is missing. It is called with the lock held, at most once for all processes if it
   * succeeds, and may be async. What it throws is what the call rejects with, and the index stays as it is. Calls for the same index inside
   * it reject with `ERR_ATOMIC_REENTRANT`.
   *
   * @default `initial` is put in its place
   */
  rebuild?: ((corrupt: AtomicError | undefined) => T | PromiseLike<T>) | undefined
  /**
   * Aborts the call until the index is replaced, also while `schema`, `migrate` or `rebuild` takes its time: it rejects with an `AbortError`, the
   * index is unchanged, and the lock is free. Nothing else ends a function that never settles: `AbortSignal.timeout(60_000)` does.
   */
  signal?: AbortSignal | undefined
}

/**
 * Removes a file, or an object in a store. One that does not exist is no error: the result says `removed: false`.
 *
 * Among the writes to one file the removal has its place in the order of the calls: what is called after it finds no file. (A write with
 * `flag: 'wx'` looks at the name before its turn: wait for the removal first.) A
 * symbolic link is followed as by {@link atomicWrite}: the file goes, and the link stays. Directories are not removed (`EISDIR`). The
 * lock of an index is not taken: an update of another process that is under way makes the file again, from nothing.
 *
 * Rejects with an {@link AtomicError} as {@link atomicWrite} does. With `error.committed === true` the file is removed, but flushing
 * the directory failed, and a power cut may bring it back.
 */
export declare function remove(path: PathLike, options?: RemoveOptions | null): Promise<RemoveResult>

/** Options of {@link remove}. */
export interface RemoveOptions extends CloudOptions {
  /**
   * Flush the directory to disk (fsync) afterwards. Without it a power cut can bring the file back.
   *
   * @default true
   */
  flush?: boolean | undefined
  /**
   * Remove an object in a store only if it still has this version; otherwise the call rejects with `ERR_ATOMIC_CONFLICT`. Files
   * have no versions, and are refused with it (`ERR_INVALID_ARG_VALUE`).
   *
   * @default undefined
   */
  ifVersion?: string | undefined
  /**
   * Aborts the call: it rejects with an `AbortError`, and the file is there. An abort that comes after the file was removed has no
   * effect.
   */
  signal?: AbortSignal | undefined
}

/** What {@link remove} did. */
export interface RemoveResult {
  /** Whether there was something to remove. */
  removed: boolean
  /** Whether the removal survives a power cut. `false` if there was nothing to remove: another program may just have removed it. */
  durable: boolean
}

/**
 * Puts an earlier version of an index back, under the lock of {@link atomicIndexUpdate}. `backup` is the number of a generation, 0 for
 * `${path}.backup`, 1 for `${path}.backup.1` and so on, or the path of any file that is an index. What is no JSON needs `codec`.
 *
 * The version that was there becomes the newest backup, so `restoreIndex(path, 0)` undoes it. A generation that is put back leaves the row of
 * backups: of the index and its backups no version is lost, and no more are kept than before. A file outside the row stays where it is. An index that
 * is not JSON (or that `codec` cannot parse), or that the disk cannot read, becomes no backup: it is set aside, as by {@link recoverIndex}. An index that says the same as the
 * backup is left as it is. Without an index the backup is copied.
 *
 * Rejects with an {@link AtomicError}: `ERR_ATOMIC_CORRUPT_INDEX` or `ENOENT` with the `path` of the backup, if that is not JSON or missing;
 * `EAGAIN`, if a program without the lock has changed the index meanwhile, and `ERR_ATOMIC_LOCK_LOST`, if one has removed or replaced the lock
 * file: make the call again, which uses what this one has set aside; `ERR_ATOMIC_UNSUPPORTED` for an object in a store; and as
 * {@link acquireIndexLock} and {@link atomicWrite} do. Then the index and its backups are what they were (with `EAGAIN` one may be
 * there that was made of the version before), unless `error.committed` is `true`.
 *
 * Not promised: a process that is killed in the middle loses no version, but may leave one backup more than before, under other numbers. Look at
 * them before the call is made again.
 */
export declare function restoreIndex(path: PathLike, backup: number | PathLike, options?: RestoreIndexOptions | null): Promise<IndexRestoration>

/**
 * Reads several files below `root` as they were at one moment: never some from before and some from after a transaction or a
 * write of this package. Resolves with their contents in the order of `paths`; `null` for a file that is not there.
 *
 * It needs no right to write: then a transaction that was interrupted, and that it cannot recover, is read as it will be when
 * it is. It repeats until nothing has changed meanwhile. Rejects with `ERR_ATOMIC_LOCK_TIMEOUT` if that does not succeed
 * within `timeout` milliseconds (default 30,000), with `ERR_ATOMIC_OUTSIDE_ROOT`, and with what opening and reading fail
 * with.
 */
export declare function snapshotRead<const P extends readonly PathLike[]>(root: PathLike, paths: P, options?: SnapshotOptions | BufferEncoding | null): Promise<{ -readonly [K in keyof P]: string | null }>

/**
 * As {@link snapshotRead}, for JSON, or what `codec` parses: resolves with the parsed values, and `undefined` for a file that is not there. Rejects with
 * `ERR_ATOMIC_CORRUPT_INDEX` for one that is neither.
 */
export declare function snapshotReadIndex<T extends readonly unknown[] = any[]>(root: PathLike, paths: readonly PathLike[], options?: (Omit<SnapshotOptions, 'encoding'> & Pick<UpdateOptions, 'codec'>) | null): Promise<{ [K in keyof T]: T[K] | undefined }>

/**
 * Counts what this process has done since it started: all of its threads together, and all copies of the package that share
 * one addon. Counting costs a few nanoseconds a call.
 *
 * Not promised: that counters which belong together are read at one moment while calls are at work.
 */
export declare function stats(): Stats

/**
 * What {@link stats} returns. Each counter begins at 0 with the process and never goes down; what happens in the time between
 * two calls is the difference.
 */
export interface Stats {
  /**
   * Files that have got new content under their names, by whatever function: an update that is written is one, a batch of ten files is
   * ten, a backup that had to be copied is one of its own.
   */
  writes: number
  /** The bytes of these files, and of lines that were appended. */
  bytes: number
  /** Files that were left alone because they had the right content: by `ifChanged`, and indexes that no function changed. */
  unchanged: number
  /** Read-backs that found other bytes than those given. The calls reject with `ERR_ATOMIC_VERIFY`. */
  verifyFailures: number
  /**
   * How often calls for files have met an error of the system or of this package, by its `code`: `ENOSPC`,
   * `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_SCHEMA`, … An error that a call goes on after (a broken index that `onCorrupt` recovers)
   * counts too, and what a schema that returns promises refuses of a function that ran twice counts twice. Not counted: aborts,
   * wrong arguments, what functions of the caller throw or return that is no index (`ERR_INVALID_RETURN_VALUE`), and the
   * errors of object stores.
   */
  failures: Record<string, number>
  /** Flushes of files: calls of fsync(2) or fdatasync(2). */
  fileFlushes: number
  /** Flushes of directories. */
  directoryFlushes: number
  /** The flushes of directories that served several calls at once. */
  sharedFlushes: number
  /**
   * How long calls have waited from when they were made until they had their locks, in milliseconds: updates, locks that were acquired,
   * and groups of transactions.
   */
  lockWaits: Histogram
  /** How many calls have shared a commit: one value for each commit of updates, transactions or appends. */
  groupSizes: Histogram
  /** Temp files and directories that were removed because the processes that had made them are dead. */
  leftovers: number
  /**
   * Recoveries: interrupted transactions that were completed or dropped, and indexes that were given other content because they were
   * broken or missing.
   */
  recoveries: number
  /** Updates of indexes that have succeeded, each of those that share a commit; of objects in stores too. */
  updates: number
  /** Lines that were appended. */
  lines: number
  /** Calls of {@link atomicWriteAll} that have written files. */
  batches: number
  /** Directories that were replaced or made by {@link atomicDirectory} and {@link copyDirectoryAtomic}. */
  directories: number
  /** Transactions that were committed, each of those that share a commit. */
  transactions: number
}

/**
 * Removes what killed processes have left in a directory: temp files, lock files, trees that were being built or removed, files that a
 * transaction has staged. As a rule it need not be called: the first write of a process in a directory removes the temp files there, and the next
 * update of an index its lock file. It is for directories in which nobody writes any more, for people who want to see what there is, and for
 * network file systems and folders that are shared with a virtual machine's host, where a write removes no temp files.
 *
 * Whether a living process has something is told by locks of the system (`flock`), which a killed process cannot have: so it holds for
 * other threads, other processes, and processes in other containers that have the directory mounted. Neither process ids nor names of
 * hosts are looked at.
 *
 * Not removed, but told in `kept`: what belongs to a transaction that {@link recover} has to complete first, and what may be the only copy of
 * something. Not touched and not told: backups, `NAME.corrupt-…` and `NAME.torn-…` files, and all files of other programs.
 *
 * ```ts
 * const { removed, kept } = await sweep('content', { recursive: true, olderThan: 3_600_000 })
 * for (const { path, reason } of kept) console.warn(`${path} stays: ${reason}`)
 * ```
 *
 * It runs on a thread of its own and holds a few descriptors, however many files there are; the result grows with the leftovers.
 * Removals are not flushed: a power cut can bring leftovers back.
 *
 * Rejects with an {@link AtomicError}: `ENOENT`, `ENOTDIR`, `EACCES` for `directory` itself; `ERR_ATOMIC_UNSUPPORTED` for a place in a store.
 * What fails below is told in `errors` and `kept`, and the sweep goes on.
 *
 * Not promised: files whose lock was given up by the file system (an overlay that copies a file up) count as left behind. Use `olderThan`
 * there. On a network file system, or in a folder that is shared with a host, locks need not reach other machines: what their living writers
 * have staged can be removed. Call it there when nobody else writes.
 */
export declare function sweep(directory: PathLike, options?: SweepOptions | null): Promise<SweepResult>

/** Options of {@link sweep}. */
export interface SweepOptions {
  /**
   * Sweep the directories below too. Neither symbolic links nor mounts are followed, and no tree that is being built is entered.
   *
   * @default false
   */
  recursive?: boolean | undefined
  /**
   * Keep what was changed less than so many milliseconds ago; of a tree, the newest change in it counts. What a living process has stays in any case, however old it is.
   *
   * @default 0
   */
  olderThan?: number | undefined
  /**
   * Remove nothing, and tell what would be removed.
   *
   * @default false
   */
  dryRun?: boolean | undefined
  /** Aborts the call. What was removed by then is gone; when the call rejects, nothing more is removed. */
  signal?: AbortSignal | undefined
}

/** A part of a line that {@link appendLines} has found at the end of the file and set aside. */
export interface TornLine {
  /**
   * Where its bytes are now: the path of the call, with `.torn-` and 16 digits. If the path is a link into another directory, they are beside
   * the file that it leads to, and this is an absolute path.
   */
  path: string
  /** Where it began in the file, in bytes. */
  offset: number
  /** How long it is, in bytes. */
  bytes: number
}

/**
 * Options of {@link atomicIndexUpdate}. `mode`, `flush`, `verify`, `mkdir`, `fallback`, `publish` and `signal` are those of
 * {@link atomicWrite}. They are read once, when the function is called. An option of the wrong type rejects with
 * `ERR_INVALID_ARG_TYPE`, one with a value that does not exist with `ERR_INVALID_ARG_VALUE`.
 */
export interface UpdateOptions<T = any> extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'fallback' | 'publish' | 'signal' | 'endpoint' | 'maxAttempts'> {
  /**
   * What `fn` gets if the file does not exist. It is copied as JSON during the call, so one value can serve many
   * calls; with `codec`, that copies it. A value that JSON, or the codec, cannot express rejects with `ERR_INVALID_ARG_VALUE`.
   *
   * @default undefined
   */
  initial?: T | undefined
  /**
   * The indent, as for `JSON.stringify`: a number of spaces (0: all on one line), or a string of white space. If the
   * file has another one, it is written even if `fn` changes nothing.
   *
   * @default the indent of the file; for a new file 2
   */
  space?: number | string | undefined
  /**
   * What is kept in memory for the next update of the index: `'text'`, what the file says, or `'value'`, also what that is parsed. An update
   * after another one, with nobody else writing in between, then parses nothing and prints only what `fn` has changed. What is written is the same.
   * In return the index is frozen, all of it, whenever `fn` is called:
   *
   * - `fn` returns a new index that shares with the old one what it does not change: `(index) => ({ ...index, posts: index.posts.with(3, post) })`.
   *   A copy of all of it is right too, and slower.
   * - A change in place throws a `TypeError` in strict mode (modules, classes, what TypeScript makes), and the call rejects with it. In sloppy mode
   *   JavaScript ignores it. So a function that returns the very index that it was given runs once more, with a copy that is not
   *   frozen: if it changes that, the call rejects with `ERR_INVALID_RETURN_VALUE`. Not found out is a function in sloppy mode that changes a part
   *   in place **and** returns a new index: that change is lost.
   * - What `fn` puts into the index stays its own: it is copied, and not frozen. Functions that share a commit are given what JSON
   *   has of the index that the one before returned: a date is a string there. After the first nine of a commit they get it as without the option, not frozen.
   * - A `schema` is given the frozen index, so it cannot write defaults into it. `migrate` is given a copy that is not frozen, and what it returns is not frozen for `fn` either.
   * - What is nested deeper than 100 levels is not frozen, and such an index is not kept.
   *
   * The file is parsed after any other write (by another process or thread, a patch, an update without the option), after a call that failed, and
   * after a change of more than 100 places, or of the order of more than 100 members. Such an update takes longer than one without the option, and so does one that changes nothing.
   *
   * A value takes much more memory than its text: about three times as much for records of a few members, and ten times and more for many empty arrays.
   * Each thread that updates indexes keeps values of 64 MiB of texts at most, or one of a text of 256 MiB, of the 64 files that the process keeps the texts of, on file systems that tell
   * versions of a file apart (ext4, xfs, btrfs). It looks which are still needed when it keeps the next one: that of a file that is gone stays until then.
   * Calls share a commit only if their `keep` is the same (transactions in any case: see {@link TransactionUpdateOptions}). With `codec`, and in stores, it means nothing.
   *
   * @default 'text'
   */
  keep?: 'text' | 'value' | undefined
  /**
   * What becomes of numbers in the file that JavaScript would change, because a `number` has only about 16 digits:
   * `1161888007138312192` would become `1161888007138312200`, and `1e400` would become `null`.
   *
   * - `'strict'`: they are refused. The call rejects with `ERR_ATOMIC_LOSSY_INDEX` before `fn` is called. This is
   *   about whole numbers and numbers that are too large. Decimals are rounded to the nearest `number`, as everywhere
   *   in JavaScript, and `-0` may become `0`.
   * - `'lossy'`: they are changed.
   * - `'exact'`: all digits of those that `fn` does not replace stay as they are in the file, also those of decimals.
   *   `fn` gets each such number as an object that `JSON.rawJSON` has made, and can pass it on, move it or copy it; its
   *   digits are in `rawJSON`: `BigInt(index.id.rawJSON)`. All other numbers are plain ones. It needs Node.js 22 or
   *   newer: older ones reject with `ERR_INVALID_ARG_VALUE`.
   *
   * @default 'strict'
   */
  numbers?: 'strict' | 'lossy' | 'exact' | undefined
  /**
   * Keep the version before this one: `true` as `${path}.backup`, a path under that path. The old file gets that
   * name; it is copied only where the file system cannot do that. The backup is not touched when nothing is written.
   * For calls that share a commit, it is the version before all of them. A process that is killed right after the
   * index was replaced leaves the backup before. {@link BackupOptions} keep more than one.
   *
   * @default false
   */
  backup?: boolean | PathLike | BackupOptions | undefined
  /**
   * How long to wait for the index, in milliseconds: for earlier calls of this process and then for other
   * processes. Then the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`. 0 tries once; `Infinity` waits without a
   * limit.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * How long a run of an async `fn` may take, in milliseconds. After that the function is given up: the signal in its second argument
   * is aborted, the call rejects with `ERR_ATOMIC_FN_TIMEOUT`, nothing of it is written, and the lock goes on to the next call.
   * What the function does after that has no effect on the index. A function that never returns cannot be given up.
   *
   * @default `Infinity`
   */
  fnTimeout?: number | undefined
  /**
   * What to do on a network file system: NFS, SMB, 9p, Ceph, Lustre, AFS, and FUSE mounts such as sshfs, rclone or
   * s3fs, known by the type of the mount. `'refuse'` rejects with `ERR_ATOMIC_NETWORK_FS`. `'allow'` updates the
   * index all the same; it is safe if only the processes of one machine do that. The directory is then opened anew
   * under the lock, because a machine may still see the index that another one has replaced.
   *
   * Not promised with `'allow'`, if several machines update the index: a machine that is cut off from the server may
   * go on under a lock that the server has given to another machine, and then one of the two updates is lost. Some
   * mounts have locks that other machines do not see (`local_lock`, `nolock`, most FUSE mounts).
   *
   * 9p is often the file system of a virtual machine's host, and of its programs (WSL's `/mnt`, gVisor). If nothing
   * outside updates the index, `'allow'` is safe there.
   *
   * @default 'refuse'
   */
  network?: 'refuse' | 'allow' | undefined
  /**
   * What parses and prints the index, if that is no plain JSON: `parse(text)` gets what the file says, and `stringify(value, previous)` makes the
   * text that replaces it, from what `fn` returned. `previous` is the text that is replaced (`undefined` for a new file), for a codec that keeps
   * comments. `@pipeline/atomic/jsonc`, `/yaml`, `/toml` and `/devalue` are ready ones. Both functions are synchronous; they run under the
   * lock, once for all calls that share a commit. Only calls with the very same codec do.
   *
   * - A `parse` that throws rejects with `ERR_ATOMIC_CORRUPT_INDEX`: `cause` is what it has thrown; `offset`, `line` and `column` say where,
   *   if that has an `offset` (in UTF-16 units), or a `line` and a `column` from 1. So does a file that is not UTF-8, is empty, or has NUL
   *   characters, as after a power cut; `parse` is not called for that.
   * - A `stringify` that throws, or returns something else than a string that can be read again (not empty, no NUL characters, no lone surrogates),
   *   rejects with `ERR_INVALID_RETURN_VALUE`, and nothing is written. Of several calls only those do whose functions bring that about.
   * - The file is left as it is if the text is the same, character by character. Line ends and the final one are the codec's; a byte order mark
   *   stays in the file, and the codec does not see it.
   *
   * `space` and `numbers` mean nothing with a codec. For files only: an object in a store rejects with `ERR_ATOMIC_UNSUPPORTED`.
   *
   * @default JSON
   */
  codec?: IndexCodec | undefined
  /**
   * What the index has to be like: any [Standard Schema](https://standardschema.dev), as zod, valibot and arktype make them.
   * What is read (`initial` too) is checked before `fn` gets it, and what `fn` returns before it is written; an index that does not pass
   * rejects with `ERR_ATOMIC_SCHEMA`, and the file is unchanged. It is a check: the index is passed on as it is, without the
   * defaults and conversions of the schema, and with the keys that a schema would strip. Calls share a commit only if they give the very
   * same schema, and then what they return is checked once for all: if it does not pass, each is checked by itself, and those that do not
   * pass reject. So a function may be given what one before it in the same commit has returned, and what is written passes; what has to
   * hold after each single call (no order beyond the stock), `fn` itself has to check. Transactions are checked in the same way.
   *
   * @default no check
   */
  schema?: StandardSchema<T> | undefined
  /**
   * Makes an index that passes `schema` from one that does not, such as one that an older version of a program has
   * written. It is called before `fn`, with the lock held, and may be async. What it returns has to pass, and is written even if `fn` changes
   * nothing.
   *
   * @default an index that does not pass is refused
   */
  migrate?: ((index: any) => T | PromiseLike<T>) | undefined
  /**
   * What to do with an index that is broken: that is not JSON, does not pass `schema`, or that the disk cannot read (`EIO`).
   *
   * - `'reject'`: the call rejects.
   * - `'recover'`: the index is recovered as by {@link recoverIndex}, with `schema`, `migrate` and `initial` of the call: its newest good
   *   backup is put back, else `initial`, and what is broken is set aside. Then the call is made once more.
   * - a function: the same, with the function as {@link RecoveryOptions.rebuild}.
   *
   * Many calls that find it broken recover it once. `timeout` is for all the waiting of it, and ends no function; `signal` does. Such a call comes after those that were made
   * meanwhile, so the order of calls may be another one then. Functions that fail by a result that does not pass `schema` run once more. For files only.
   *
   * @default 'reject'
   */
  onCorrupt?: 'reject' | 'recover' | ((corrupt: AtomicError) => T | PromiseLike<T>) | undefined
}

/** What an update did. */
export interface UpdateResult extends WriteResult {
  /** Milliseconds from the call until it had the index. */
  lockWaitMs: number
  /** The number of updates that shared this commit, this one included. */
  batchSize: number
}

/**
 * Watches a JSON file: an async iterator of its versions, each parsed, with the one before. The first is the present one, at once; then
 * there is one for each change, by whatever process and program. It takes no lock, and needs no right to write.
 *
 * ```ts
 * for await (const { value, previous } of watchIndex<Posts>('posts/index.json')) {
 *   await render(value, previous)
 * }
 * ```
 *
 * What comes is always the newest version: those that come and go while the body of the loop runs are skipped, and `previous` is what the
 * body had last (the very object; `undefined` at first). A change that leaves the same JSON is none (with `codec`: the same
 * text, were each version printed anew, so a comment is no change): another layout, a touch, or a way
 * there and back while the body ran.
 *
 * The *directory* of the file is watched, because a file that is replaced is another one; and those above it, so the path may lead
 * elsewhere by a directory that is removed and made again, one that is exchanged (as by {@link atomicDirectory}), or a link that is
 * switched. The directory need not exist yet. All watchers of a thread share what they watch. The system tells of changes; nothing is polled.
 *
 * A *missing* file counts as `options.initial`: at once at the beginning, and later when it has been missing for a second, because some
 * programs remove a file before they write it anew. Without `initial` there is no version until there is a file. A *broken* one is tried
 * again with each change, for another program may be in the middle of a write; when it has been broken for a second, that goes to
 * `options.onError`, or ends the iteration. `options.numbers`, `codec`, `schema` and `migrate` are as in {@link readIndex}.
 *
 * Nothing happens before the first step. While a step waits, the process stays alive. `break`, `return()` and `options.signal` end the
 * watch and close all that it has open; an iterator that is only forgotten stays open.
 *
 * Steps reject with an {@link AtomicError}: what {@link readIndex} rejects with; `AbortError`; `ERR_ATOMIC_UNSUPPORTED` for an object in
 * a store and before Node.js 20.16; with what watching fails with (`ENOSPC` and `EMFILE`: the system has no more watches to give, and the message names the limit; `EACCES`:
 * the directory may not be listed); with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`. The iteration is over then.
 *
 * Not promised: one step for each version. Changes of which the system does not tell are not seen: those made through a hard link
 * or a mapping of the file, those by other machines in a network file system, a file system that is mounted over the path, and those of a directory further up that this user may not list. On Windows and
 * macOS only the directory and the one above it are watched, and on Windows a directory cannot be replaced while it is watched.
 */
export declare function watchIndex<T = any>(path: PathLike, options?: WatchIndexOptions<T> | null): AsyncIterableIterator<IndexChange<T>>

/** Options of {@link watchIndex}. */
export interface WatchIndexOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'> {
  /** Ends the iteration: the step that waits, or else the next one, rejects with an `AbortError`. */
  signal?: AbortSignal | undefined
  /**
   * Gets what is wrong with the index, once for each version that has been broken for a second: it is not JSON, does not pass
   * `schema`, or cannot be read. The iteration goes on, with the next version that is good. What the function throws, or its promise
   * rejects with, ends it.
   *
   * @default the iteration ends with the error
   */
  onError?: ((error: AtomicError) => void | PromiseLike<void>) | undefined
}

/**
 * Locks an index, or several, as {@link acquireIndexLock} does, calls `fn` with the lock, or with the array of locks, and releases
 * them when `fn` has returned, or its promise has settled. Resolves with what `fn` returns; whatever `fn` throws is what the call
 * rejects with, when the locks are free.
 *
 * ```ts
 * await withIndexLock('posts/index.json', async (lock) => {
 *   const { value } = await lock.read<Posts>({ initial: {} })
 *   await lock.write(await rebuild(value))
 * })
 * await withIndexLock(['tags.json', 'posts.json'], async ([tags, posts]) => {
 *   const { value } = await posts.read<Posts>()
 *   await tags.update<Tags>(() => tagsOf(value))
 * })
 * ```
 *
 * The files are written one by one: use {@link atomicTransaction} for changes that must be made together or not at all.
 *
 * Calls inside `fn` for a locked file that do not go by its lock (`atomicIndexUpdate`, `atomicWrite`, a second `withIndexLock`) would
 * wait for themselves, and reject with `ERR_ATOMIC_REENTRANT` at once, as far as calls inside functions are known (see
 * {@link atomicIndexUpdate}). A transaction inside `fn` rejects with `ERR_ATOMIC_NESTED`.
 */
export declare function withIndexLock<const P extends PathLike | readonly PathLike[], R = void>(paths: P, fn: (lock: IndexLocks<P>) => R | PromiseLike<R>, options?: IndexLockOptions | null): Promise<R>

/** Options of {@link atomicWriteAll}: those of {@link atomicWrite}, for all entries. An entry may have its own. */
export interface WriteAllOptions extends Omit<WriteOptions, 'fallback' | 'ifVersion'> {
  /**
   * Called after each wave of up to 256 entries with the number of entries that are staged so far, and with the
   * number of all entries if `entries` has a `length` or a `size`. If it throws, the call rejects with the thrown
   * value and no file is replaced.
   *
   * @default undefined
   */
  onProgress?: ((done: number, total?: number) => void) | undefined
}

/**
 * Options of {@link atomicWrite}. They are read once, when the function is called. An option of the wrong type
 * rejects with `ERR_INVALID_ARG_TYPE`, one with a value that does not exist with `ERR_INVALID_ARG_VALUE`.
 */
export interface WriteOptions extends CloudOptions {
  /**
   * The encoding of a string, one of those that `Buffer` has. Other data is written as it is.
   *
   * With `'utf8'`, a string with a lone surrogate is refused (`ERR_INVALID_ARG_VALUE`): UTF-8 cannot express it,
   * and writing U+FFFD instead would change the data.
   *
   * @default 'utf8'
   */
  encoding?: BufferEncoding | undefined
  /**
   * Permission bits, as a number or as a string of octal digits. They are set exactly: the umask does not apply.
   * On Windows only the write permission has a meaning, and on file systems whose modes are fixed (vfat, many FUSE
   * mounts) none. Where modes cannot be changed the file may be less open than this, never more.
   *
   * @default the mode of the replaced file; for a new file 0o666 & ~umask
   */
  mode?: number | string | undefined
  /**
   * `'w'` replaces an existing file. `'wx'` rejects with `EEXIST` if the name exists, even as a dangling symbolic
   * link. If two processes try at once, exactly one succeeds. On a file system that has neither hard links nor a
   * rename that refuses a taken name (mounts of object stores, sshfs without hard links) `'wx'` rejects with
   * `ERR_ATOMIC_NO_EXCLUSIVE`, and a new file written with `'w'` replaces one that another program makes in the
   * same instant.
   *
   * @default 'w'
   */
  flag?: 'w' | 'wx' | undefined
  /**
   * Flush the file to disk (fsync) before it gets its final name, and its directory after that. Without it, a
   * power cut can bring the old file back, or leave the new name with incomplete content; readers still see only
   * the old or the new file as long as the system runs. Directories that had to be created are flushed in any
   * case.
   *
   * @default true
   */
  flush?: boolean | undefined
  /**
   * Read the file back and compare it with the data before it gets its final name; a difference rejects with
   * `ERR_ATOMIC_VERIFY`. `true` reads from the page cache of the operating system: that finds short writes and
   * data that changed on the way there. `'device'` drops the cached pages first, so that it also finds what was
   * lost on the way to the device. It works with `flush` and on Linux; elsewhere the result says `verified:
   * 'cache'`.
   *
   * @default true
   */
  verify?: boolean | 'device' | undefined
  /**
   * Do not write a file that already has this content: its inode, modification time and mode stay as they are, and
   * the result says `written: false`. With `flush` the file is still flushed, because the program that wrote it
   * may not have done so.
   *
   * @default false
   */
  ifChanged?: boolean | undefined
  /**
   * Create missing parent directories, and flush each into its parent. They stay if the write fails. `false`
   * rejects with `ENOENT` instead.
   *
   * @default true
   */
  mkdir?: boolean | undefined
  /**
   * What to do with a file that exists and cannot be replaced, because it is a mount point (a single file that is
   * mounted into a container), or because it is in a directory in which this user may not make or rename files.
   * `'in-place'` overwrites its bytes, and the result says `atomic: false`: readers may see a part of the new content
   * meanwhile, and a crash may leave a part of it. An error after the first byte has `committed: true`. Calls of
   * this kind wait for each other, also in other containers. Without it such a file is an error. A file that can be
   * replaced is replaced. Only for {@link atomicWrite} and {@link atomicIndexUpdate}.
   *
   * @default undefined
   */
  fallback?: 'in-place' | undefined
  /**
   * How a new file gets its name. Programs that watch a folder for complete files often wait for one that is
   * renamed there (inotify's `IN_MOVED_TO`; rsync, browsers and downloaders finish their files so) and ignore one
   * that is created. `'link'` creates the name for a file that is complete: a watcher sees `IN_CREATE` and nothing
   * else. `'rename'` gives the file a hidden temp name first, and then renames it, at the cost of one more step (up
   * to a tenth of a small file's time, or a quarter with several at once). With `flag: 'wx'` that needs a file
   * system that can refuse a taken name in a rename, as local ones on Linux and macOS can; elsewhere the name is
   * created. A file that replaces another is always renamed, and so are those of {@link atomicWriteAll}.
   *
   * @default 'link'
   */
  publish?: 'link' | 'rename' | undefined
  /**
   * Replace an object in a store only if it still has this version, which an earlier call has told; otherwise the call rejects with
   * `ERR_ATOMIC_CONFLICT`. Files have no versions, and are refused with it (`ERR_INVALID_ARG_VALUE`): change an index with
   * {@link atomicIndexUpdate}.
   *
   * @default undefined
   */
  ifVersion?: string | undefined
  /**
   * Keep the version of an object in a store before this one: `true` as `${path}.backup`, a string under that URL. For files
   * {@link atomicIndexUpdate} has such an option, and others are refused with it (`ERR_INVALID_ARG_VALUE`).
   *
   * @default false
   */
  backup?: boolean | string | undefined
  /**
   * Aborts the call: it rejects with an `AbortError` and the old file is unchanged. An abort that comes after the
   * new file got its name has no effect.
   */
  signal?: AbortSignal | undefined
}

/** What a write did. The fields say what was really done, not what was asked for. */
export interface WriteResult {
  /**
   * Whether the file was written. `false`: it already had this content (`ifChanged`, or an unchanged index),
   * or a later {@link atomicWriteSync} has overtaken this call, and what it wrote stands.
   */
  written: boolean
  /** The size of the file in bytes. */
  bytes: number
  /**
   * Whether the file and its directory were flushed to disk, so that the new content survives a power cut. `false`
   * without `flush`, on file systems in memory (tmpfs), on an overlay that is mounted `volatile`, on network file
   * systems whose flush need not reach the server's disk (SMB, AFS, sshfs, object stores), and wherever the file
   * system or the platform cannot flush.
   */
  durable: boolean
  /**
   * How the content was read back: from the page cache, from the device, or not at all. Of an object in a store: whether the store
   * has compared a checksum, or whether it was read back.
   */
  verified: 'cache' | 'device' | 'checksum' | 'readback' | false
  /**
   * Whether the file was replaced as a whole, or left alone. `false` only with `fallback: 'in-place'`, for a file
   * that had to be overwritten.
   */
  atomic: boolean
  /** Only for objects in stores: the version that is there now. */
  version?: string
  /** Only for objects in stores: how often it was tried. */
  attempts?: number
  /** Only for objects in stores: how often another version was there. */
  conflicts?: number
  /** Only for objects in stores: whether an answer of the store was lost, and the commit was found to be done when it was looked at again. */
  recovered?: boolean
}
