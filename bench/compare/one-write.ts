// One write of version 2 over version 1, by a process of its own, while something is wrong with the disk.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { versionOf } from './document.mjs'
import { Worker } from './worker'

interface Options {
  bytes: number
  /** What may lie beside the file. */
  besides?: string[]
  /** The folder in which the file can be read as it is, where that is another one. */
  seenIn?: string
}

/** What became of the file. That the write is rejected is right, and that it takes long is not. */
export async function lookAtWrite(contender: string, path: string, options: Options) {
  const { bytes, besides = [], seenIn = dirname(path) } = options
  const worker = await Worker.start(contender)
  // Retries count as an answer that is late, and not as none.
  const { error } = await worker.ask('write', { path, version: 2, bytes }, 20_000)
  const stuck = error?.name === 'Stuck'
  // Some remove at its exit what they have left.
  await (stuck ? worker.kill() : worker.leave())
  const real = join(seenIn, basename(path))
  const version = existsSync(real) ? versionOf(readFileSync(real, 'utf8')) : undefined
  const names = readdirSync(seenIn)
  return {
    torn: version === undefined,
    falseSuccess: !error && version !== 2,
    stuck,
    left: names.filter((name) => name !== basename(path) && !besides.includes(name)).length,
  }
}
