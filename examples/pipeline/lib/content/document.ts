/**
 * What a document must be before anything is written. Slugs become file names and URLs, and documents
 * come from generators and from hands, so a slug is checked by what it may contain, never by what it
 * may not: `../`, NUL, upper case (one file on macOS and Windows, two on Linux) all fall out of that.
 */

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'

/** Leaves room for `.json`, the temp file's suffix and a prefix in 255 bytes, on any file system. */
const SLUG_MAX = 120

/** Windows opens a device for these, whatever the extension. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/

const slug = z
  .string()
  .min(1, 'must not be empty')
  .max(SLUG_MAX, `must not be longer than ${SLUG_MAX} characters`)
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'must be lower-case letters and digits, joined by single hyphens')
  .refine((value) => !DEVICE.test(value), 'is a reserved device name')

const filled = z.string().regex(/\S/, 'must not be empty')
const date = z.union([z.iso.datetime({ offset: true }), z.iso.date()], 'must be an ISO 8601 date')

const id = filled
const common = {
  slug,
  title: filled,
  description: filled,
  body: filled,
  primaryKeyword: filled,
  secondaryKeywords: z.array(z.string()),
  headings: z.array(z.looseObject({ level: z.int().min(1).max(6), text: z.string() })),
  faqs: z.array(z.looseObject({ question: filled, answer: filled })),
  sources: z.array(z.looseObject({ url: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }) })),
  author: z.looseObject({ name: filled }),
  dates: z.looseObject({ publishedAt: date, updatedAt: date }),
  flags: z.looseObject({ draft: z.boolean(), noindex: z.boolean() }),
}

const documentSchema = z.discriminatedUnion('pageType', [
  z.looseObject({
    id,
    pageType: z.literal('blog'),
    ...common,
    categorySlug: slug,
    tags: z.array(z.string()).optional(),
    heroImage: z.string().optional(),
  }),
  z.looseObject({ id, pageType: z.literal('species'), ...common }),
  z.looseObject({ id, pageType: z.literal('how-to'), ...common }),
  z.looseObject({ id, pageType: z.literal('location'), ...common, stateSlug: slug, citySlug: slug }),
])

export type PipelineDocument = z.infer<typeof documentSchema>

/**
 * @returns the document, fields it has beyond the schema included.
 * @throws PublishError `VALIDATION_ERROR` that names every field that is wrong.
 */
export function validateDocument(input: unknown): PipelineDocument {
  const result = documentSchema.safeParse(input)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'document'}: ${message}`)
  throw new PublishError(`Not a publishable document: ${faults.join('; ')}`, 'VALIDATION_ERROR')
}

/** The file's text: one document has one text, so equal documents are equal bytes. */
export function serializeDocument(doc: PipelineDocument): string {
  return `${JSON.stringify(doc, null, 2)}\n`
}

export function contentHash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
