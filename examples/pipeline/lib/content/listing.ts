/**
 * Functions over the content index and its entries. When nothing changes they return the index that they were
 * given, so that an update without a change writes nothing. Only `withListing` changes a list in place: one that is ours (`working-list.ts`).
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { countWords } from './count-words'
import type { PipelineDocument } from './document'
import type { ContentIndex, ListingEntry, LocationEntry } from './types'
import { workingList } from './working-list'

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

/** The section with the entry listed, in what `toChange` makes of its list; `undefined` if it is there already. */
function withEntry(
  section: Section,
  before: readonly ListingEntry[],
  entry: ListingEntry,
  toChange: (entries: readonly ListingEntry[]) => ListingEntry[],
): ListingEntry[] | undefined {
  const entries = inOrder(section, before)
  const key = entryKey(section, entry)
  const at = placeOf(section, entries, key)
  const listed = entries[at]
  const isListed = listed !== undefined && entryKey(section, listed) === key
  if (isListed && isDeepStrictEqual(listed, entry)) return undefined
  const after = toChange(entries)
  if (isListed) after[at] = entry
  else after.splice(at, 0, entry)
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
  let next = index
  for (const { section, entry } of listings) {
    // (A method of a frozen array takes 30 times as long.)
    const list = withEntry(section, next[section], entry, (entries) => [...entries])
    if (list) next = { ...next, [section]: list }
  }
  return next === index ? index : stamped(next)
}

/** As `withListings`, for a function of a commit of many: see `working-list.ts`. */
export function withListing(index: ContentIndex, { section, entry }: Listing): ContentIndex {
  const list = withEntry(section, index[section], entry, workingList)
  return list ? stamped({ ...index, [section]: list }) : index
}

function stamped(index: ContentIndex): ContentIndex {
  return { ...index, lastUpdated: new Date().toISOString() }
}

/** Sets `lastUpdated` only if anything else differs. */
export function stampedIfChanged(before: ContentIndex, after: ContentIndex): ContentIndex {
  if (isDeepStrictEqual({ ...before, lastUpdated: '' }, { ...after, lastUpdated: '' })) return before
  return stamped(after)
}
