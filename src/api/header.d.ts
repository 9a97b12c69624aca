/// <reference types="node" />

/**
 * A path, as in `node:fs`: a string, a `Buffer` with its bytes, or a `file:` URL.
 *
 * A path that begins with `s3://`, `az://` or `gs://`, and a `URL` of that protocol, is an object in a store:
 * `s3://bucket/key`. For these the package `@pipeline/atomic-cloud` has to be installed too, or the call rejects with
 * `ERR_ATOMIC_NO_CLOUD`. A function that has no meaning there rejects with `ERR_ATOMIC_UNSUPPORTED` and says what to call
 * instead. A local directory with the name `s3:` is reached as `./s3://…`.
 */
export type PathLike = string | Buffer | URL

/** The content of a file: a string, or all bytes of an `ArrayBuffer` or of a view of any kind, at any offset. */
export type Data = string | NodeJS.ArrayBufferView | ArrayBuffer

/** One file of {@link atomicWriteAll}. Options given here win over the options of the call. */
export interface WriteEntry extends Omit<WriteOptions, 'signal' | 'fallback'> {
  /** The file to write. */
  path: PathLike
  /** Its content. It is copied when the entry is taken from the iterable, and may be changed right after that. */
  data: Data
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
  endpoint?: string
  /**
   * How long the whole call may take, in milliseconds. For {@link atomicIndexUpdate} of a file it is how long to wait for the index.
   *
   * @default 30_000
   */
  timeout?: number
  /**
   * How often to try, before the call rejects with `ERR_ATOMIC_CONTENDED`.
   *
   * @default as often as `timeout` allows
   */
  maxAttempts?: number
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

/** A change of an index, for {@link atomicIndexPatch}. */
export interface IndexPatch {
  /** The keys to set. */
  set?: Record<string, unknown>
  /** The keys to delete. One that is set as well is there afterwards. */
  delete?: readonly string[]
}

/** Options of {@link atomicIndexPatch}: those of {@link atomicIndexUpdate}, but for `initial` and `fnTimeout`, and `wait`. */
export interface PatchOptions extends Omit<UpdateOptions, 'initial' | 'fnTimeout'> {
  /**
   * For an object in a store: whether the promise resolves when the change is stored, or when it is in the index.
   *
   * @default 'applied'
   */
  wait?: 'accepted' | 'applied'
}

/** What {@link atomicIndexPatch} did. The other fields are those of the update, where the change is part of one already. */
export interface PatchResult extends Partial<UpdateResult> {
  /** Whether the change is in the index. `false`: it is stored, and will be. */
  applied: boolean
  /** Whether the change survives a power cut. */
  durable: boolean
}

/** One object of {@link atomicPublish}. */
export interface ReleaseEntry {
  /** Its name below the prefix. */
  path: string
  /** Its content. */
  data: Data
  /** The encoding of a string. */
  encoding?: BufferEncoding
}

/** Options of {@link atomicPublish}. */
export interface PublishOptions extends CloudOptions {
  /** How many older releases stay. */
  keep?: number
  /** Aborts the call, until the new release is the newest. */
  signal?: AbortSignal
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

/** The codes that are this package's own. All others are the operating system's or Node's. */
export type AtomicErrorCode =
  /** The bytes read back are not the bytes given. `offset` is the first that differs, where that is known. */
  | 'ERR_ATOMIC_VERIFY'
  /** The file is not UTF-8 or not JSON; `offset`, `line` and `column` say where. It is never overwritten. */
  | 'ERR_ATOMIC_CORRUPT_INDEX'
  /** The index has a number that JavaScript would change: `offset`, `line`, `column`, `literal`. See `numbers`. */
  | 'ERR_ATOMIC_LOSSY_INDEX'
  /** The update did not get the index within `timeout`. */
  | 'ERR_ATOMIC_LOCK_TIMEOUT'
  /** The function of an update did not settle within `fnTimeout`. Nothing of it was written. */
  | 'ERR_ATOMIC_FN_TIMEOUT'
  /** The call was made inside the function of a call for the same file or directory, and would wait for itself. */
  | 'ERR_ATOMIC_REENTRANT'
  /** Two entries of one call name the same file: `entry` and `duplicateOf`. */
  | 'ERR_ATOMIC_DUPLICATE'
  /** A file that `ifChanged` left alone was changed before the other files of the call were complete. */
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
  /** The index does not pass the option `schema`. Nothing was written. */
  | 'ERR_ATOMIC_SCHEMA'
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
  /** {@link atomicWriteAll}: the position of the entry that failed, from 0. */
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
   * `ERR_ATOMIC_LOCK_TIMEOUT`: the process that has the lock, this one or another, with the name of its machine or
   * container and the time since when. It is what the lock file says, for people to read: the pid may be that of another
   * container, and after a kill that of a dead process.
   */
  holder?: { pid: number; host: string; since: Date }
  /** `ERR_STRING_TOO_LONG`: the size of the file in bytes, where it is the file that is too long. */
  size?: number
  /** `ERR_ATOMIC_SCHEMA`: what the schema has found, and where. */
  issues?: readonly SchemaIssue[]
  /** Objects in stores: the HTTP status that the store answered with. */
  status?: number
  /** Objects in stores: by what the store knows the request. */
  requestId?: string
  /** The error that led to this one, or the reason of an aborted signal. */
  cause?: unknown
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
export type RecoverIndexOptions<T = any> = RecoveryOptions<T> & IndexLockOptions

/** What {@link recoverIndex} has found and done. */
export interface IndexRecovery<T = any> {
  /**
   * `'none'`: the index is good, and nothing was done; another process may have recovered it. `'restored'`: a backup was put back.
   * `'rebuilt'`: it is what `rebuild` returned. `'initialized'`: it is `initial`.
   */
  action: 'none' | 'restored' | 'rebuilt' | 'initialized'
  /** The index as it is now, parsed. With `'none'` and `migrate`: what that makes of it; the file stays as it is. */
  value: T
  /** With `'restored'`: the path of the backup that was put back. It stays where it is. */
  source?: string
  /**
   * Where the broken bytes are now: `NAME.corrupt-20261128T205912Z`, the time in UTC, beside the index (beside the file, if the path is
   * a link). `undefined` if the file was missing.
   */
  setAside?: string
  /** What was wrong with the index; `undefined` if the file was missing. */
  corrupt?: AtomicError
}

/** Options of {@link restoreIndex}. */
export interface RestoreIndexOptions extends IndexLockOptions, Pick<WriteOptions, 'flush' | 'verify'> {}

/** What {@link restoreIndex} has done. */
export interface IndexRestoration {
  /** `false`: the index says the same as the backup. */
  written: boolean
  /** As {@link WriteResult.durable}. */
  durable: boolean
  /** The path of the backup that was put back, where it was. */
  source: string
  /** Where the version is now that was there: the newest backup. */
  backup?: string
  /** Where the index is now that was there and was broken. */
  setAside?: string
}

/** What is given for one path: a lock. For an array of paths: an array of locks, in their order. */
export type IndexLocks<P> = P extends readonly PathLike[]
  ? { -readonly [K in keyof P]: IndexLock }
  : IndexLock

export interface IndexLock {
  /** Changes the index, as {@link atomicIndexUpdate} does: `fn` gets `undefined` if there is no file. */
  update<T extends object = any>(
    fn: (index: T | undefined, run: UpdateRun) => T | PromiseLike<T>,
    options?: LockedUpdateOptions<T> | null,
  ): Promise<UpdateResult>
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
  flush?: boolean
  /**
   * Read the files back before the commit, as {@link WriteOptions.verify}.
   *
   * @default true
   */
  verify?: boolean | 'device'
  /**
   * How long to wait for the files and the indexes, in milliseconds, before the call rejects with
   * `ERR_ATOMIC_LOCK_TIMEOUT`. 0 tries once; `Infinity` waits without a limit.
   *
   * @default 30_000
   */
  timeout?: number
  /**
   * How often `build` runs again because others have changed what `tx.read` had read, before the call rejects with
   * `ERR_ATOMIC_CONFLICT`.
   *
   * @default 3
   */
  retries?: number
  /** Aborts the call until the commit begins: it rejects with an `AbortError`, and nothing has changed. */
  signal?: AbortSignal
}

/** How a transaction writes a file. */
export type TransactionWriteOptions = Pick<
  WriteOptions,
  'encoding' | 'mode' | 'flag' | 'verify' | 'ifChanged' | 'mkdir'
>

/** How a transaction updates an index. `backup` is below the root as well; it is a copy, written by the same transaction. */
export type TransactionUpdateOptions<T = any> = Pick<
  UpdateOptions<T>,
  'initial' | 'space' | 'numbers' | 'backup' | 'schema' | 'migrate' | 'mode' | 'verify' | 'mkdir'
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
   * Writes a file. `data` is copied at the call; a function is called when the files are locked, and may be async.
   */
  write(
    path: PathLike,
    data: Data | (() => Data | PromiseLike<Data>),
    options?: TransactionWriteOptions | BufferEncoding,
  ): void
  /**
   * Changes a JSON file, as {@link atomicIndexUpdate}: `fn` runs when all files are locked. What it throws rejects the
   * transaction.
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
  /** Removes a file. With `missing: 'ignore'` it need not be there; the default is `'error'` (`ENOENT`). */
  remove(path: PathLike, options?: { missing?: 'error' | 'ignore' }): void
  /** Renames a file, over another one if there is one. It keeps its owner, mode and attributes. */
  rename(from: PathLike, to: PathLike): void
  /** Makes a directory, and those above it. It is made before the commit, and stays if that fails. */
  mkdir(path: PathLike): void
  /**
   * Reads a file as this transaction sees it: with its own changes so far. Resolves with `null` if there is none. If others
   * change what was read before the commit, `build` runs again.
   */
  read(path: PathLike, options: BufferEncoding | { encoding: BufferEncoding }): Promise<string | null>
  read(path: PathLike, options?: { encoding?: null } | null): Promise<Buffer | null>
  /** As `read`, parsed; without a file `initial`. To change an index, prefer `update`, which waits for its turn. */
  readIndex<T extends object = any>(
    path: PathLike,
    options: Pick<UpdateOptions<T>, 'numbers' | 'schema' | 'migrate'> & { initial: T },
  ): Promise<T>
  readIndex<T extends object = any>(
    path: PathLike,
    options?: Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'schema' | 'migrate'>,
  ): Promise<T | undefined>
}

/** One operation of a transaction that is given as a list. */
export type TransactionOperation =
  | ({ write: PathLike; data: Data | (() => Data | PromiseLike<Data>) } & TransactionWriteOptions)
  | ({ update: PathLike; fn: (index: any) => object | PromiseLike<object> } & TransactionUpdateOptions)
  | { remove: PathLike; missing?: 'error' | 'ignore' }
  | { rename: PathLike; to: PathLike }
  | { mkdir: PathLike }

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
  encoding?: BufferEncoding | null
  /**
   * How long to try, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number
  /** Aborts the call. */
  signal?: AbortSignal
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
  giveUp?: boolean
  /**
   * How long to wait for a transaction that is at work, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number
  /** Aborts the call. */
  signal?: AbortSignal
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
