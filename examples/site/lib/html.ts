/** A template tag that escapes every value put into it, so that escaping cannot be forgotten. */

import { htmlEscape, htmlUnescape } from 'escape-goat'

/** Markup that is put into a template without escaping. */
export class Html {
  constructor(readonly markup: string) {}
}

type Value = string | number | Html | undefined | false | readonly Html[]

export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.reduce((all, part, i) => all + markupOf(values[i - 1]) + part))
}

function markupOf(value: Value): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.markup
  if (typeof value === 'object') return value.map(markupOf).join('')
  return htmlEscape(String(value))
}

/** The text of sanitized markup, in which `<` begins a tag and nothing else. */
export function textOf(markup: string): string {
  return htmlUnescape(markup.replace(/<[^>]*>/g, ''))
    .replace(/\s+/g, ' ')
    .trim()
}
