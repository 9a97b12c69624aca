/** A template tag that escapes every value put into it, so that escaping cannot be forgotten. */

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

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
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

const CHARACTERS: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"' }

/** The text of sanitized markup. The sanitizer emits only these four entities, and `<` only for tags. */
export function textOf(markup: string): string {
  const text = markup
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:amp|lt|gt|quot);/g, (entity) => CHARACTERS[entity] ?? '')
  return text.replace(/\s+/g, ' ').trim()
}
