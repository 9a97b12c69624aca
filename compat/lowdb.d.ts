import type { PathLike, UpdateOptions } from '../index.js'

/**
 * Options of an adapter: those of `atomicIndexUpdate`. `mkdir` is `false` unless it is given, as lowdb makes no directories. `onCorrupt` is
 * what `read` does with a broken file.
 */
export type AdapterOptions<T = any> = Omit<UpdateOptions<T>, 'initial' | 'signal'>

/**
 * The adapter of that name in `lowdb/node`, by `readIndex` and `atomicIndexUpdate`: each write is flushed, read back, and made under the
 * lock of the index, and the layout of the file stays. What is written is `data` as it is when its turn comes.
 *
 * A file that is broken rejects both, and is not overwritten (`ERR_ATOMIC_CORRUPT_INDEX`). With `onCorrupt` `read` recovers it, as
 * `recoverIndex` does, and resolves with what is recovered; it rejects if there is no good backup and nothing to make one from. `write` never
 * recovers: what it writes was made without what would be recovered, and would replace that. Call `read` again.
 *
 * `write` refuses data that is no object and no array, and such as JSON would lose, as a `Map`: lowdb writes the one and loses the other.
 *
 * Not promised: that no update is lost. lowdb reads, changes in memory and writes the whole, so what another process has written in between
 * is gone. Where several write, call `atomicIndexUpdate` instead of `db.update`.
 */
export declare class JSONFile<T> {
  constructor(filename: PathLike, options?: AdapterOptions<T> | null)
  /** What the file says; `null` without one. */
  read(): Promise<T | null>
  write(data: T): Promise<void>
}

/**
 * As {@link JSONFile} for `LowSync`, by `readIndexSync` and `atomicWriteSync`: it blocks the thread, and takes no lock. Numbers that
 * JavaScript would change are refused by `read` (`ERR_ATOMIC_LOSSY_INDEX`). It has no options, and writes any JSON.
 */
export declare class JSONFileSync<T> {
  constructor(filename: PathLike)
  /** What the file says; `null` without one. */
  read(): T | null
  write(data: T): void
}

/** `new JSONFile(filename, options)`. */
export declare function atomicAdapter<T>(filename: PathLike, options?: AdapterOptions<T> | null): JSONFile<T>

/** `new JSONFileSync(filename)`. */
export declare function atomicAdapterSync<T>(filename: PathLike): JSONFileSync<T>

/** What {@link Low} reads from and writes to. */
export interface Adapter<T> {
  read: () => Promise<T | null>
  write: (data: T) => Promise<void>
}

/** What {@link LowSync} reads from and writes to. */
export interface SyncAdapter<T> {
  read: () => T | null
  write: (data: T) => void
}

/** The class of that name in `lowdb`, for what {@link JSONFilePreset} gives: a project that uses no more of lowdb does without it. */
export declare class Low<T = unknown> {
  adapter: Adapter<T>
  data: T
  constructor(adapter: Adapter<T>, defaultData: T)
  read(): Promise<void>
  write(): Promise<void>
  update(fn: (data: T) => unknown): Promise<void>
}

/** As {@link Low}, for {@link JSONFileSyncPreset}. */
export declare class LowSync<T = unknown> {
  adapter: SyncAdapter<T>
  data: T
  constructor(adapter: SyncAdapter<T>, defaultData: T)
  read(): void
  write(): void
  update(fn: (data: T) => unknown): void
}

/**
 * The preset of that name in `lowdb/node`: a {@link Low} over {@link JSONFile}, read already. As there, it is in memory where `NODE_ENV` is
 * `test`, and reads and writes no file.
 */
export declare function JSONFilePreset<T>(
  filename: PathLike,
  defaultData: T,
  options?: AdapterOptions<T> | null,
): Promise<Low<T>>

/** As {@link JSONFilePreset}, a {@link LowSync} over {@link JSONFileSync}, without options: what is given after the data is ignored, as in lowdb. */
export declare function JSONFileSyncPreset<T>(filename: PathLike, defaultData: T): LowSync<T>
