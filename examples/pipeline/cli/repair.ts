/** `rebuild-index` and `recover-index`: they print what was done, one line each. */

import { type RebuildStats, rebuildAndSaveIndex } from '../lib/content/index-rebuild'
import { recoverIndex } from '../lib/content/index-recovery'

/** @returns 1 if files were skipped: the index is valid, but the skipped files need attention. */
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
    process.stdout.write('contentIndex.json is valid; nothing was changed\n')
    return 0
  }
  process.stdout.write(
    `restored from ${source === 'backup' ? 'the backup and the documents' : 'the documents'}\n`,
  )
  if (brokenCopy) process.stdout.write(`the broken file is kept as ${brokenCopy}\n`)
  return report(stats)
}
