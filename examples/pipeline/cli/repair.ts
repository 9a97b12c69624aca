/** `rebuild-index` and `recover-index`: what was done, in lines that a log can keep. */

import { type RebuildStats, rebuildAndSaveIndex } from '../lib/content/index-rebuild'
import { recoverIndex } from '../lib/content/index-recovery'

/** @returns 1 if files had to be left out: the index is in order, but somebody should look. */
function report({ documents, skipped }: RebuildStats): number {
  process.stdout.write(`contentIndex.json lists ${documents} documents\n`)
  for (const { file, reason } of skipped) process.stderr.write(`skipped    ${file}: ${reason}\n`)
  return skipped.length === 0 ? 0 : 1
}

export async function rebuildIndex(): Promise<number> {
  const { stats } = await rebuildAndSaveIndex()
  return report(stats)
}

export async function recoverIndexCommand(): Promise<number> {
  const { source, brokenCopy, stats } = await recoverIndex()
  if (source === 'intact' || !stats) {
    process.stdout.write('contentIndex.json is in order\n')
    return 0
  }
  process.stdout.write(
    `restored from ${source === 'backup' ? 'the backup and the documents' : 'the documents'}\n`,
  )
  if (brokenCopy) process.stdout.write(`the broken file is kept as ${brokenCopy}\n`)
  return report(stats)
}
