/**
 * The way back from a broken content index. The addon refuses to touch an index that is not JSON, so no
 * publisher can make it worse, and none can go on; a person asks for the recovery.
 *
 * The backup is the version before the last one, so by itself it would lose the last record: whatever it
 * lacks is added from the documents. The broken bytes are kept, for whoever wants to know what happened.
 */

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { asPublishError, PublishError } from '../../scripts/pipeline/errors'
import { updateIndex } from '../../scripts/pipeline/indexUpdate'
import { contentIndexFile } from '../../scripts/pipeline/publisher'
import { type RebuildStats, readDocuments, rebuildIndexFromFiles } from './index-rebuild'
import { contentIndexSchema, withDocuments } from './listing'
import { contentIndexBackupPath, contentIndexPath } from './paths'
import { assertShape, parseJson, readIfThere } from './read-json'
import type { ContentIndex } from './types'

export interface Recovery {
  /** `intact`: the index is in order and was left alone. */
  source: 'intact' | 'backup' | 'files'
  /** Where the broken bytes are now. */
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
 * Makes the index as it is now the backup. Each change of the index does so with the version before it.
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

/** Restores a missing or broken content index: from the backup if that is whole, else from the documents. */
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
  // Nobody else can have changed the file since it was read: an update of a broken index is refused.
  if (bytes !== undefined) await write(path, JSON.stringify(base, null, 2))

  const stats = await addUnlisted(base)
  return { source, stats, ...(brokenCopy !== undefined && { brokenCopy }) }
}

/**
 * Under the lock, so that it also makes good what a second recovery at the same time may have overwritten:
 * a publisher's document is on disk before it is listed.
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

/** Named after its content: running the recovery twice keeps one copy. */
async function keepBroken(path: string, bytes: Buffer): Promise<string> {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12)
  const copy = `${path}.broken-${digest}`
  await write(copy, bytes)
  return basename(copy)
}
