/**
 * Validates a document before anything is written. Slugs become file names and URLs, and documents come from
 * generators and from people, so a slug is checked against the characters that are allowed. That excludes `../`, NUL
 * and upper case (two slugs that differ in case are one file on macOS and Windows, two on Linux).
 */

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'

/** Leaves room for `.json`, a prefix and a temp file's suffix in the 255 bytes of a file name. */
const SLUG_MAX = 120

/** Windows opens a device under these names, whatever the extension. */
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
 * @returns the document, including fields that are not in the schema.
 * @throws PublishError `VALIDATION_ERROR` that names every wrong field.
 */
export function validateDocument(input: unknown): PipelineDocument {
  const result = documentSchema.safeParse(input)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'document'}: ${message}`)
  throw new PublishError(`Not a publishable document: ${faults.join('; ')}`, 'VALIDATION_ERROR')
}

/** The file's content. Deterministic, so that equal documents have equal bytes. */
export function serializeDocument(doc: PipelineDocument): string {
  return `${JSON.stringify(doc, null, 2)}\n`
}

export function contentHash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
