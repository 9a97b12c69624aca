/**
 * The topics on the site: the hash of the published version of each, and the document that owns it. Two documents with the
 * same address are told apart here, under the lock of this file, so exactly one of them is published.
 */

import { isDeepStrictEqual } from 'node:util'
import type { IndexPatch, IndexView } from '@pipeline/atomic'
import { z } from 'zod'
import type { PipelineDocument } from '../../lib/content/document'
import { foundAs, type IndexFile, madeAs, shapeOf } from '../../lib/content/index-file'
import { topicIndexPath, topicKeyOf } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { TopicIndex, TopicRecord } from '../../lib/content/types'
import { PublishError } from './errors'
import { patchIndex, updateIndex } from './indexUpdate'

const recordSchema = z.looseObject({
  topicKey: z.string(),
  pageType: z.string(),
  slug: z.string(),
  status: z.enum(['published', 'failed']),
})

export const topicIndexFile: IndexFile<TopicIndex> = {
  path: topicIndexPath,
  schema: shapeOf(z.array(recordSchema)),
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

/** A record, and where it is. */
interface Place {
  pointer: string
  value: TopicRecord
}

/** The records with this member, in the order of the index, but for those that are `known`. */
function recordsWith(view: IndexView, key: 'topicKey' | 'slug', value: string, known: Place[] = []): Place[] {
  const found = view
    .findAll('', key, value)
    .filter(({ pointer }) => known.every((place) => place.pointer !== pointer))
  for (const { pointer, value } of found)
    foundAs(recordSchema, value, `The record ${pointer} of the topic index`)
  return found
}

/** The patch that puts the record in this place, or at the end. An index that is no list has no end, and the patch fails. */
function recordPatch(place: Place | undefined, record: TopicRecord | undefined): IndexPatch | undefined {
  if (record === undefined) return undefined
  const made = madeAs(recordSchema, record, `The record of topic ${record.topicKey}`)
  // (An object with a pointer as its key is of a new kind for V8 each time.)
  return place ? [{ op: 'replace', path: place.pointer, value: made }] : { append: { '': [made] } }
}

async function changeRecord(
  topicKey: string,
  next: (record: TopicRecord | undefined) => Next,
): Promise<void> {
  await patchIndex(topicIndexFile, (view) => {
    const [place] = recordsWith(view, 'topicKey', topicKey)
    return recordPatch(place, changed(place?.value, next(place?.value)))
  })
}

export async function upsertRecord(record: Next): Promise<void> {
  await changeRecord(record.topicKey, (before) => ({ ...before, ...record }))
}

/** What the index has of a topic, and the patch that publishes it; `undefined`: the site has it. */
export interface Publishing {
  before: TopicRecord | undefined
  patch: IndexPatch | undefined
}

/**
 * How to publish a topic.
 *
 * @throws PublishError `SLUG_TOPICKEY_CONFLICT` if another document has the topic, or another topic of
 *   the page type has the slug.
 */
export function publishing(view: IndexView, topic: Topic): Publishing {
  const own = recordsWith(view, 'topicKey', topic.topicKey)
  const near = [...own, ...recordsWith(view, 'slug', topic.slug, own)]
  const rivals = near.filter(({ value }) => isRival(value, topic))
  if (rivals.length > 0) throw isTaken(topic, rivals.reduce(earlier).value)
  const [place] = own
  const before = place?.value
  return { before, patch: recordPatch(place, changed(before, published(topic, before))) }
}

const positionOf = ({ pointer }: Place) => Number(pointer.slice(1))
const earlier = (one: Place, other: Place) => (positionOf(other) < positionOf(one) ? other : one)

function isRival(other: TopicRecord, { topicKey, pageType, slug, documentId }: Topic): boolean {
  if (other.topicKey !== topicKey) return other.pageType === pageType && other.slug === slug
  return other.slug !== slug || (other.documentId !== undefined && other.documentId !== documentId)
}

function isTaken(topic: Topic, rival: TopicRecord): PublishError {
  const owner = rival.documentId ? `document ${rival.documentId}` : 'an earlier document'
  return new PublishError(
    `${topic.pageType} "${topic.slug}" of document ${topic.documentId} is taken: topic ${rival.topicKey}, slug ` +
      `"${rival.slug}", belongs to ${owner}; use another slug`,
    'SLUG_TOPICKEY_CONFLICT',
  )
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
  const records = new Map(index.map((record) => [record.topicKey, record]))
  for (const topic of topics) {
    const before = records.get(topic.topicKey)
    const record = changed(before, published(topic, before))
    if (record) records.set(topic.topicKey, record)
  }
  return [...records.values()]
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
