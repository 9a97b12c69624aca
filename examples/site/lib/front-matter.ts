/**
 * Parses front matter: YAML between two lines of `---` at the start of a source. It is untrusted input, so it is read as
 * plain data: no tags that create objects, a limit on aliases (a few lines of them can expand to gigabytes), and
 * a Map instead of an object until the known keys are taken out.
 */

import { parseDocument } from 'yaml'
import { z } from 'zod'

export interface FrontMatter {
  title?: string
  description?: string
  /** ISO 8601. */
  date?: string
  draft: boolean
}

export interface Parsed {
  front: FrontMatter
  /** The Markdown after the front matter. */
  body: string
}

const FENCED = /^---[ \t]*\r?\n(?:([\s\S]*?)\r?\n)?---[ \t]*(?:\r?\n|$)/

/** Characters that are not allowed in XML, not even escaped, including lone surrogates. */
const UNPRINTABLE = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

/** Replaces characters that are not allowed in HTML, JSON or XML. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\uFFFD')
}

const oneLine = (text: string) => printable(text).replace(/\s+/g, ' ').trim()

const line = z
  .union([z.string(), z.number(), z.boolean()], { error: 'is not a text' })
  .transform((value) => oneLine(String(value)))

const date = z
  .union([z.string(), z.number()], { error: 'is not a date' })
  .transform((value) => new Date(typeof value === 'number' ? String(value) : value))
  .refine((value) => value.getFullYear() >= 0 && value.getFullYear() <= 9999, { error: 'is not a date' })
  .transform((value) => value.toISOString())

const known = z.object({
  title: line.nullish(),
  description: line.nullish(),
  date: date.nullish(),
  draft: z.boolean({ error: 'is neither true nor false' }).nullish(),
})

/** @throws Error that tells what is wrong and where. */
export function parseFrontMatter(text: string): Parsed {
  const [fenced, yaml] = FENCED.exec(text) ?? []
  if (fenced === undefined) return { front: { draft: false }, body: text }
  const body = text.slice(fenced.length)
  const document = parseDocument(yaml ?? '', { logLevel: 'error' })
  const [error] = document.errors
  if (error) {
    // Plus one for the `---` line. Only the first line of the message: the rest is a drawing of the place.
    const at = (error.linePos?.[0].line ?? 0) + 1
    const what = error.message.split(/ at line|\n/)[0]
    throw new Error(`front matter, line ${at}: ${what}`)
  }
  const value: unknown = document.toJS({ mapAsMap: true, maxAliasCount: 20 })
  if (value === null) return { front: { draft: false }, body }
  // Plain text between two `---` lines is Markdown: a rule and a heading.
  if (!(value instanceof Map)) return { front: { draft: false }, body: text }
  const result = known.safeParse(Object.fromEntries(value))
  if (!result.success) {
    const issue = result.error.issues[0]
    throw new Error(`front matter: ${issue?.path.join('.')} ${issue?.message}`)
  }
  const { title, description, date, draft } = result.data
  return {
    front: {
      ...(title && { title }),
      ...(description && { description }),
      ...(date && { date }),
      draft: draft ?? false,
    },
    body,
  }
}
