/**
 * A build writes everything through an `Output`. `atomicOutput` uses the addon: whatever stops the build, each file is
 * either the old or the new one, complete. `plainOutput` is for a folder that nobody reads yet.
 */

import { join } from 'node:path'
import { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'

export interface OutputFile {
  /** Relative to the site's folder. */
  path: string
  data: string | Buffer
}

/** How many files a call wrote, and how many had the same content already. */
export interface Written {
  written: number
  unchanged: number
}

export interface Output {
  /** Writes many files, all of them or none. */
  writeAll(files: AsyncIterable<OutputFile>): Promise<Written>
  write(path: string, data: string): Promise<Written>
  /** Writes a file from pieces. */
  stream(path: string, pieces: Iterable<string>): Promise<Written>
  /** Replaces a JSON file, if its value differs. */
  update<T extends object>(path: string, next: T): Promise<void>
}

export interface AtomicOutputOptions {
  /** Flush each file to disk before it gets its final name. */
  flush?: boolean
  signal?: AbortSignal
}

export const countOf = (...results: ReadonlyArray<{ written: boolean }>): Written => {
  const written = results.filter((result) => result.written).length
  return { written, unchanged: results.length - written }
}

/** Writes into `folder`, which is served during the build. Unchanged files keep their inode and modification time. */
export function atomicOutput(folder: string, { flush = true, signal }: AtomicOutputOptions = {}): Output {
  const options = { flush, signal, ifChanged: true }
  return {
    async writeAll(files) {
      const entries = async function* () {
        for await (const { path, data } of files) yield { path: join(folder, path), data }
      }
      return countOf(...(await atomicWriteAll(entries(), options)))
    },
    async write(path, data) {
      return countOf(await atomicWrite(join(folder, path), data, options))
    },
    async stream(path, pieces) {
      await using file = await AtomicFile.open(join(folder, path), options)
      for (const piece of pieces) await file.write(piece)
      return countOf(await file.commit())
    },
    async update(path, next) {
      await atomicIndexUpdate(join(folder, path), () => next, { flush, signal, space: 1 })
    },
  }
}
