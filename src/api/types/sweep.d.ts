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
