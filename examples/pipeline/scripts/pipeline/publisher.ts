/**
 * Publishes a document: five commits over four files, in an order in which a crash after any of them
 * is repaired by publishing the document again.
 *
 *   1. topicIndex     the topic is claimed; two documents cannot both have it
 *   2. the document   on disk before any list points to it
 *   3. contentIndex   lists it
 *   4. metrics        counts it
 *   5. topicIndex     `published`: the mark that nothing is missing
 *
 * Each step asks whether its work is done and then writes nothing. That is all a repetition needs.
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
  /** `false`: this very document was published already, and nothing was written. */
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

/** Lists the documents in the content index. One that is listed as it is changes nothing. */
export async function listDocuments(docs: readonly PipelineDocument[]): Promise<void> {
  await updateIndex(contentIndexFile, (index) => withDocuments(index, docs))
}

/**
 * Publishes `input`. Resolved: the document and its records are on disk. Rejected: run it again when the
 * reason is gone; what was done stays valid and is not done twice.
 *
 * @throws PublishError see its codes. Nothing is written for `VALIDATION_ERROR` and
 *   `SLUG_TOPICKEY_CONFLICT` except the count of the failure.
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
    await refuseAnothers(doc)
    await claimTopic(topic)
    await writeDocument(doc, text)
    await listDocuments([doc])
    // A marked topic was counted when it was marked: what was missing is something else.
    if (!isMarked) await countSuccess(topic, performance.now() - started)
    await markPublished(topic)
    return { ...published, changed: true }
  } catch (error) {
    const failure = asPublishError(error, 'document')
    await countFailure(failure, performance.now() - started, topic)
    throw failure
  }
}

/** Looked up without a lock: every file is whole at any time, and the steps decide again under theirs. */
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
 * The claim decides between documents that race. This guards what was published before the topic index
 * was lost or began to note owners: a file is only ever replaced by the document it was made of.
 */
async function refuseAnothers(doc: PipelineDocument): Promise<void> {
  const path = documentPath(doc)
  let owner: unknown
  try {
    const bytes = await readIfThere(path)
    owner = bytes && (parseJson(bytes, path) as { id?: unknown } | null)?.id
  } catch {
    return // Not readable as a document: the write says what is wrong, or puts it right.
  }
  if (owner === undefined || owner === doc.id) return
  throw new PublishError(`${routePath(doc)} is taken by document ${owner}`, 'SLUG_TOPICKEY_CONFLICT')
}

async function writeDocument(doc: PipelineDocument, text: string): Promise<void> {
  try {
    await atomicWrite(documentPath(doc), text, { ifChanged: true })
  } catch (error) {
    throw asPublishError(error, 'document')
  }
}

/** Statistics do not decide whether a document is published: a failure to count is a warning. */
async function countSuccess(topic: Topic, durationMs: number): Promise<void> {
  const { topicKey, pageType, slug, contentHash } = topic
  await recordPublishAttempt({ outcome: 'success', durationMs, topicKey, pageType, slug, contentHash }).catch(
    (error) => {
      warn('A publish was not counted', error)
    },
  )
}

/** Best effort: the caller gets the failure itself, not what went wrong while it was noted. */
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
