/** What the patches of publishes make of the indexes is what plain code makes of a copy. */

import { isDeepStrictEqual } from 'node:util'
import { applyIndexPatch } from '@pipeline/atomic'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  emptyContentIndex,
  type Listing,
  listingsPatch,
  withListings,
} from '../../examples/pipeline/lib/content/listing'
import type {
  ContentIndex,
  ListingEntry,
  TopicIndex,
  TopicRecord,
} from '../../examples/pipeline/lib/content/types'
import { isPublishedAs, publishing, type Topic } from '../../examples/pipeline/scripts/pipeline/topicIndex'

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

/** The time is what the test says, until its end. */
function useFakeDate() {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

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
      return applyIndexPatch(index, (view) => publishing(view, topic).patch)
    } catch (error) {
      return /topic (\S+), slug/.exec((error as Error).message)?.[1] as string
    }
  }

  test.each(['as parsed', 'frozen'])('index %s', (kind) => {
    useFakeDate()
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
      }
      expect(given).toEqual(before)
    }
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(100)
  })
})

describe('listings', () => {
  const anEntry = (next: Random) => ({ slug: `slug-${next(9)}`, title: `title ${next(3)}` }) as ListingEntry

  const listed = (index: ContentIndex, listings: Listing[]) =>
    applyIndexPatch(index, (view) => listingsPatch(view, listings))

  test.each(['as parsed', 'frozen'])('index %s: entries are listed in order', (kind) => {
    useFakeDate()
    for (let seed = 0; seed < 150; seed++) {
      const next = random(seed)
      const entries = Array.from({ length: next(7) }, () => ({
        section: 'blogPosts' as const,
        entry: anEntry(next),
      }))
      const given = withListings(emptyContentIndex(), entries)
      const before = copyOf(given)
      if (kind === 'frozen') deeplyFrozen(given)
      let [expected, index] = [before, given]
      for (let step = 0; step < 15; step++) {
        vi.setSystemTime(seed * 1000 + step)
        const listings = Array.from(
          { length: 1 + next(3) },
          (): Listing => ({
            section: next(4) ? 'blogPosts' : 'howTo',
            entry: anEntry(next),
          }),
        )
        const [wanted, found] = [withListings(expected, listings), listed(index, listings)]
        expect(JSON.stringify(found), `seed ${seed}, step ${step}`).toBe(JSON.stringify(wanted))
        expect(found === index).toBe(wanted === expected)
        ;[expected, index] = [wanted, found]
      }
      expect(given).toEqual(before)
    }
  })

  test('a list that somebody has put out of order stays so, and gets no second entry', () => {
    const entry = (slug: string, title: string) => ({ slug, title }) as ListingEntry
    const blogPosts = [entry('z', 'one'), entry('b', 'two'), entry('y', 'three'), entry('b', 'four')]
    const index = { ...emptyContentIndex(), blogPosts: blogPosts as ContentIndex['blogPosts'] }
    for (const slug of ['z', 'b', 'y']) {
      const next = listed(index, [{ section: 'blogPosts', entry: entry(slug, 'new') }])
      const titles = next.blogPosts.map(({ slug, title }) => `${slug} ${title}`)
      const others = blogPosts
        .filter((other) => other.slug !== slug)
        .map(({ slug, title }) => `${slug} ${title}`)
      expect(titles.filter((title) => title.startsWith(slug))).toEqual([`${slug} new`])
      expect(titles.filter((title) => !title.startsWith(slug))).toEqual(others)
    }
  })

  test.each([
    ['a list is missing', { howTo: undefined }],
    ['a list is an object', { blogPosts: { 0: { slug: 'a' } } }],
    ['a list is an empty object', { blogPosts: {} }],
    ['an entry on the way has no slug', { blogPosts: [{ slug: 'a' }, { title: 'x' }, { slug: 'c' }] }],
    ['the time is missing', { lastUpdated: 7 }],
  ])('an index in which %s is INVALID_JSON', (_, broken) => {
    const index = JSON.parse(JSON.stringify({ ...emptyContentIndex(), ...broken }))
    const listing: Listing = { section: 'blogPosts', entry: { slug: 'b', title: 'new' } as ListingEntry }
    expect(() => listed(index, [listing])).toThrow(expect.objectContaining({ code: 'INVALID_JSON' }))
  })
})
