import type { Data, PathLike } from '../index.js'

/**
 * Writes a file again and again as the class of the package `steno` does, by `atomicWrite`. While a write is under way only the newest
 * data is kept; all calls that came meanwhile are told what becomes of that. Different: each write is flushed and read back, a temp file is
 * never in the way of another process's, and iterables are no data.
 */
export declare class Writer {
  /** Of the file with that name, whose directory has to exist. */
  constructor(filename: PathLike)
  /** Resolves when this data, or newer one, is on disk. */
  write(data: Data): Promise<void>
}
