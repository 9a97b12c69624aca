// The content index of the former publisher: sorted, and compared with what it was, at each publish.

import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { PipelineDocument } from '../../../examples/pipeline/lib/content/document'
import { entryKey, SECTIONS, stampedIfChanged, toEntry } from '../../../examples/pipeline/lib/content/listing'
import type { ContentIndex, ListingEntry } from '../../../examples/pipeline/lib/content/types'

const entries = z.array(z.looseObject({ slug: z.string() }))

export const contentIndexSchema = z.looseObject({
  version: z.string(),
  lastUpdated: z.string(),
  species: entries,
  howTo: entries,
  locations: z.array(z.looseObject({ slug: z.string(), stateSlug: z.string(), citySlug: z.string() })),
  blogPosts: entries,
})

export function isListed(index: ContentIndex, doc: PipelineDocument): boolean {
  const section = SECTIONS[doc.pageType]
  const entry = toEntry(doc)
  const key = entryKey(section, entry)
  const found = (index[section] as ListingEntry[]).find((other) => entryKey(section, other) === key)
  return isDeepStrictEqual(found, entry)
}

export function withDocument(index: ContentIndex, doc: PipelineDocument): ContentIndex {
  const section = SECTIONS[doc.pageType]
  const listed = new Map((index[section] as ListingEntry[]).map((entry) => [entryKey(section, entry), entry]))
  const entry = toEntry(doc)
  listed.set(entryKey(section, entry), entry)
  const sorted = [...listed.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return stampedIfChanged(index, { ...index, [section]: sorted.map(([, one]) => one) })
}
