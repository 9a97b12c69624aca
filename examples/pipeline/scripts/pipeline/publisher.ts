/**
 * Publishes a document: its file, its entry in the content index, its topic and the count of publishes change together.
 * A document is published in all four or in none, whatever stops the publisher.
 */

import { existsSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import {
  contentHash,
  type PipelineDocument,
  serializeDocument,
  validateDocument,
} from '../../lib/content/document'
import { type IndexFile, shapeOf } from '../../lib/content/index-file'
import {
  contentIndexSchema,
  emptyContentIndex,
  type Listing,
  listingOf,
  listingsPatch,
} from '../../lib/content/listing'
import { ownerOf } from '../../lib/content/owner'
import { contentIndexPath, documentPath, isInStore, routePath, versionPath } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { ContentIndex, PublishMetrics } from '../../lib/content/types'
import { asPublishError, failureKind, PublishError } from './errors'
import { patchIndex, writeTogether } from './indexUpdate'
import { getMetrics, metricsFile, recordPublishAttempt, withAttempt } from './metrics'
import { isPublishedAs, markFailed, publishing, type Topic, topicIndexFile, topicOf } from './topicIndex'
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
  schema: shapeOf(contentIndexSchema),
  empty: emptyContentIndex,
  backup: true,
}

/** @throws PublishError `INVALID_JSON` if the file is broken. */
export function loadContentIndex(): Promise<ContentIndex> {
  return loadIndex(contentIndexFile)
}

/** Lists the documents in the content index. Writes nothing if all of them are listed and up to date. */
export async function listDocuments(docs: readonly PipelineDocument[]): Promise<void> {
  const listings = docs.map(listingOf)
  await patchIndex(contentIndexFile, (view) => listingsPatch(view, listings))
}

/**
 * Publishes `input`. When it resolves, the document and its records are on disk. What is there already is not written
 * again.
 *
 * @throws PublishError The document is not published, and the failure is counted; `VALIDATION_ERROR` and
 *   `SLUG_TOPICKEY_CONFLICT` leave everything else as it was. If the cause has `committed: true`, the document is
 *   published; publish it again when the disk is in order.
 */
export async function publishDoc(input: unknown): Promise<Published> {
  const started = performance.now()
  let topic: Topic | undefined
  try {
    const doc = validateDocument(input)
    const text = serializeDocument(doc)
    topic = topicOf(doc, contentHash(text))
    const changed = await commit({ doc, text, topic, listing: listingOf(doc), started })
    return { routePath: routePath(doc), slug: doc.slug, changed }
  } catch (error) {
    const failure = asPublishError(error, 'document')
    await countFailure(failure, performance.now() - started, topic)
    throw failure
  }
}

interface Publication {
  doc: PipelineDocument
  text: string
  topic: Topic
  listing: Listing
  started: number
}

/** @returns whether anything had to be written. */
async function commit(publication: Publication): Promise<boolean> {
  try {
    return await commitAll(publication, true)
  } catch (error) {
    const fault = await brokenMetrics(error)
    if (fault === undefined) throw error
    warn('A publish was not counted', fault)
    return commitAll(publication, false)
  }
}

async function commitAll(publication: Publication, count: boolean): Promise<boolean> {
  const { doc, text, topic, listing, started } = publication
  const isVersioned = isInStore()
  const path = isVersioned ? versionPath(doc, topic.contentHash) : documentPath(doc)
  let isNew = false
  return writeTogether(path, text, ({ update, patch: change }) => {
    change(topicIndexFile, (view) => {
      const { before, patch } = publishing(view, topic)
      isNew = !isPublishedAs(topic, before)
      // A version in a store replaces no other document.
      if (!isVersioned) refuseOtherOwner(doc, path, before !== undefined)
      return patch
    })
    change(contentIndexFile, (view) => listingsPatch(view, [listing]))
    // A version that the site has was counted before; then its file or its entry was lost.
    if (count) update(metricsFile, (metrics) => (isNew ? withSuccess(metrics, topic, started) : metrics))
  })
}

function withSuccess(metrics: PublishMetrics, topic: Topic, started: number): PublishMetrics {
  const { topicKey, pageType, slug, contentHash } = topic
  const durationMs = performance.now() - started
  return withAttempt(metrics, { outcome: 'success', durationMs, topicKey, pageType, slug, contentHash })
}

/** Why the metrics cannot be updated, if that is what `error` is about. They do not decide whether a document is published. */
async function brokenMetrics(error: unknown): Promise<unknown> {
  if (!(error instanceof PublishError) || error.code !== 'INVALID_JSON') return undefined
  return getMetrics().then(
    () => undefined,
    (fault: unknown) => fault,
  )
}

/**
 * Refuses to replace another document's file. The topic index decides between documents that are published at the same time; this check is for
 * a document that came there by another way, a topic index that was lost, or records without a `documentId`.
 */
function refuseOtherOwner(doc: PipelineDocument, path: string, isExpected: boolean): void {
  let owner: unknown
  try {
    // Synchronous, as the function of an update that awaits nothing holds the lock for less time. To find no file costs less than an error.
    if (!isExpected && !existsSync(path)) return
    owner = ownerOf(path, doc.id)
  } catch {
    return // Not readable, or not a document: the write replaces it or reports the error.
  }
  if (owner === undefined || owner === doc.id) return
  throw new PublishError(
    `${routePath(doc)} is taken by document ${owner}; use another slug`,
    'SLUG_TOPICKEY_CONFLICT',
  )
}

/** Records a failure. Errors in doing so are warnings: the caller gets the failure itself. */
async function countFailure(
  failure: PublishError,
  durationMs: number,
  topic: Topic | undefined,
): Promise<void> {
  // The document is published, and counted: only a flush or a name is missing.
  if ((failure.cause as { committed?: boolean } | undefined)?.committed) return
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
