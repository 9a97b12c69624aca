// The topic index of the former publisher: a topic is claimed before anything is written, and marked after everything is.

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { PipelineDocument } from '../../../examples/pipeline/lib/content/document'
import { topicIndexPath, topicKeyOf } from '../../../examples/pipeline/lib/content/paths'
import type { TopicIndex, TopicRecord } from '../../../examples/pipeline/lib/content/types'
import { type IndexFile, loadIndex, updateIndex } from './update'

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

export async function getRecord(topicKey: string): Promise<TopicRecord | undefined> {
  return (await loadIndex(topicIndexFile)).find((record) => record.topicKey === topicKey)
}

export function isPublishedAs(topic: Topic, record: TopicRecord | undefined): boolean {
  return record?.status === 'published' && record.contentHash === topic.contentHash && !record.lastError
}

export async function claimTopic(topic: Topic): Promise<void> {
  await changeRecord(topic.topicKey, (before, index) => {
    if (index.some((other) => isRival(other, topic))) throw new Error(`${topic.topicKey} is taken`)
    return before
      ? { ...before, documentId: topic.documentId }
      : { ...topic, status: 'failed', lastError: 'Not published yet' }
  })
}

export async function markPublished(topic: Topic): Promise<void> {
  await changeRecord(topic.topicKey, (before) => {
    if (before && isPublishedAs(topic, before)) return { ...before, ...topic }
    const { lastError: _, attempts: __, ...kept } = before ?? {}
    return { ...kept, ...topic, status: 'published', lastPublishedAt: new Date().toISOString() }
  })
}

type Next = Omit<TopicRecord, 'lastUpdatedAt'>

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

function isRival(other: TopicRecord, topic: Topic): boolean {
  if (other.topicKey !== topic.topicKey) return other.pageType === topic.pageType && other.slug === topic.slug
  return (
    other.slug !== topic.slug || (other.documentId !== undefined && other.documentId !== topic.documentId)
  )
}
