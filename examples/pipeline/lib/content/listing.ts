/**
 * Functions over the content index and its entries. When nothing changes they return the index that they were
 * given, or no patch, so that nothing is written.
 */

import { isDeepStrictEqual } from 'node:util'
import type { IndexPatch, IndexView, JsonPatchOperation } from '@pipeline/atomic'
import { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'
import { countWords } from './count-words'
import type { PipelineDocument } from './document'
import { foundAs, madeAs } from './index-file'
import type { ContentIndex, ListingEntry, LocationEntry } from './types'

const KEYWORDS_MAX = 10
const TAGS_MAX = 5

const entry = z.looseObject({ slug: z.string() })
const location = z.looseObject({ slug: z.string(), stateSlug: z.string(), citySlug: z.string() })
const entries = z.array(entry)

/** Fields that are not in a schema are allowed, and kept: it is a check only. */
export const contentIndexSchema = z.looseObject({
  version: z.string(),
  lastUpdated: z.string(),
  species: entries,
  howTo: entries,
  locations: z.array(location),
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

/** The section in the order of its keys, each key once (the last entry of it): the index does not depend on the order of publishing. */
function inOrder<T extends ListingEntry>(section: Section, entries: readonly T[]): readonly T[] {
  if (isInOrder(section, entries)) return entries
  const listed = new Map(entries.map((entry) => [entryKey(section, entry), entry]))
  return [...listed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}

function isInOrder(section: Section, entries: readonly ListingEntry[]): boolean {
  for (let at = 1; at < entries.length; at++) {
    const [before, entry] = [entries[at - 1] as ListingEntry, entries[at] as ListingEntry]
    if (entryKey(section, before) >= entryKey(section, entry)) return false
  }
  return true
}

/** What is listed of a document, and where: made before the index is locked. */
export interface Listing {
  section: Section
  entry: ListingEntry
}

export function listingOf(doc: PipelineDocument): Listing {
  return { section: SECTIONS[doc.pageType], entry: toEntry(doc) }
}

function bySection(listings: readonly Listing[]): Map<Section, ListingEntry[]> {
  const sections = new Map<Section, ListingEntry[]>()
  for (const { section, entry } of listings) {
    const own = sections.get(section)
    if (own) own.push(entry)
    else sections.set(section, [entry])
  }
  return sections
}

/** @returns the index with an up-to-date entry for each of `docs`. */
export function withDocuments(index: ContentIndex, docs: readonly PipelineDocument[]): ContentIndex {
  return withListings(index, docs.map(listingOf))
}

/** @returns the index with all of `listings`. */
export function withListings(index: ContentIndex, listings: readonly Listing[]): ContentIndex {
  let next = index
  for (const [section, own] of bySection(listings)) {
    // An entry that is equal stays the one that it is.
    const listed = new Map(next[section].map((entry) => [entryKey(section, entry), entry]))
    const changed = inOrder(section, own).filter(
      (entry) => !isDeepStrictEqual(listed.get(entryKey(section, entry)), entry),
    )
    const list = inOrder(section, [...next[section], ...changed])
    if (changed.length > 0) next = { ...next, [section]: list }
  }
  return next === index ? index : stamped(next)
}

/** An operation of a patch, and the position in the index as it is that it is about. */
interface Step {
  at: number
  op: JsonPatchOperation
}

/**
 * The patch that lists all of `listings`, each in its place; `undefined`: they are there, and up to date. A list that somebody else has put out of order stays so,
 * and gets no second entry.
 */
export function listingsPatch(view: IndexView, listings: readonly Listing[]): IndexPatch | undefined {
  checkIndex(view)
  const steps = [...bySection(listings)].flatMap(([section, own]) =>
    sectionSteps(view, section, inOrder(section, own)),
  )
  if (steps.length === 0) return undefined
  return [...steps, { op: 'replace', path: '/lastUpdated', value: new Date().toISOString() }]
}

/** The entries are in order, so from the last one to the first no operation moves what the next ones are about. */
function sectionSteps(
  view: IndexView,
  section: Section,
  entries: readonly ListingEntry[],
): JsonPatchOperation[] {
  const steps = entries.flatMap((entry) => entrySteps(view, section, entry))
  return steps
    .reverse()
    .sort(byPlace)
    .map(({ op }) => op)
}

/** From the last position to the first; what is there is changed before something comes ahead of it. */
const byPlace = (one: Step, other: Step) =>
  other.at - one.at || Number(isAddition(one)) - Number(isAddition(other))
const isAddition = ({ op }: Step) => op.op === 'add'

function entrySteps(view: IndexView, section: Section, entry: ListingEntry): Step[] {
  const value = madeAs(schemaOf(section), entry, `The entry of ${entry.slug}`)
  const [listed, ...others] = listedAs(view, section, entry)
  if (listed === undefined) {
    checkList(view, section)
    const at = placeOf(view, section, entryKey(section, entry))
    return [{ at, op: { op: 'add', path: `/${section}/${at}`, value } }]
  }
  const removals = others.map(({ at, pointer }): Step => ({ at, op: { op: 'remove', path: pointer } }))
  if (isDeepStrictEqual(listed.value, entry)) return removals
  return [{ at: listed.at, op: { op: 'replace', path: listed.pointer, value } }, ...removals]
}

const schemaOf = (section: Section) => (section === 'locations' ? location : entry)

/** The entries that have the key of this one. */
function listedAs(view: IndexView, section: Section, entry: ListingEntry) {
  const [member, value] =
    section === 'locations' ? ['citySlug', (entry as LocationEntry).citySlug] : ['slug', entry.slug]
  const key = entryKey(section, entry)
  return view
    .findAll(`/${section}`, member as string, value as string)
    .map((found) => ({ ...found, at: Number(found.pointer.slice(section.length + 2)) }))
    .filter(({ value, pointer }) => entryKey(section, foundAs(schemaOf(section), value, pointer)) === key)
}

/** Where an entry with this key belongs. */
function placeOf(view: IndexView, section: Section, key: string): number {
  let [from, to] = [0, view.count(`/${section}`) ?? 0]
  while (from < to) {
    const middle = (from + to) >> 1
    const pointer = `/${section}/${middle}`
    const listed =
      section === 'locations'
        ? entryKey(section, foundAs(location, view.at(pointer), pointer))
        : slugAt(view, pointer)
    if (listed < key) from = middle + 1
    else to = middle
  }
  return from
}

function slugAt(view: IndexView, pointer: string): string {
  const slug = view.at(`${pointer}/slug`)
  if (typeof slug !== 'string') throw otherShape(`${pointer} has no slug`)
  return slug
}

/** What a patch relies on of an index that nobody has parsed. */
function checkIndex(view: IndexView): void {
  const isWhole =
    Object.values(SECTIONS).every((section) => view.count(`/${section}`) !== undefined) &&
    ['/version', '/lastUpdated'].every((pointer) => typeof view.at(pointer) === 'string')
  if (!isWhole) throw otherShape('the index lacks a list, its version or its time')
}

/** An object with numbers as keys could be taken for one, where no entry was found as in a list. */
function checkList(view: IndexView, section: Section): void {
  const pointer = `/${section}`
  const isList =
    view.count(pointer) === 0
      ? Array.isArray(view.at(pointer))
      : view.findAll(pointer, 'slug', slugAt(view, `${pointer}/0`)).length > 0
  if (!isList) throw otherShape(`'${section}' is no list`)
}

function otherShape(what: string): PublishError {
  return new PublishError(`The content index has another shape: ${what}`, 'INVALID_JSON', { target: 'index' })
}

function stamped(index: ContentIndex): ContentIndex {
  return { ...index, lastUpdated: new Date().toISOString() }
}

/** Sets `lastUpdated` only if anything else differs. */
export function stampedIfChanged(before: ContentIndex, after: ContentIndex): ContentIndex {
  if (isDeepStrictEqual({ ...before, lastUpdated: '' }, { ...after, lastUpdated: '' })) return before
  return stamped(after)
}
