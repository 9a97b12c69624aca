/**
 * The content index from the documents themselves. The documents are the truth and the index a view of
 * them, so whatever happens to the index, this brings it back.
 */

import { basename, join, relative } from 'node:path'
import { updateIndex } from '../../scripts/pipeline/indexUpdate'
import { contentIndexFile } from '../../scripts/pipeline/publisher'
import { type PipelineDocument, validateDocument } from './document'
import { filesBelow } from './files'
import { emptyContentIndex, stampedIfChanged, withDocuments } from './listing'
import { contentRoot, documentPath, FOLDERS } from './paths'
import { parseJson, readIfThere } from './read-json'
import type { ContentIndex } from './types'

export interface RebuildStats {
  /** Documents in the index. */
  documents: number
  /** Files that are no document, and why. They are left as they are. */
  skipped: Array<{ file: string; reason: string }>
}

export interface Rebuilt {
  index: ContentIndex
  stats: RebuildStats
}

/** Reads every document below the content folder. One that cannot be read is reported, not fatal. */
export async function readDocuments(): Promise<{
  docs: PipelineDocument[]
  skipped: RebuildStats['skipped']
}> {
  const docs: PipelineDocument[] = []
  const skipped: RebuildStats['skipped'] = []
  for (const folder of Object.values(FOLDERS)) {
    for (const path of await filesBelow(join(contentRoot(), folder), /\.json$/)) {
      try {
        const bytes = await readIfThere(path)
        if (bytes === undefined) continue
        const doc = validateDocument(parseJson(bytes, path))
        if (documentPath(doc) !== path) throw new Error(`${basename(path)} is not where its document belongs`)
        docs.push(doc)
      } catch (error) {
        skipped.push({ file: relative(contentRoot(), path), reason: (error as Error).message })
      }
    }
  }
  return { docs, skipped }
}

export async function rebuildIndexFromFiles(): Promise<Rebuilt> {
  const { docs, skipped } = await readDocuments()
  return { index: withDocuments(emptyContentIndex(), docs), stats: { documents: docs.length, skipped } }
}

/** Replaces the index. If documents may be published meanwhile, `rebuildAndSaveIndex` is the one to use. */
export async function saveRebuiltIndex(index: ContentIndex): Promise<void> {
  await updateIndex(contentIndexFile, (before) => stampedIfChanged(before, index))
}

/**
 * Reads the documents and replaces the index under one lock. A document is on disk before it is listed,
 * so one that is being published right now is either found here or lists itself afterwards.
 *
 * @throws PublishError `INVALID_JSON` if the index is broken: that is `recoverIndex`'s work.
 */
export async function rebuildAndSaveIndex(): Promise<Rebuilt> {
  let rebuilt: Rebuilt | undefined
  await updateIndex(contentIndexFile, async (before) => {
    rebuilt = await rebuildIndexFromFiles()
    rebuilt.index = stampedIfChanged(before, { ...before, ...rebuilt.index, lastUpdated: before.lastUpdated })
    return rebuilt.index
  })
  return rebuilt as unknown as Rebuilt
}
