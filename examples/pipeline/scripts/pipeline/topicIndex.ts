/**
 * The topics on the site: the hash of the published version of each, and the document that owns it. Two documents with the
 * same address are told apart here, under the lock of this file, so exactly one of them is published.
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { PipelineDocument } from '../../lib/content/document'
import { type IndexFile, shapeOf } from '../../lib/content/index-file'
import { topicIndexPath, topicKeyOf } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { TopicIndex, TopicRecord } from '../../lib/content/types'
import { PublishError } from './errors'
import { updateIndex } from './indexUpdate'
import { type Place, withRecordIn } from './topic-places'

export const topicIndexFile: IndexFile<TopicIndex> = {
  path: topicIndexPath,
  schema: shapeOf(
    z.array(
      z.looseObject({
        topicKey: z.string(),
        pageType: z.string(),
        slug: z.string(),
        status: z.enum(['published', 'failed']),
      }),
    ),
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
  return loadIndex(topicIndexFile)
}

/** Replaces the whole index, including records added since it was loaded. To change one record, use `upsertRecord`. */
export async function saveTopicIndex(index: TopicIndex): Promise<void> {
  await updateIndex(topicIndexFile, () => index)
}

export function recordOf(index: TopicIndex, topicKey: string): TopicRecord | undefined {
  return index.find((record) => record.topicKey === topicKey)
}

export async function getRecord(topicKey: string): Promise<TopicRecord | undefined> {
  return recordOf(await loadTopicIndex(), topicKey)
}

export async function getAllPublishedTopics(): Promise<TopicRecord[]> {
  return (await loadTopicIndex()).filter(({ status }) => status === 'published')
}

type Next = Omit<TopicRecord, 'lastUpdatedAt'>

/** The topic's record with these changes; `undefined` if they change nothing. */
function changed(before: TopicRecord | undefined, next: Next): TopicRecord | undefined {
  const after = { ...next, lastUpdatedAt: before?.lastUpdatedAt ?? '' }
  const mayBeEqual = before?.contentHash === after.contentHash
  if (mayBeEqual && isDeepStrictEqual(after, before)) return undefined
  return { ...after, lastUpdatedAt: new Date().toISOString() }
}

/** @returns the index with the topic's record replaced by `next(record)`; if that is equal, the index itself. */
function withRecord(
  index: TopicIndex,
  topicKey: string,
  next: (record: TopicRecord | undefined) => Next,
): TopicIndex {
  const at = index.findIndex((record) => record.topicKey === topicKey)
  const record = changed(index[at], next(index[at]))
  if (record === undefined) return index
  // (`with` takes 30 times as long as this for a frozen array.)
  const records = [...index]
  records[at === -1 ? index.length : at] = record
  return records
}

async function changeRecord(
  topicKey: string,
  next: (record: TopicRecord | undefined) => Next,
): Promise<void> {
  await updateIndex(topicIndexFile, (index) => withRecord(index, topicKey, next))
}

export async function upsertRecord(record: Next): Promise<void> {
  await changeRecord(record.topicKey, (before) => ({ ...before, ...record }))
}

/**
 * For a function of a commit of many: see `working-list.ts`.
 *
 * @param place where the index has the topic
 * @returns the index with the topic published.
 * @throws PublishError `SLUG_TOPICKEY_CONFLICT` if another document has the topic, or another topic of
 *   the page type has the slug.
 */
export function withPublished(index: TopicIndex, topic: Topic, place: Place): TopicIndex {
  const { record: before, rival } = place
  if (rival) {
    throw new PublishError(
      `${topic.pageType} "${topic.slug}" of document ${topic.documentId} is taken: topic ${rival.topicKey}, slug ` +
        `"${rival.slug}", belongs to ${rival.documentId ? `document ${rival.documentId}` : 'an earlier document'}; use another slug`,
      'SLUG_TOPICKEY_CONFLICT',
    )
  }
  const record = changed(before, published(topic, before))
  return record ? withRecordIn(index, place, record) : index
}

/** Whether the site has this version of the topic. */
export function isPublishedAs(topic: Topic, record: TopicRecord | undefined): boolean {
  return record?.status === 'published' && record.contentHash === topic.contentHash && !record.lastError
}

function published(topic: Topic, before?: TopicRecord): Next {
  if (before && isPublishedAs(topic, before)) return { ...before, ...topic }
  const kept = before && ('lastError' in before || 'attempts' in before) ? withoutFailure(before) : before
  return { ...kept, ...topic, status: 'published', lastPublishedAt: new Date().toISOString() }
}

function withoutFailure({ lastError: _, attempts: __, ...kept }: TopicRecord) {
  return kept
}

/** @returns the index with all topics published; their documents are on disk. */
export function withAllPublished(index: TopicIndex, topics: readonly Topic[]): TopicIndex {
  return topics.reduce(
    (next, topic) => withRecord(next, topic.topicKey, (before) => published(topic, before)),
    index,
  )
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
