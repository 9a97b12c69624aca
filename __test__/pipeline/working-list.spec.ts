/** What publishes that are committed together make of the indexes, one after another and in place, is what each makes of a copy. */

import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test, vi } from 'vitest'
import {
  emptyContentIndex,
  type Listing,
  withListing,
  withListings,
} from '../../examples/pipeline/lib/content/listing'
import type {
  ContentIndex,
  ListingEntry,
  TopicIndex,
  TopicRecord,
} from '../../examples/pipeline/lib/content/types'
import { workingList } from '../../examples/pipeline/lib/content/working-list'
import { placeOf } from '../../examples/pipeline/scripts/pipeline/topic-places'
import { isPublishedAs, type Topic, withPublished } from '../../examples/pipeline/scripts/pipeline/topicIndex'

/** Numbers that are the same in each run. */
function random(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}
type Random = ReturnType<typeof random>

const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value))

function deeplyFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deeplyFrozen)
  return value
}

test('a list that was made here is not copied again, unless it is frozen', () => {
  const list = workingList([1])
  expect(workingList(list)).toBe(list)
  const frozen = Object.freeze(list)
  expect(workingList(frozen)).not.toBe(frozen)
  expect(workingList(frozen)).toEqual([1])
})

describe('topics', () => {
  const aTopic = (next: Random): Topic => {
    const [key, slug] = [next(8), next(8)]
    return {
      topicKey: `topic::${key}`,
      pageType: next(9) === 0 ? 'species' : 'location',
      slug: next(3) === 0 ? `slug-${slug}` : `slug-${key}`,
      contentHash: `hash-${next(3)}`,
      sourcesUsed: next(5) === 0 ? ['https://example.org'] : [],
      documentId: `id-${next(12) === 0 ? slug : key}`,
    }
  }

  const aRecord = (next: Random): TopicRecord => {
    const { documentId, ...topic } = aTopic(next)
    const record: TopicRecord = {
      ...topic,
      status: next(3) ? 'published' : 'failed',
      lastUpdatedAt: 'before',
    }
    if (next(3)) record.documentId = documentId as string
    if (next(2)) record.lastPublishedAt = 'before'
    if (next(4) === 0) Object.assign(record, { lastError: 'once', attempts: 2 })
    if (next(6) === 0) record.attempts = 0
    return next(4) ? record : ({ unknown: true, ...record } as TopicRecord)
  }

  /** As plain as can be. A string is the key of the rival. */
  function publishedInCopy(index: TopicIndex, topic: Topic): TopicIndex | string {
    const rival = index.find((other) =>
      other.topicKey === topic.topicKey
        ? other.slug !== topic.slug ||
          (other.documentId !== undefined && other.documentId !== topic.documentId)
        : other.pageType === topic.pageType && other.slug === topic.slug,
    )
    if (rival) return rival.topicKey
    const at = index.findIndex(({ topicKey }) => topicKey === topic.topicKey)
    const before = index[at]
    const now = new Date().toISOString()
    const { lastError: _, attempts: __, ...kept } = before ?? ({} as TopicRecord)
    const next = isPublishedAs(topic, before)
      ? { ...(before as TopicRecord), ...topic }
      : { ...kept, ...topic, status: 'published' as const, lastPublishedAt: now }
    const after = { ...next, lastUpdatedAt: before?.lastUpdatedAt ?? '' }
    if (isDeepStrictEqual(after, before)) return index
    const record = { ...after, lastUpdatedAt: now }
    return at === -1 ? [...index, record] : index.with(at, record)
  }

  function published(index: TopicIndex, topic: Topic): TopicIndex | string {
    try {
      return withPublished(index, topic, placeOf(index, topic))
    } catch (error) {
      return /topic (\S+), slug/.exec((error as Error).message)?.[1] as string
    }
  }

  /** Somebody else's function, which does not know the rule. */
  function changedByOthers(index: TopicIndex, next: Random): void {
    const record = aRecord(next)
    const at = next(index.length)
    if (next(4) === 0) index.push(record)
    else if (next(3) === 0) index.splice(at, 1)
    else if (next(2)) index[at] = record
    // The record itself.
    else if (!Object.isFrozen(index[at])) Object.assign(index[at] as TopicRecord, record)
  }

  test.each(['as parsed', 'frozen', 'with changes by others between'])('index %s', (kind) => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const outcomes = { published: 0, refused: 0, unchanged: 0 }
    for (let seed = 0; seed < 150; seed++) {
      const next = random(seed)
      const given: TopicIndex = Array.from({ length: next(7) }, () => aRecord(next))
      const before = copyOf(given)
      if (kind === 'frozen') deeplyFrozen(given)
      let expected = before
      let index = given
      for (let step = 0; step < 25; step++) {
        vi.setSystemTime(seed * 1000 + step)
        const topic = aTopic(next)
        const [wanted, found] = [publishedInCopy(expected, topic), published(index, topic)]
        const outcome =
          typeof wanted === 'string' ? 'refused' : wanted === expected ? 'unchanged' : 'published'
        outcomes[outcome]++
        expect(JSON.stringify(found), `seed ${seed}, step ${step}`).toBe(JSON.stringify(wanted))
        if (typeof wanted === 'string' || typeof found === 'string') continue
        ;[expected, index] = [wanted, found]
        if (kind !== 'with changes by others between' || index === given || next(5) > 0 || index.length < 2)
          continue
        changedByOthers(index, next)
        expected = copyOf(index)
      }
      // Those others change its records, too.
      if (kind !== 'with changes by others between') expect(given).toEqual(before)
    }
    vi.useRealTimers()
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(100)
  })
})

describe('listings', () => {
  const anEntry = (next: Random) => ({ slug: `slug-${next(9)}`, title: `title ${next(3)}` }) as ListingEntry

  test.each(['as parsed', 'frozen'])('index %s', (kind) => {
    vi.useFakeTimers({ toFake: ['Date'] })
    for (let seed = 0; seed < 150; seed++) {
      const next = random(seed)
      const given: ContentIndex = {
        ...emptyContentIndex(),
        // In any order, and some twice.
        blogPosts: Array.from({ length: next(7) }, () => anEntry(next)) as ContentIndex['blogPosts'],
      }
      const before = copyOf(given)
      if (kind === 'frozen') deeplyFrozen(given)
      let [expected, index] = [before, given]
      for (let step = 0; step < 15; step++) {
        vi.setSystemTime(seed * 1000 + step)
        const listing: Listing = { section: next(4) ? 'blogPosts' : 'howTo', entry: anEntry(next) }
        const wanted = withListings(expected, [listing])
        const found = withListing(index, listing)
        expect(JSON.stringify(found), `seed ${seed}, step ${step}`).toBe(JSON.stringify(wanted))
        expect(found === index).toBe(wanted === expected)
        ;[expected, index] = [wanted, found]
      }
      expect(given).toEqual(before)
    }
    vi.useRealTimers()
  })

  test('what is listed for a caller is changed by nobody', () => {
    const listing = (title: string): Listing => ({
      section: 'howTo',
      entry: { slug: 'a', title } as ListingEntry,
    })
    const theirs = withListings(emptyContentIndex(), [listing('theirs')])
    expect(withListing(theirs, listing('new')).howTo).toMatchObject([{ title: 'new' }])
    expect(theirs.howTo).toMatchObject([{ title: 'theirs' }])
  })
})
