/**
 * Writes in place with `node:fs`. This is enough for a folder that nobody reads yet, because it is swapped in as a whole
 * when it is complete. The benchmark uses it to measure what the atomic output costs.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { JsonFile, Output, OutputFile } from './output'

/** Files written at a time: enough to keep the threads of libuv's pool busy. */
const AT_ONCE = 16

export function plainOutput(folder: string, { signal }: { signal?: AbortSignal } = {}): Output {
  const made = new Map<string, Promise<unknown>>()

  const place = async (path: string): Promise<string> => {
    const target = join(folder, path)
    const parent = dirname(target)
    if (!made.has(parent)) made.set(parent, mkdir(parent, { recursive: true }))
    await made.get(parent)
    return target
  }
  const put = async ({ path, data }: OutputFile): Promise<void> => {
    await writeFile(await place(path), data, { signal })
  }

  const update = ({ path, value }: JsonFile) => put({ path, data: JSON.stringify(value, null, 1) })

  return {
    async recover() {},
    async writeAll(files) {
      let written = 0
      let failed = false
      const iterator = files[Symbol.asyncIterator]()
      const worker = async (): Promise<void> => {
        try {
          for (let next = await iterator.next(); !next.done && !failed; next = await iterator.next()) {
            await put(next.value)
            written += 1
          }
        } catch (error) {
          failed = true
          throw error
        }
      }
      // It rejects after all workers have ended, so that the caller may remove the folder.
      const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))
      for (const end of ends) if (end.status === 'rejected') throw end.reason
      return { written, unchanged: 0 }
    },
    async publish(files, json) {
      const written = await this.writeAll(Readable.from(files))
      if (json) await update(json)
      return written
    },
    update,
  }
}
