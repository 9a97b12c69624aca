/**
 * Restores broken indexes. The addon refuses to update an index that is not valid JSON, so publishers stop and
 * nothing gets worse until a person starts the recovery.
 *
 * The backup is the version before the last one, so the last change is missing from it; what is missing is added
 * from the documents. The broken bytes are kept in a copy, so that the cause can be found.
 */

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { asPublishError, PublishError } from '../../scripts/pipeline/errors'
import { updateIndex } from '../../scripts/pipeline/indexUpdate'
import { contentIndexFile } from '../../scripts/pipeline/publisher'
import { indexOf, markPublished, topicIndexFile, topicOf } from '../../scripts/pipeline/topicIndex'
import { contentHash, serializeDocument } from './document'
import { type RebuildStats, readDocuments, rebuildIndexFromFiles } from './index-rebuild'
import { contentIndexSchema, withDocuments } from './listing'
import { contentIndexBackupPath, contentIndexPath, topicIndexPath } from './paths'
import { assertShape, parseJson, readIfThere } from './read-json'
import type { ContentIndex, TopicIndex } from './types'

export interface Recovery {
  /** `intact`: the index is valid and was not changed. */
  source: 'intact' | 'backup' | 'files'
  /** The name of the copy of the broken file. */
  brokenCopy?: string
  stats?: RebuildStats
}

function parseContentIndex(bytes: Buffer, path: string): ContentIndex {
  const index = parseJson(bytes, path)
  assertShape<ContentIndex>(index, contentIndexSchema, path)
  return index
}

async function write(path: string, bytes: Buffer | string): Promise<void> {
  try {
    await atomicWrite(path, bytes, { ifChanged: true })
  } catch (error) {
    throw asPublishError(error, 'index')
  }
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
  parseContentIndex(bytes, contentIndexPath())
  await write(contentIndexBackupPath(), bytes)
  return true
}

/**
 * @returns the backup, or `null` if there is none.
 * @throws PublishError `INVALID_JSON` if the backup is broken.
 */
export async function loadBackupIndex(): Promise<ContentIndex | null> {
  const bytes = await readIfThere(contentIndexBackupPath())
  return bytes === undefined ? null : parseContentIndex(bytes, contentIndexBackupPath())
}

/** Restores a missing or broken content index: from the backup if that is valid, else from the documents. */
export async function recoverIndex(): Promise<Recovery> {
  const path = contentIndexPath()
  const bytes = await readIfThere(path)
  if (bytes !== undefined && isWhole(bytes, path)) return { source: 'intact' }

  const backup = await loadBackupIndex().catch((error: unknown) => {
    if (error instanceof PublishError && error.code === 'INVALID_JSON') return null
    throw error
  })
  const source = backup ? 'backup' : 'files'
  const base = backup ?? (await rebuildIndexFromFiles()).index
  const brokenCopy = bytes === undefined ? undefined : await keepBroken(path, bytes)
  // No publisher has changed the file since it was read: an update of a broken index is refused.
  if (bytes !== undefined) await write(path, JSON.stringify(base, null, 2))

  const stats = await addUnlisted(base)
  return { source, stats, ...(brokenCopy !== undefined && { brokenCopy }) }
}

/**
 * Adds what the index lacks, under the lock. This also restores what a second recovery at the same time may have
 * overwritten, because a document is on disk before it is listed.
 */
async function addUnlisted(base: ContentIndex): Promise<RebuildStats> {
  let stats: RebuildStats = { documents: 0, skipped: [] }
  await updateIndex({ ...contentIndexFile, empty: () => base }, async (index) => {
    const { docs, skipped } = await readDocuments()
    stats = { documents: docs.length, skipped }
    return withDocuments(index, docs)
  })
  return stats
}

function isWhole(bytes: Buffer, path: string): boolean {
  try {
    parseContentIndex(bytes, path)
    return true
  } catch {
    return false
  }
}

/**
 * Restores a missing or broken topic index from the documents. It has no backup, because it holds nothing else but what
 * has failed, and the next attempt tells that again.
 */
export async function recoverTopics(): Promise<Recovery> {
  const path = topicIndexPath()
  const bytes = await readIfThere(path)
  const { docs, skipped } = await readDocuments()
  if (bytes === undefined ? docs.length === 0 : isTopicIndex(bytes, path)) return { source: 'intact' }

  const brokenCopy = bytes === undefined ? undefined : await keepBroken(path, bytes)
  const topics = docs.map((doc) => topicOf(doc, contentHash(serializeDocument(doc))))
  // As with the content index: what is broken is updated by nobody. Complete at once: the next recovery would take a list
  // that a killed one has left for intact.
  const index = indexOf(topics)
  if (bytes !== undefined) await write(path, JSON.stringify(index, null, 2))
  else await updateIndex({ ...topicIndexFile, empty: () => index }, (there) => there)
  // What a second recovery may have overwritten. All at once, so that they share a commit.
  await Promise.all(topics.map(markPublished))
  const stats = { documents: docs.length, skipped }
  return { source: 'files', stats, ...(brokenCopy !== undefined && { brokenCopy }) }
}

function isTopicIndex(bytes: Buffer, path: string): boolean {
  try {
    assertShape<TopicIndex>(parseJson(bytes, path), topicIndexFile.schema, path)
    return true
  } catch {
    return false
  }
}

/** The copy is named after its content, so running the recovery twice keeps one copy. */
async function keepBroken(path: string, bytes: Buffer): Promise<string> {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
  const copy = `${path}.broken-${digest}`
  await write(copy, bytes)
  return basename(copy)
}
