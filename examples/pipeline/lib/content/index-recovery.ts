/**
 * Restores broken indexes. The addon refuses to update an index that is not valid JSON or does not pass its schema, so publishers stop and
 * nothing gets worse until a person starts the recovery.
 *
 * The backup is the version before the last one, so the last change is missing from it; what is missing is added
 * from the documents. The addon keeps the broken file under another name, so that the cause can be found.
 */

import { basename } from 'node:path'
import { atomicWrite, type IndexLock, type IndexRecovery, withIndexLock } from '@pipeline/atomic'
import { asPublishError } from '../../scripts/pipeline/errors'
import { contentIndexFile } from '../../scripts/pipeline/publisher'
import { topicIndexFile, topicOf, withAllPublished } from '../../scripts/pipeline/topicIndex'
import { contentHash, type PipelineDocument, serializeDocument } from './document'
import { type IndexFile, shapeOf } from './index-file'
import { type RebuildStats, readDocuments } from './index-rebuild'
import { contentIndexSchema, emptyContentIndex, withDocuments } from './listing'
import { contentIndexBackupPath, contentIndexPath } from './paths'
import { readIfThere, readIfWhole } from './read-json'
import type { ContentIndex } from './types'

export interface Recovery {
  /** `intact`: the index is valid and was not changed. */
  source: 'intact' | 'backup' | 'files'
  /** The name of the broken file. */
  brokenCopy?: string
  stats?: RebuildStats
}

/**
 * Copies the current index to the backup. Each update of the index does the same with the version it replaces.
 *
 * @returns `false` if there is no index.
 * @throws PublishError `INVALID_JSON` if the index is broken; the backup stays as it is.
 */
export async function backupContentIndex(): Promise<boolean> {
  const bytes = await readIfThere(contentIndexPath())
  if (bytes === undefined) return false
  await readIfWhole(contentIndexPath(), contentIndexFile.schema)
  try {
    await atomicWrite(contentIndexBackupPath(), bytes, { ifChanged: true })
  } catch (error) {
    throw asPublishError(error, 'index')
  }
  return true
}

/**
 * @returns the backup, or `null` if there is none.
 * @throws PublishError `INVALID_JSON` if the backup is broken.
 */
export async function loadBackupIndex(): Promise<ContentIndex | null> {
  return (await readIfWhole(contentIndexBackupPath(), contentIndexFile.schema)) ?? null
}

/**
 * Restores a missing or broken content index: from the backup if that is valid, else from the documents. An index that is in order, but
 * lacks documents, gets them.
 */
export function recoverIndex(): Promise<Recovery> {
  return recovered(contentIndexFile, async (lock, docs) => {
    const listed = (index: ContentIndex) => withDocuments(index, docs)
    // An index that lacks a document is migrated to one that has it, so the backup comes back in one commit with what it lacks.
    const isComplete = (index: unknown) => listed(index as ContentIndex) === index
    const schema = contentIndexSchema.refine(isComplete, 'lacks a document')
    const migrate = (index: ContentIndex) =>
      contentIndexSchema.safeParse(index).success ? listed(index) : index
    const rebuild = () => listed(emptyContentIndex())
    const recovery = await lock.recover<ContentIndex>({ schema: shapeOf(schema), migrate, rebuild })
    if (recovery.action !== 'none') return recovery
    const how = { initial: emptyContentIndex(), schema: contentIndexFile.schema, backup: true }
    const { written } = await lock.update<ContentIndex>(listed, how)
    return written ? { ...recovery, action: 'rebuilt' } : recovery
  })
}

/**
 * Restores a missing or broken topic index from the documents. It has no backup, because it holds nothing else but what
 * has failed, and the next attempt tells that again.
 */
export function recoverTopics(): Promise<Recovery> {
  return recovered(topicIndexFile, (lock, docs) => {
    const topics = docs.map((doc) => topicOf(doc, contentHash(serializeDocument(doc))))
    return lock.recover({ schema: topicIndexFile.schema, rebuild: () => withAllPublished([], topics) })
  })
}

/**
 * Recovers an index under its lock. No document is published meanwhile: that needs the same lock. If another recovery was
 * faster, its index is good.
 */
async function recovered<T extends object>(
  { path }: IndexFile<T>,
  recover: (lock: IndexLock, docs: PipelineDocument[]) => Promise<IndexRecovery<T>>,
): Promise<Recovery> {
  try {
    return await withIndexLock(path(), async (lock) => {
      const { docs, skipped } = await readDocuments()
      const { action, setAside } = await recover(lock, docs)
      if (action === 'none') return { source: 'intact' }
      return {
        source: action === 'restored' ? 'backup' : 'files',
        stats: { documents: docs.length, skipped },
        ...(setAside !== undefined && { brokenCopy: basename(setAside) }),
      }
    })
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}
