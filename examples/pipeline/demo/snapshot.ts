/** Reads everything as of one moment, while publishers are at work: each document must be in all four files or in none. */

import { isDeepStrictEqual } from 'node:util'
import { readIndex, snapshotRead } from '@pipeline/atomic'
import { contentHash, serializeDocument } from '../lib/content/document'
import { entryKey, SECTIONS, toEntry } from '../lib/content/listing'
import {
  contentIndexPath,
  contentRoot,
  documentPath,
  indexesPath,
  isInStore,
  publishMetricsPath,
  routePath,
  topicIndexPath,
  topicKeyOf,
  versionPath,
} from '../lib/content/paths'
import type { ContentIndex, ListingEntry, PublishMetrics, TopicIndex } from '../lib/content/types'
import type { Expected } from './corpus'
import { mapParallel } from './parallel'

export interface Snapshot {
  /** By route: which of its four files have the document as it is to be. */
  documents: Map<string, 'all' | 'none' | 'some'>
  /** What is wrong. */
  faults: string[]
}

/** The object that holds the indexes in a store. */
interface Indexes {
  contentIndex?: ContentIndex
  topicIndex?: TopicIndex
  'publish-metrics'?: PublishMetrics
}

interface Seen {
  content?: ContentIndex
  topics?: TopicIndex
  metrics?: PublishMetrics
  /** The file of each document. */
  texts: (string | null | undefined)[]
}

export async function takeSnapshot(all: readonly Expected[]): Promise<Snapshot> {
  const { content, topics, metrics, texts } = isInStore() ? await seeStore(all) : await seeFolder(all)
  const indexes = { entries: entriesOf(content), topics: topics ?? [], metrics }
  const records = new Map(indexes.topics.map((record) => [record.topicKey, record]))

  const snapshot: Snapshot = { documents: new Map(), faults: [] }
  for (const [i, { doc, text }] of all.entries()) {
    const key = topicKeyOf(doc)
    const section = SECTIONS[doc.pageType]
    const entry = indexes.entries.get(`${section} ${entryKey(section, toEntry(doc))}`)
    const record = records.get(key)
    const counted = indexes.metrics?.counted?.[key]
    const found = [texts[i] ?? undefined, entry, record, counted]
    const isRight = [
      texts[i] === text,
      isDeepStrictEqual(entry, toEntry(doc)),
      record?.status === 'published' && record.contentHash === contentHash(text),
      counted === contentHash(text),
    ]
    const isNowhere = found.every((one) => one === undefined)
    const state = isRight.every(Boolean) ? 'all' : isNowhere ? 'none' : 'some'
    snapshot.documents.set(routePath(doc), state)
    if (state === 'some') snapshot.faults.push(`${key} is right in ${isRight} (file, entry, topic, count)`)
  }

  const published = [...snapshot.documents.values()].filter((state) => state === 'all').length
  const { totalSuccesses = 0 } = indexes.metrics?.summary ?? {}
  for (const [what, number] of [
    ['successes in publish-metrics', totalSuccesses],
    ['entries in contentIndex', indexes.entries.size],
    ['records in topicIndex', indexes.topics.length],
  ] as const) {
    if (number !== published)
      snapshot.faults.push(`${number} ${what}, but ${published} documents are published`)
  }
  return snapshot
}

async function seeFolder(all: readonly Expected[]): Promise<Seen> {
  const paths = [contentIndexPath(), topicIndexPath(), publishMetricsPath()]
  const documents = all.map(({ doc }) => documentPath(doc))
  const [content, topics, metrics, ...texts] = await snapshotRead(contentRoot(), [...paths, ...documents])
  return { content: parse(content), topics: parse(topics), metrics: parse(metrics), texts }
}

/** The indexes are one object. They name versions of documents, which never change. */
async function seeStore(all: readonly Expected[]): Promise<Seen> {
  const { value } = await readIndex<Indexes>(indexesPath())
  const topics: TopicIndex = value?.topicIndex ?? []
  const hashes = new Map(topics.map((record) => [record.topicKey, record.contentHash]))
  const texts = await mapParallel(all, async ({ doc }) => {
    const hash = hashes.get(topicKeyOf(doc))
    if (hash === undefined) return undefined
    const { value: found } = await readIndex(versionPath(doc, hash))
    return found && serializeDocument(found)
  })
  return { content: value?.contentIndex, topics, metrics: value?.['publish-metrics'], texts }
}

function parse<T>(text: string | null | undefined): T | undefined {
  return typeof text === 'string' ? (JSON.parse(text) as T) : undefined
}

/** By section and key. */
function entriesOf(index: ContentIndex | undefined): Map<string, ListingEntry> {
  const entries = Object.values(SECTIONS).flatMap((section) =>
    ((index?.[section] ?? []) as ListingEntry[]).map(
      (entry) => [`${section} ${entryKey(section, entry)}`, entry] as const,
    ),
  )
  return new Map(entries)
}
