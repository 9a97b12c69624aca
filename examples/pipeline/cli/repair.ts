/** `rebuild-index` and `recover-index`: they print what was done, one line each. */

import { type RebuildStats, rebuildAndSaveIndex } from '../lib/content/index-rebuild'
import { type Recovery, recoverIndex, recoverTopics } from '../lib/content/index-recovery'

/** @returns 1 if files were skipped: the index is valid, but the skipped files need attention. */
function report({ documents, skipped }: RebuildStats, name = 'contentIndex.json'): number {
  process.stdout.write(`${name} lists ${documents} documents\n`)
  for (const { file, reason } of skipped) process.stderr.write(`skipped    ${file}: ${reason}\n`)
  return skipped.length === 0 ? 0 : 1
}

export async function rebuildIndex(): Promise<number> {
  const { stats } = await rebuildAndSaveIndex()
  return report(stats)
}

export async function recoverIndexCommand(): Promise<number> {
  const content = await recoverIndex()
  const topics = await recoverTopics()
  const code = tell(content, 'contentIndex.json', '')
  return topics.source === 'intact'
    ? code
    : Math.max(code, tell(topics, 'topicIndex.json', 'topicIndex.json: '))
}

function tell({ source, brokenCopy, stats }: Recovery, name: string, prefix: string): number {
  if (source === 'intact' || !stats) {
    process.stdout.write(`${name} is valid; nothing was changed\n`)
    return 0
  }
  const from = source === 'backup' ? 'the backup and the documents' : 'the documents'
  process.stdout.write(`${prefix}restored from ${from}\n`)
  if (brokenCopy) process.stdout.write(`the broken file is kept as ${brokenCopy}\n`)
  return report(stats, name)
}
