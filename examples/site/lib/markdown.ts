/**
 * Markdown into HTML that can be served to anybody. Sources may hold any HTML, so what the parser makes of
 * them goes through an allow-list; the same walk turns links between sources into links between pages.
 */

import Slugger from 'github-slugger'
import { Marked } from 'marked'
import sanitize from 'sanitize-html'
import { resolveLink } from './addresses'
import { printable } from './front-matter'
import { textOf } from './html'

export interface Content {
  html: string
  /** The first heading's words. */
  title?: string
  /** The first paragraph's, cut to a line or two. */
  description?: string
}

const DESCRIPTION_MAX = 200

export function renderMarkdown(body: string, source: string): Content {
  const html = sanitize(parse(printable(body)), rules(source))
  const title = first(html, /<(h[1-6])\b[^>]*>([\s\S]*?)<\/\1>/g, 1)
  const description = first(html, /<(p)\b[^>]*>([\s\S]*?)<\/p>/g, 20) // less is a row of badges
  return { html, ...(title && { title }), ...(description && { description: shorten(description) }) }
}

/** The words of the first match that has at least so many characters of them. */
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

/** A parser for one page: its headings are numbered by themselves. */
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
      // A list of things to do has boxes; nothing that a visitor could fill in.
      input: sanitize.simpleTransform('input', { type: 'checkbox', disabled: '' }),
    },
  }
}
