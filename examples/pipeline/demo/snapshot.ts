/** Reads everything as of one moment, while publishers are at work: each document must be in all four files or in none. */

import { isDeepStrictEqual } from 'node:util'
import { snapshotRead } from '@pipeline/atomic'
import { contentHash } from '../lib/content/document'
import { entryKey, SECTIONS, toEntry } from '../lib/content/listing'
import {
  contentIndexPath,
  contentRoot,
  documentPath,
  publishMetricsPath,
  routePath,
  topicIndexPath,
  topicKeyOf,
} from '../lib/content/paths'
import type { ContentIndex, ListingEntry, PublishMetrics, TopicIndex } from '../lib/content/types'
import type { Expected } from './corpus'

export interface Snapshot {
  /** By route: which of its four files have the document as it is to be. */
  documents: Map<string, 'all' | 'none' | 'some'>
  /** What is wrong. */
  faults: string[]
}

export async function takeSnapshot(all: readonly Expected[]): Promise<Snapshot> {
  const paths = [contentIndexPath(), topicIndexPath(), publishMetricsPath()]
  const documents = all.map(({ doc }) => documentPath(doc))
  const [content, topics, metrics, ...texts] = await snapshotRead(contentRoot(), [...paths, ...documents])
  const indexes = {
    entries: entriesOf(parse<ContentIndex>(content)),
    topics: parse<TopicIndex>(topics) ?? [],
    metrics: parse<PublishMetrics>(metrics),
  }
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
