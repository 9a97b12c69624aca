/**
 * Restores broken indexes. The addon refuses to update an index that is not valid JSON, so publishers stop and
 * nothing gets worse until a person starts the recovery.
 *
 * The backup is the version before the last one, so the last change is missing from it; what is missing is added
 * from the documents. The broken file is kept under another name, so that the cause can be found.
 */

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import type { z } from 'zod'
import { asPublishError, PublishError } from '../../scripts/pipeline/errors'
import { changeTogether, type IndexFile } from '../../scripts/pipeline/indexUpdate'
import { contentIndexFile } from '../../scripts/pipeline/publisher'
import { topicIndexFile, topicOf, withAllPublished } from '../../scripts/pipeline/topicIndex'
import { contentHash, type PipelineDocument, serializeDocument } from './document'
import { type RebuildStats, readDocuments } from './index-rebuild'
import { contentIndexSchema, emptyContentIndex, withDocuments } from './listing'
import { contentIndexBackupPath, contentIndexPath } from './paths'
import { parseJson, readIfThere } from './read-json'
import { assertShape } from './shape'
import type { ContentIndex } from './types'

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
  const bytes = await readIfThere(contentIndexBackupPath())
  return bytes === undefined ? null : parseContentIndex(bytes, contentIndexBackupPath())
}

/** Restores a missing or broken content index: from the backup if that is valid, else from the documents. */
export async function recoverIndex(): Promise<Recovery> {
  if ((await stateOf(contentIndexFile)) === 'whole') return { source: 'intact' }
  const backup = await loadBackupIndex().catch((error: unknown) => {
    if (error instanceof PublishError && error.code === 'INVALID_JSON') return null
    throw error
  })
  const file = { ...contentIndexFile, empty: () => backup ?? emptyContentIndex() }
  return { source: backup ? 'backup' : 'files', ...(await restore(file, withDocuments)) }
}

/**
 * Restores a missing or broken topic index from the documents. It has no backup, because it holds nothing else but what
 * has failed, and the next attempt tells that again.
 */
export async function recoverTopics(): Promise<Recovery> {
  const state = await stateOf(topicIndexFile)
  if (state === 'whole') return { source: 'intact' }
  if (state === 'missing' && (await readDocuments()).docs.length === 0) return { source: 'intact' }
  const restored = await restore(topicIndexFile, (index, docs) =>
    withAllPublished(
      index,
      docs.map((doc) => topicOf(doc, contentHash(serializeDocument(doc)))),
    ),
  )
  return { source: 'files', ...restored }
}

async function stateOf<T extends object>({ path, schema }: IndexFile<T>) {
  const bytes = await readIfThere(path())
  return bytes === undefined ? 'missing' : isWhole(bytes, path(), schema) ? 'whole' : 'broken'
}

function isWhole(bytes: Buffer, path: string, schema: z.ZodType): boolean {
  try {
    assertShape(parseJson(bytes, path), schema, path)
    return true
  } catch {
    return false
  }
}

/**
 * Sets a broken index aside and adds to the new one what it lacks, in one transaction. No document is published meanwhile:
 * that needs the same index. If another recovery was faster, its index is the one that is completed.
 */
async function restore<T extends object>(
  file: IndexFile<T>,
  withAll: (index: T, docs: PipelineDocument[]) => T,
): Promise<Omit<Recovery, 'source'>> {
  let stats: RebuildStats = { documents: 0, skipped: [] }
  const path = file.path()
  const { value: brokenCopy } = await changeTogether(async (tx, update) => {
    const bytes = await tx.read(path)
    const copy =
      bytes === null || isWhole(bytes, path, file.schema) ? undefined : `${path}.broken-${digest(bytes)}`
    if (copy !== undefined) tx.rename(path, copy)
    update(file, async (index) => {
      const { docs, skipped } = await readDocuments()
      stats = { documents: docs.length, skipped }
      return withAll(index, docs)
    })
    return copy
  })
  return { stats, ...(brokenCopy !== undefined && { brokenCopy: basename(brokenCopy) }) }
}

/** A copy is named after its content, so running the recovery twice keeps one copy. */
function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12)
}
