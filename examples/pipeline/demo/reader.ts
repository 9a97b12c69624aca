/** Reads the indexes repeatedly while they are written, as a web server would. */

import { setTimeout as sleep } from 'node:timers/promises'
import { contentIndexPath, publishMetricsPath, topicIndexPath } from '../lib/content/paths'
import { parseJson, readIfThere } from '../lib/content/read-json'

const EVERY_MS = 15

export function watchIndexes() {
  const result = { total: 0, torn: 0, faults: [] as string[] }
  const seen = new Set<string>()
  let stopped = false

  const readOne = async (path: string): Promise<void> => {
    const bytes = await readIfThere(path)
    if (bytes === undefined && !seen.has(path)) return
    seen.add(path)
    result.total += 1
    try {
      if (bytes === undefined) throw new Error(`${path} existed and is missing now`)
      parseJson(bytes, path)
    } catch (error) {
      result.torn += 1
      result.faults.push((error as Error).message)
    }
  }
  const loop = async (): Promise<void> => {
    while (!stopped) {
      for (const path of [contentIndexPath(), topicIndexPath(), publishMetricsPath()]) await readOne(path)
      await sleep(EVERY_MS)
    }
  }
  const done = loop()
  return {
    result,
    async stop(): Promise<void> {
      stopped = true
      await done
    },
  }
}
