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
