import type { PathLike, UpdateOptions } from '../index.js'

/** Options of an adapter: those of `atomicIndexUpdate`. `mkdir` is `false` unless it is given, as lowdb makes no directories. */
export type AdapterOptions<T = any> = Omit<UpdateOptions<T>, 'initial' | 'signal'>

/**
 * The adapter of that name in `lowdb/node`, by `readIndex` and `atomicIndexUpdate`: each write is flushed, read back, and made under the
 * lock of the index, and the layout of the file stays. What is written is `data` as it is when its turn comes.
 *
 * A file that is broken rejects both, and is not overwritten (`ERR_ATOMIC_CORRUPT_INDEX`); with `onCorrupt` a write recovers it.
 *
 * Not promised: that no update is lost. lowdb reads, changes in memory and writes the whole, so what another process has written in between
 * is gone. Where several write, call `atomicIndexUpdate` instead of `db.update`.
 */
export declare class JSONFile<T> {
  constructor(filename: PathLike, options?: AdapterOptions<T>)
  /** What the file says; `null` without one. */
  read(): Promise<T | null>
  write(data: T): Promise<void>
}

/**
 * As {@link JSONFile} for `LowSync`, by `readIndexSync` and `atomicWriteSync`: it blocks the thread, and takes no lock. Numbers that
 * JavaScript would change are refused by `read` (`ERR_ATOMIC_LOSSY_INDEX`).
 */
export declare class JSONFileSync<T> {
  constructor(filename: PathLike)
  /** What the file says; `null` without one. */
  read(): T | null
  write(data: T): void
}

/** `new JSONFile(filename, options)`. */
export declare function atomicAdapter<T>(filename: PathLike, options?: AdapterOptions<T>): JSONFile<T>

/** `new JSONFileSync(filename)`. */
export declare function atomicAdapterSync<T>(filename: PathLike): JSONFileSync<T>
