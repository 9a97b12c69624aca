/**
 * Pure functions over the content index and its entries. When nothing changes they return the index that they were
 * given, so that an update without a change writes nothing. They never change it in place, because an update
 * function may be run again.
 */

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
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

export function countWords(text: string): number {
  return text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0
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

/** Sections are sorted, so that the index does not depend on the order of publishing. */
function byKey(section: Section) {
  return (a: ListingEntry, b: ListingEntry) => {
    const [left, right] = [entryKey(section, a), entryKey(section, b)]
    return left < right ? -1 : left > right ? 1 : 0
  }
}

/** @returns the index with an up-to-date entry for each of `docs`. */
export function withDocuments(index: ContentIndex, docs: readonly PipelineDocument[]): ContentIndex {
  const next: ContentIndex = { ...index }
  let changed = false
  for (const [pageType, section] of Object.entries(SECTIONS) as Array<
    [PipelineDocument['pageType'], Section]
  >) {
    const fresh = docs.filter((doc) => doc.pageType === pageType).map(toEntry)
    if (fresh.length === 0) continue
    const listed = new Map(
      (index[section] as ListingEntry[]).map((entry) => [entryKey(section, entry), entry]),
    )
    const missing = fresh.filter((entry) => !isDeepStrictEqual(listed.get(entryKey(section, entry)), entry))
    if (missing.length === 0) continue
    for (const entry of missing) listed.set(entryKey(section, entry), entry)
    Object.assign(next, { [section]: [...listed.values()].sort(byKey(section)) })
    changed = true
  }
  return changed ? { ...next, lastUpdated: new Date().toISOString() } : index
}

/** Sets `lastUpdated` only if anything else differs. */
export function stampedIfChanged(before: ContentIndex, after: ContentIndex): ContentIndex {
  if (isDeepStrictEqual({ ...before, lastUpdated: '' }, { ...after, lastUpdated: '' })) return before
  return { ...after, lastUpdated: new Date().toISOString() }
}
