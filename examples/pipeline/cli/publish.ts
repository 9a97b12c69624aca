/**
 * `publish FILES...`: publishes several documents at a time and prints a line, or advances the bar, for each. A
 * document that cannot be published does not stop the others. A broken index does, because every document needs it.
 */

import { stat } from 'node:fs/promises'
import pc from 'picocolors'
import { filesBelow } from '../lib/content/files'
import { isInStore } from '../lib/content/paths'
import { PublishError, publishDoc } from '../scripts/pipeline/publisher'
import { openReport } from './report'
import { readSource } from './sources'

export const REPAIR_IN_STORE =
  'bring back an earlier version of _system/indexes.json, or remove it, then publish everything again'
const REPAIR_FOLDER = 'to restore it run `recover-index`, then publish again'

export async function publish(paths: string[], jobs: number): Promise<number> {
  const files = await expand(paths)
  if (files.length === 0) {
    process.stderr.write('pipeline: found no .json or .md files\n')
    return 1
  }

  const interrupted = onInterrupt()
  const report = openReport(files.length)
  const tally = { published: 0, unchanged: 0, failed: 0 }
  const started = Date.now()
  let fatal: PublishError | undefined

  const publishOne = async (file: string): Promise<void> => {
    try {
      const { routePath, changed } = await publishDoc(await readSource(file))
      tally[changed ? 'published' : 'unchanged'] += 1
      report.done(changed ? 'published' : 'unchanged', routePath)
    } catch (error) {
      if (!(error instanceof PublishError)) throw error
      tally.failed += 1
      report.failed(file, error)
      if (error.code === 'INVALID_JSON') fatal = error
    }
  }

  const waiting = files.values()
  const worker = async (): Promise<void> => {
    for (const file of waiting) {
      if (fatal || interrupted.is) return
      await publishOne(file)
    }
  }
  try {
    await Promise.all(Array.from({ length: jobs }, worker))
  } finally {
    report.close()
  }

  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const left = files.length - tally.published - tally.unchanged - tally.failed
  const parts = [`${tally.published} published`, `${tally.unchanged} unchanged`]
  if (tally.failed > 0) parts.push(pc.red(`${tally.failed} failed`))
  if (left > 0) parts.push(`${left} not started`)
  process.stdout.write(`${parts.join(', ')} in ${seconds} s\n`)
  if (fatal)
    process.stderr.write(`pipeline: an index is broken; ${isInStore() ? REPAIR_IN_STORE : REPAIR_FOLDER}\n`)
  if (interrupted.is) return 130
  return tally.failed === 0 ? 0 : 1
}

async function expand(paths: string[]): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) {
    if ((await stat(path)).isDirectory()) files.push(...(await filesBelow(path, /\.(?:json|md)$/i)))
    else files.push(path)
  }
  return files
}

/**
 * After the first Ctrl-C the documents in progress are finished; a later one ends the process, which is safe too.
 * A second signal within 500 ms is the same Ctrl-C, forwarded by the program that started this one.
 */
function onInterrupt(): { is: boolean } {
  const state = { is: false }
  let first = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (state.is && Date.now() - first > 500) process.exit(130)
      if (!state.is) first = Date.now()
      state.is = true
    })
  }
  return state
}
