/**
 * Rebuilds the content index from the documents. The index holds nothing that is not in the documents, so it can
 * always be restored from them.
 */

import { basename, join, relative } from 'node:path'
import { withIndexLock } from '@pipeline/atomic'
import { asPublishError } from '../../scripts/pipeline/errors'
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
  /** Files that are not valid documents, and why. They are not changed. */
  skipped: Array<{ file: string; reason: string }>
}

export interface Rebuilt {
  index: ContentIndex
  stats: RebuildStats
}

/** Reads every document under the content folder. One that cannot be read is reported in `skipped`. */
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
        if (documentPath(doc) !== path) throw new Error(`${basename(path)} is not the path of its document`)
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

/** Replaces the index. If documents may be published at the same time, use `rebuildAndSaveIndex`. */
export async function saveRebuiltIndex(index: ContentIndex): Promise<void> {
  await updateIndex(contentIndexFile, (before) => stampedIfChanged(before, index))
}

/**
 * Reads the documents and replaces the index under one lock. No document is published meanwhile: that needs the same lock.
 *
 * @throws PublishError `INVALID_JSON` if the index is broken; use `recoverIndex` then.
 */
export async function rebuildAndSaveIndex(): Promise<Rebuilt> {
  const { path, schema, empty, backup = false } = contentIndexFile
  try {
    return await withIndexLock(path(), async (lock) => {
      const rebuilt = await rebuildIndexFromFiles()
      const options = { initial: empty(), schema, backup }
      await lock.update<ContentIndex>((before) => {
        const { lastUpdated } = before
        rebuilt.index = stampedIfChanged(before, { ...before, ...rebuilt.index, lastUpdated })
        return rebuilt.index
      }, options)
      return rebuilt
    })
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}
