/**
 * Pure functions over the content index and its entries. When nothing changes they return the index that they were
 * given, so that an update without a change writes nothing. They never change it in place, because an update
 * function may be run again.
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { countWords } from './count-words'
import type { PipelineDocument } from './document'
import type { ContentIndex, ListingEntry, LocationEntry } from './types'

const KEYWORDS_MAX = 10
const TAGS_MAX = 5

const entries = z.array(z.looseObject({ slug: z.string() }))

/** Fields that are not in a schema are allowed, and kept: it is a check only. */
export const contentIndexSchema = z.looseObject({
  version: z.string(),
  lastUpdated: z.string(),
  species: entries,
  howTo: entries,
  locations: z.array(z.looseObject({ slug: z.string(), stateSlug: z.string(), citySlug: z.string() })),
  blogPosts: entries,
})

export const SECTIONS = {
  blog: 'blogPosts',
  species: 'species',
  'how-to': 'howTo',
  location: 'locations',
} as const
export type Section = (typeof SECTIONS)[keyof typeof SECTIONS]

export function emptyContentIndex(): ContentIndex {
  return {
    version: '1.0.0',
    lastUpdated: new Date(0).toISOString(),
    species: [],
    howTo: [],
    locations: [],
    blogPosts: [],
  }
}

export function toEntry(doc: PipelineDocument): ListingEntry {
  const entry: ListingEntry = {
    slug: doc.slug,
    title: doc.title,
    description: doc.description,
    publishedAt: doc.dates.publishedAt,
    updatedAt: doc.dates.updatedAt,
    wordCount: countWords(doc.body),
    author: { name: doc.author.name },
    flags: { draft: doc.flags.draft, noindex: doc.flags.noindex },
    keywords: [...new Set([doc.primaryKeyword, ...doc.secondaryKeywords])].slice(0, KEYWORDS_MAX),
  }
  if (doc.pageType === 'location') {
    return { ...entry, stateSlug: doc.stateSlug, citySlug: doc.citySlug } as LocationEntry
  }
  if (doc.pageType !== 'blog') return entry
  return {
    ...entry,
    category: doc.categorySlug,
    ...(doc.heroImage !== undefined && { heroImage: doc.heroImage }),
    ...(doc.tags !== undefined && { tags: doc.tags.slice(0, TAGS_MAX) }),
  } as ListingEntry
}

/** What is unique in a section: the state and city of a location, the slug of everything else. */
export function entryKey(section: Section, entry: ListingEntry): string {
  if (section !== 'locations') return entry.slug
  const { stateSlug, citySlug } = entry as LocationEntry
  return `${stateSlug}/${citySlug}`
}

/** Sections that were made here, and so are sorted. */
const sorted = new WeakSet<readonly ListingEntry[]>()

/** The section in the order of its keys, each key once (the last entry of it): the index does not depend on the order of publishing. */
function inOrder(section: Section, entries: readonly ListingEntry[]): readonly ListingEntry[] {
  const isAfter = (entry: ListingEntry, at: number) =>
    at === 0 || entryKey(section, entries[at - 1] as ListingEntry) < entryKey(section, entry)
  if (sorted.has(entries) || entries.every(isAfter)) return entries
  const listed = new Map(entries.map((entry) => [entryKey(section, entry), entry]))
  return [...listed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}

/** Where the key is in the section, or where it belongs. */
function placeOf(section: Section, entries: readonly ListingEntry[], key: string): number {
  let [from, to] = [0, entries.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (entryKey(section, entries[middle] as ListingEntry) < key) from = middle + 1
    else to = middle
  }
  return from
}

/** The section with the entry listed; the section itself if it is there already. */
function withEntry(
  section: Section,
  before: readonly ListingEntry[],
  entry: ListingEntry,
): readonly ListingEntry[] {
  const entries = inOrder(section, before)
  const key = entryKey(section, entry)
  const at = placeOf(section, entries, key)
  const listed = entries[at]
  const isListed = listed !== undefined && entryKey(section, listed) === key
  if (isListed && isDeepStrictEqual(listed, entry)) return before
  // (A method of a frozen array takes 30 times as long.)
  const after = [...entries]
  after.splice(at, isListed ? 1 : 0, entry)
  sorted.add(after)
  return after
}

/** What is listed of a document, and where: made before the index is locked. */
export interface Listing {
  section: Section
  entry: ListingEntry
}

export function listingOf(doc: PipelineDocument): Listing {
  return { section: SECTIONS[doc.pageType], entry: toEntry(doc) }
}

/** @returns the index with an up-to-date entry for each of `docs`. */
export function withDocuments(index: ContentIndex, docs: readonly PipelineDocument[]): ContentIndex {
  return withListings(index, docs.map(listingOf))
}

/** @returns the index with all of `listings`. */
export function withListings(index: ContentIndex, listings: readonly Listing[]): ContentIndex {
  const next: ContentIndex = { ...index }
  for (const { section, entry } of listings) {
    Object.assign(next, { [section]: withEntry(section, next[section], entry) })
  }
  const isChanged = Object.values(SECTIONS).some((section) => next[section] !== index[section])
  return isChanged ? { ...next, lastUpdated: new Date().toISOString() } : index
}

/** Sets `lastUpdated` only if anything else differs. */
export function stampedIfChanged(before: ContentIndex, after: ContentIndex): ContentIndex {
  if (isDeepStrictEqual({ ...before, lastUpdated: '' }, { ...after, lastUpdated: '' })) return before
  return { ...after, lastUpdated: new Date().toISOString() }
}
