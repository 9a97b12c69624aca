export = lock

/**
 * Locks a file as the package `proper-lockfile` does, by `acquireIndexLock`. The lock is the kernel's: it is free as soon as its process
 * ends, however it ends, and it is never taken for stale, so no heart beats and nobody is told that a lock is compromised. Who waits gets it
 * at the moment of its release.
 *
 * Rejects with `ELOCKED` if it is not free in time (its `cause` says who has it), and at once if there is a directory in its place: that is the
 * lock of the package itself, which one of its programs holds or has left. Remove it when no such program runs. Else it rejects as
 * `acquireIndexLock` does.
 *
 * Different: it does not exclude programs that lock by the package itself, nor `atomicIndexUpdate` of the file. `retries` says for how
 * long to wait, with the pauses of that package summed up.
 *
 * @returns a function that releases the lock, once (`ERELEASED`)
 */
declare function lock(file: string, options?: lock.LockOptions | null): Promise<() => Promise<void>>

declare namespace lock {
  export { lock }

  /** Releases a lock that this program has by {@link lock}; else it rejects with `ENOTACQUIRED`. */
  export function unlock(file: string, options?: FileOptions | null): Promise<void>

  /** Whether a process has the lock, this one too. With a directory in its place it rejects with `ELOCKED`, as {@link lock}. */
  export function check(file: string, options?: CheckOptions | null): Promise<boolean>

  /**
   * As {@link lock}, on the thread that calls, which it blocks for a few calls of the system. Nothing is waited for: `retries` throws
   * `ESYNC`.
   */
  export function lockSync(file: string, options?: LockOptions | null): () => void

  /** As {@link unlock}, for a lock by {@link lock} or {@link lockSync}. */
  export function unlockSync(file: string, options?: FileOptions | null): void

  /** As {@link check}. */
  export function checkSync(file: string, options?: CheckOptions | null): boolean

  export interface FileOptions {
    /** Follow links; the file has to exist then. @default true */
    realpath?: boolean | undefined
    /** What is locked instead: a path that need not exist. @default `${file}.lock` */
    lockfilePath?: string | undefined
    /** Has no effect. */
    fs?: unknown
  }

  export type UnlockOptions = FileOptions

  export interface CheckOptions extends FileOptions {
    /** Has no effect: no lock is stale. */
    stale?: number | undefined
  }

  export interface LockOptions extends CheckOptions {
    /** Has no effect. */
    update?: number | undefined
    /** How often to try again, with pauses of 1, 2, 4, … seconds; or these in detail, or one by one in milliseconds. @default 0 */
    retries?: number | Retries | readonly number[] | undefined
    /** Is never called: nobody can take the lock away. */
    onCompromised?: ((error: Error) => unknown) | undefined
  }

  export interface Retries {
    /** @default 10 */
    retries?: number | undefined
    /** By what the pauses grow. @default 2 */
    factor?: number | undefined
    /** The first pause in milliseconds. @default 1000 */
    minTimeout?: number | undefined
    /** The longest pause in milliseconds. @default Infinity */
    maxTimeout?: number | undefined
    /** Has no effect. */
    randomize?: boolean | undefined
    /** Wait without a limit. @default false */
    forever?: boolean | undefined
    /** The longest wait in milliseconds, with `forever` too. @default Infinity */
    maxRetryTime?: number | undefined
    /** Has no effect: who waits keeps the process running. */
    unref?: boolean | undefined
  }
}
