/**
 * The topics on the site: the hash of the published version of each, and the document that owns it.
 *
 * A topic is claimed here before its document is written, and marked `published` after everything else is on disk. In
 * between, the record of a new topic says `failed`, and still does if the publisher is killed, so the index never
 * says more than the disk holds. Two documents with the same address are told apart by the claim, inside one
 * update of this file, so exactly one of them is published.
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { PipelineDocument } from '../../lib/content/document'
import { topicIndexPath, topicKeyOf } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { TopicIndex, TopicRecord } from '../../lib/content/types'
import { PublishError } from './errors'
import { type IndexFile, updateIndex } from './indexUpdate'

const CLAIMED =
  'Not published yet: its publisher is still running or was stopped. If it was stopped, publish the document again.'

export const topicIndexFile: IndexFile<TopicIndex> = {
  path: topicIndexPath,
  schema: z.array(
    z.looseObject({
      topicKey: z.string(),
      pageType: z.string(),
      slug: z.string(),
      status: z.enum(['published', 'failed']),
    }),
  ),
  empty: () => [],
}

/** What a document contributes to the record of its topic. */
export type Topic = Pick<
  TopicRecord,
  'topicKey' | 'pageType' | 'slug' | 'contentHash' | 'sourcesUsed' | 'documentId'
>

export function topicOf(doc: PipelineDocument, contentHash: string): Topic {
  return {
    topicKey: topicKeyOf(doc),
    pageType: doc.pageType,
    slug: doc.slug,
    contentHash,
    sourcesUsed: doc.sources.map(({ url }) => url),
    documentId: doc.id,
  }
}

/** @throws PublishError `INVALID_JSON` if the file is broken. */
export function loadTopicIndex(): Promise<TopicIndex> {
  return loadIndex(topicIndexFile.path(), topicIndexFile.schema, topicIndexFile.empty)
}

/** Replaces the whole index, including records added since it was loaded. To change one record, use `upsertRecord`. */
export async function saveTopicIndex(index: TopicIndex): Promise<void> {
  await updateIndex(topicIndexFile, () => index)
}

export async function getRecord(topicKey: string): Promise<TopicRecord | undefined> {
  return (await loadTopicIndex()).find((record) => record.topicKey === topicKey)
}

export async function getAllPublishedTopics(): Promise<TopicRecord[]> {
  return (await loadTopicIndex()).filter(({ status }) => status === 'published')
}

type Next = Omit<TopicRecord, 'lastUpdatedAt'>

/** Replaces the topic's record by `next(record, index)`. If the result is equal, nothing is written. */
async function changeRecord(
  topicKey: string,
  next: (record: TopicRecord | undefined, index: TopicIndex) => Next,
): Promise<void> {
  await updateIndex(topicIndexFile, (index) => {
    const at = index.findIndex((record) => record.topicKey === topicKey)
    const before = index[at]
    const after = { ...next(before, index), lastUpdatedAt: before?.lastUpdatedAt ?? '' }
    if (isDeepStrictEqual(after, before)) return index
    const record = { ...after, lastUpdatedAt: new Date().toISOString() }
    return at === -1 ? [...index, record] : index.with(at, record)
  })
}

export async function upsertRecord(record: Next): Promise<void> {
  await changeRecord(record.topicKey, (before) => ({ ...before, ...record }))
}

/**
 * Claims the topic for the document, before anything of it is written.
 *
 * @throws PublishError `SLUG_TOPICKEY_CONFLICT` if another document has the topic, or another topic of
 *   the page type has the slug.
 */
export async function claimTopic(topic: Topic): Promise<void> {
  await changeRecord(topic.topicKey, (before, index) => {
    const rival = index.find((other) => isRival(other, topic))
    if (rival) {
      throw new PublishError(
        `${topic.pageType} "${topic.slug}" of document ${topic.documentId} is taken: topic ${rival.topicKey}, slug ` +
          `"${rival.slug}", belongs to ${rival.documentId ? `document ${rival.documentId}` : 'an earlier document'}; use another slug`,
        'SLUG_TOPICKEY_CONFLICT',
      )
    }
    return before
      ? { ...before, documentId: topic.documentId }
      : { ...topic, status: 'failed', lastError: CLAIMED }
  })
}

function isRival(other: TopicRecord, topic: Topic): boolean {
  if (other.topicKey !== topic.topicKey) return other.pageType === topic.pageType && other.slug === topic.slug
  return (
    other.slug !== topic.slug || (other.documentId !== undefined && other.documentId !== topic.documentId)
  )
}

export async function markPublished(topic: Topic): Promise<void> {
  await changeRecord(topic.topicKey, (before) => published(topic, before))
}

function published(topic: Topic, before?: TopicRecord): Next {
  if (before?.status === 'published' && before.contentHash === topic.contentHash && !before.lastError) {
    return { ...before, ...topic }
  }
  const { lastError: _, attempts: __, ...kept } = before ?? {}
  return { ...kept, ...topic, status: 'published', lastPublishedAt: new Date().toISOString() }
}

/** The index of documents that are on disk. */
export function indexOf(topics: readonly Topic[]): TopicIndex {
  return topics.map((topic) => ({ ...published(topic), lastUpdatedAt: new Date().toISOString() }))
}

/** A topic whose earlier version is on the site stays `published`; `lastError` and `attempts` show the failure. */
export async function markFailed(topic: Topic, error: Error): Promise<void> {
  await changeRecord(
    topic.topicKey,
    (before) =>
      ({
        ...(before ?? topic),
        topicKey: topic.topicKey,
        status: before?.status ?? 'failed',
        lastError: error.message,
        attempts: (before?.attempts ?? 0) + 1,
      }) as Next,
  )
}
