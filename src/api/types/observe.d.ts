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
