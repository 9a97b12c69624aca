/**
 * Publishes a document: five commits to four files. After a crash between any two of them, publishing the document
 * again completes it.
 *
 *   1. topicIndex     claims the topic, so that no other document can have it
 *   2. the document   is on disk before any list points to it
 *   3. contentIndex   lists it
 *   4. metrics        count it
 *   5. topicIndex     marks the topic `published`: nothing is missing
 *
 * Each step writes nothing if its work is done already.
 */

import { performance } from 'node:perf_hooks'
import { atomicWrite } from '@pipeline/atomic'
import {
  contentHash,
  type PipelineDocument,
  serializeDocument,
  validateDocument,
} from '../../lib/content/document'
import { contentIndexSchema, emptyContentIndex, isListed, withDocuments } from '../../lib/content/listing'
import { contentIndexPath, documentPath, routePath } from '../../lib/content/paths'
import { loadIndex, parseJson, readIfThere } from '../../lib/content/read-json'
import type { ContentIndex, TopicRecord } from '../../lib/content/types'
import { asPublishError, failureKind, PublishError } from './errors'
import { type IndexFile, updateIndex } from './indexUpdate'
import { recordPublishAttempt } from './metrics'
import { claimTopic, getRecord, markFailed, markPublished, type Topic, topicOf } from './topicIndex'
import { warn } from './warn'

export { PublishError, type PublishErrorCode } from './errors'

export interface Published {
  /** The document's path on the site. */
  routePath: string
  slug: string
  /** `false`: the same version was published already, and nothing was written. */
  changed: boolean
}

export const contentIndexFile: IndexFile<ContentIndex> = {
  path: contentIndexPath,
  schema: contentIndexSchema,
  empty: emptyContentIndex,
  backup: true,
}

/** @throws PublishError `INVALID_JSON` if the file is broken. */
export function loadContentIndex(): Promise<ContentIndex> {
  return loadIndex(contentIndexFile.path(), contentIndexFile.schema, contentIndexFile.empty)
}

/** Lists the documents in the content index. Writes nothing if all of them are listed and up to date. */
export async function listDocuments(docs: readonly PipelineDocument[]): Promise<void> {
  await updateIndex(contentIndexFile, (index) => withDocuments(index, docs))
}

/**
 * Publishes `input`. When it resolves, the document and its records are on disk. If it rejects, call it again when the
 * cause is removed; it then does only what is missing.
 *
 * @throws PublishError For `VALIDATION_ERROR` and `SLUG_TOPICKEY_CONFLICT` nothing is written except the count of the
 *   failure.
 */
export async function publishDoc(input: unknown): Promise<Published> {
  const started = performance.now()
  let topic: Topic | undefined
  try {
    const doc = validateDocument(input)
    const text = serializeDocument(doc)
    topic = topicOf(doc, contentHash(text))
    const published = { routePath: routePath(doc), slug: doc.slug }

    const isMarked = isPublishedAs(topic, await getRecord(topic.topicKey))
    if (isMarked && (await isOnDisk(doc, text))) return { ...published, changed: false }
    await refuseOtherOwner(doc)
    await claimTopic(topic)
    await writeDocument(doc, text)
    await listDocuments([doc])
    // A topic that is marked was counted before; then the document or its entry was missing.
    if (!isMarked) await countSuccess(topic, performance.now() - started)
    await markPublished(topic)
    return { ...published, changed: true }
  } catch (error) {
    const failure = asPublishError(error, 'document')
    await countFailure(failure, performance.now() - started, topic)
    throw failure
  }
}

/** The record was read without a lock. That is enough, because each step decides again under its lock. */
function isPublishedAs(topic: Topic, record: TopicRecord | undefined): boolean {
  return (
    record?.status === 'published' &&
    record.contentHash === topic.contentHash &&
    record.documentId === topic.documentId &&
    record.slug === topic.slug &&
    record.lastError === undefined
  )
}

async function isOnDisk(doc: PipelineDocument, text: string): Promise<boolean> {
  const bytes = await readIfThere(documentPath(doc))
  return bytes?.equals(Buffer.from(text)) === true && isListed(await loadContentIndex(), doc)
}

/**
 * Refuses to replace another document's file. The claim decides between documents that are published at the same
 * time; this check is for a topic index that was lost, or whose records have no `documentId`.
 */
async function refuseOtherOwner(doc: PipelineDocument): Promise<void> {
  const path = documentPath(doc)
  let owner: unknown
  try {
    const bytes = await readIfThere(path)
    owner = bytes && (parseJson(bytes, path) as { id?: unknown } | null)?.id
  } catch {
    return // Not readable, or not a document: the write replaces it or reports the error.
  }
  if (owner === undefined || owner === doc.id) return
  throw new PublishError(
    `${routePath(doc)} is taken by document ${owner}; use another slug`,
    'SLUG_TOPICKEY_CONFLICT',
  )
}

async function writeDocument(doc: PipelineDocument, text: string): Promise<void> {
  try {
    await atomicWrite(documentPath(doc), text, { ifChanged: true })
  } catch (error) {
    throw asPublishError(error, 'document')
  }
}

/** A failure to count is a warning, because the document is published all the same. */
async function countSuccess(topic: Topic, durationMs: number): Promise<void> {
  const { topicKey, pageType, slug, contentHash } = topic
  await recordPublishAttempt({ outcome: 'success', durationMs, topicKey, pageType, slug, contentHash }).catch(
    (error) => {
      warn('A publish was not counted', error)
    },
  )
}

/** Records a failure. Errors in doing so are warnings: the caller gets the failure itself. */
async function countFailure(
  failure: PublishError,
  durationMs: number,
  topic: Topic | undefined,
): Promise<void> {
  const about = topic && { topicKey: topic.topicKey, pageType: topic.pageType, slug: topic.slug }
  await recordPublishAttempt({
    outcome: 'failure',
    durationMs,
    ...about,
    failure: failureKind(failure),
    errorCode: failure.code,
  }).catch((error) => warn('A failed publish was not counted', error))
  if (!topic || failure.code === 'SLUG_TOPICKEY_CONFLICT') return
  await markFailed(topic, failure).catch((error) => warn('A failed topic was not marked', error))
}
