/**
 * All that a build writes goes through an `Output`. The one below is the addon's: whatever stops the build, at any
 * moment, each file is the one before or the new one, whole. The plain one beside it is for where nobody looks.
 */

import { join } from 'node:path'
import { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'

export interface OutputFile {
  /** Below the site's folder. */
  path: string
  data: string | Buffer
}

/** How many files a call wrote, and how many held these bytes already. */
export interface Written {
  written: number
  unchanged: number
}

export interface Output {
  /** Many files, all of them or none. */
  writeAll(files: AsyncIterable<OutputFile>): Promise<Written>
  write(path: string, data: string): Promise<Written>
  /** A file that comes in pieces. */
  stream(path: string, pieces: Iterable<string>): Promise<Written>
  /** Replaces a JSON file's content, if it is not equal. */
  update<T>(path: string, next: T): Promise<void>
}

export interface AtomicOutputOptions {
  /** Each file on disk before it gets its name. */
  flush?: boolean
  signal?: AbortSignal
}

export const countOf = (...results: ReadonlyArray<{ written: boolean }>): Written => {
  const written = results.filter((result) => result.written).length
  return { written, unchanged: results.length - written }
}

/** Writes below `folder`, which is served meanwhile. What has not changed keeps its inode and its time. */
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
