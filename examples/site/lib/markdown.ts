/**
 * Renders Markdown to safe HTML. Sources are untrusted and may contain any HTML, so the parser's output is sanitized by
 * an allow-list; the same pass turns links between sources into links between pages.
 */

import Slugger from 'github-slugger'
import { Marked } from 'marked'
import sanitize from 'sanitize-html'
import { resolveLink } from './addresses'
import { printable } from './front-matter'
import { textOf } from './html'

export interface Content {
  html: string
  /** The text of the first heading. */
  title?: string
  /** The text of the first paragraph, shortened. */
  description?: string
}

const DESCRIPTION_MAX = 200

export function renderMarkdown(body: string, source: string): Content {
  const html = sanitize(parse(printable(body)), rules(source))
  const title = first(html, /<(h[1-6])\b[^>]*>([\s\S]*?)<\/\1>/g, 1)
  const description = first(html, /<(p)\b[^>]*>([\s\S]*?)<\/p>/g, 20) // shorter ones are usually rows of badges
  return { html, ...(title && { title }), ...(description && { description: shorten(description) }) }
}

/** The text of the first match that has at least `least` characters. */
function first(html: string, pattern: RegExp, least: number): string | undefined {
  for (const [, , inner = ''] of html.matchAll(pattern)) {
    const text = textOf(inner)
    if (text.length >= least) return text
  }
  return undefined
}

function shorten(text: string): string {
  if (text.length <= DESCRIPTION_MAX) return text
  return `${text
    .slice(0, DESCRIPTION_MAX)
    .replace(/\s+\S*$/, '')
    .replace(/[\uD800-\uDBFF]$/, '')}…`
}

/** Parses one page. Each page has its own slugger, so that heading ids are unique within the page. */
function parse(body: string): string {
  const slugger = new Slugger()
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth }) {
        const inner = this.parser.parseInline(tokens)
        const id = slugger.slug(textOf(sanitize(inner, { allowedTags: [] })))
        return `<h${depth}${id && ` id="${id.replace(/["&<>]/g, '')}"`}>${inner}</h${depth}>\n`
      },
    },
  })
  return marked.parse(body, { async: false })
}

const HEADINGS = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6']

function rules(source: string): sanitize.IOptions {
  const follow = (name: 'href' | 'src') => (tagName: string, attributes: sanitize.Attributes) => {
    const { [name]: link, ...others } = attributes
    const target = link === undefined ? undefined : resolveLink(link.trim(), source)
    return { tagName, attribs: target === undefined ? others : { ...others, [name]: target } }
  }
  return {
    allowedTags: [...sanitize.defaults.allowedTags, 'img', 'del', 'ins', 'details', 'summary', 'input'],
    allowedAttributes: {
      a: ['href', 'title', 'name'],
      img: ['src', 'alt', 'title', 'width', 'height', 'align'],
      input: [{ name: 'type', values: ['checkbox'] }, 'checked', 'disabled'],
      code: ['class'],
      ol: ['start'],
      details: ['open'],
      ...Object.fromEntries([...HEADINGS, 'p', 'div', 'th', 'td'].map((tag) => [tag, ['align', 'id']])),
    },
    allowedClasses: { code: ['language-*'] },
    transformTags: {
      a: follow('href'),
      img: follow('src'),
      // Task lists have checkboxes; no other input is allowed, and none that a visitor can change.
      input: sanitize.simpleTransform('input', { type: 'checkbox', disabled: '' }),
    },
  }
}
