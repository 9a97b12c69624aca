/**
 * Which topics are on the site, from which bytes, and which document owns each.
 *
 * A topic is claimed here before its document is written, and marked `published` here after everything
 * else is there. In between, and for good if the publisher dies, its record says `failed`: no crash makes
 * the index say more than the disk holds. Two documents that want one address meet in the claim, inside
 * one update of this file, so exactly one of them goes on.
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { PipelineDocument } from '../../lib/content/document'
import { topicIndexPath, topicKeyOf } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { TopicIndex, TopicRecord } from '../../lib/content/types'
import { PublishError } from './errors'
import { type IndexFile, updateIndex } from './indexUpdate'

const CLAIMED = 'Not published yet: its publisher is at work or was stopped. Publish the document again.'

const topicIndexFile: IndexFile<TopicIndex> = {
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

/** What identifies a topic and says what it was made of. */
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

/** Replaces the whole index, records that others have added since it was loaded included. To change one, use `upsertRecord`. */
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

/** Puts `next(the topic's record)` in its place. An equal record keeps its `lastUpdatedAt`. */
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
 * Makes the topic the document's own, before anything of it is written.
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
          `"${rival.slug}", belongs to ${rival.documentId ? `document ${rival.documentId}` : 'an earlier document'}`,
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
  await changeRecord(topic.topicKey, (before) => {
    if (before?.status === 'published' && before.contentHash === topic.contentHash && !before.lastError) {
      return { ...before, ...topic }
    }
    const { lastError: _, attempts: __, ...kept } = before ?? {}
    return { ...kept, ...topic, status: 'published', lastPublishedAt: new Date().toISOString() }
  })
}

/** A topic that is on the site in an earlier version stays `published`; `lastError` and `attempts` tell. */
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
