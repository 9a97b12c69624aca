/**
 * A build writes everything through an `Output`. `atomicOutput` uses the addon: whatever stops the build, each file is
 * either the old or the new one, complete, and the pages are there with the lists of them. `plainOutput` is for a folder
 * that nobody reads yet.
 */

import { join } from 'node:path'
import {
  atomicIndexUpdate,
  atomicTransaction,
  atomicWriteAll,
  recover,
  type TransactionOperation,
} from '@pipeline/atomic'

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
  /** Completes or undoes what a killed build has left. To be called before anything in the folder is read. */
  recover(): Promise<void>
  /** Writes many files, all of them or none unless the process is killed in between. They need not fit into memory. */
  writeAll(files: AsyncIterable<OutputFile>): Promise<Written>
  /** Writes files and replaces a JSON file, if its value differs: all of it or nothing, whatever happens. */
  publish(files: readonly OutputFile[], json?: JsonFile): Promise<Written>
  /** Replaces a JSON file, if its value differs. */
  update(json: JsonFile): Promise<void>
}

export interface JsonFile {
  path: string
  value: object
}

/** `publish` takes so many files at most. */
export const MOST_FILES = 4_000

export interface AtomicOutputOptions {
  /** Flush each file to disk before it gets its final name. */
  flush?: boolean
  signal?: AbortSignal
}

const countOf = (written: readonly boolean[]): Written => {
  const count = written.filter(Boolean).length
  return { written: count, unchanged: written.length - count }
}

/** Writes into `folder`, which is served during the build. Unchanged files keep their inode and modification time. */
export function atomicOutput(folder: string, { flush = true, signal }: AtomicOutputOptions = {}): Output {
  const options = { flush, signal, ifChanged: true }
  return {
    async recover() {
      await recover(folder, { signal }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    },
    async writeAll(files) {
      const entries = async function* () {
        for await (const { path, data } of files) yield { path: join(folder, path), data }
      }
      return countOf((await atomicWriteAll(entries(), options)).map(({ written }) => written))
    },
    async publish(files, json) {
      const operations = files.map(({ path, data }): TransactionOperation => {
        return { write: path, data, ifChanged: true }
      })
      if (json) operations.push({ update: json.path, fn: () => json.value, space: 1 })
      const { files: done } = await atomicTransaction(folder, operations, { flush, signal })
      return countOf(done.slice(0, files.length).map(({ action }) => action === 'written'))
    },
    async update({ path, value }) {
      await atomicIndexUpdate(join(folder, path), () => value, { flush, signal, space: 1 })
    },
  }
}
