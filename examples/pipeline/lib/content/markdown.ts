/**
 * Converts Markdown to pipeline documents. It uses the parser's tokens, not patterns over the text, because a `#` in a
 * code block is not a heading and a question in one is not an FAQ.
 */

import { marked, type Token, type Tokens } from 'marked'
import type { PipelineDocument } from './document'

const DESCRIPTION_MAX = 160
const SOURCES_MAX = 50
const KEYWORDS_MAX = 12

/** What cannot be derived from the text. */
export interface Origin {
  id: string
  slug: string
  /** Used if the text has no first-level heading. */
  title: string
  author: string
  publishedAt: string
  updatedAt: string
  /** They come before the keywords found in the text. */
  keywords?: string[]
}

type Common = Omit<Extract<PipelineDocument, { pageType: 'species' }>, 'pageType'>

/** @returns a document without the page type and the fields specific to it, which the caller adds. */
export function fromMarkdown(markdown: string, origin: Origin): Common {
  const tokens = marked.lexer(markdown)
  const headings = tokens
    .filter(isHeading)
    .map(({ depth, tokens }) => ({ level: depth, text: plain(tokens).trim() }))
  const title = headings.find(({ level, text }) => level === 1 && text)?.text ?? origin.title
  const [primaryKeyword = title, ...secondaryKeywords] = keywordsOf(tokens, origin.keywords ?? [])
  return {
    id: origin.id,
    slug: origin.slug,
    title,
    description: describe(tokens) ?? title,
    body: markdown.trim() === '' ? title : markdown,
    primaryKeyword,
    secondaryKeywords,
    headings: headings.filter(({ text }) => text !== ''),
    faqs: faqsOf(tokens),
    sources: sourcesOf(tokens).map((url) => ({ url })),
    author: { name: origin.author },
    dates: { publishedAt: origin.publishedAt, updatedAt: origin.updatedAt },
    flags: { draft: false, noindex: false },
  }
}

function isHeading(token: Token): token is Tokens.Heading {
  return token.type === 'heading'
}

/** The visible words: no markup, images or HTML. */
function plain(tokens: readonly Token[] = []): string {
  const text = tokens.map((token) => {
    if (token.type === 'image' || token.type === 'html') return ''
    if (token.type === 'br') return ' '
    if (token.type === 'list') return (token as Tokens.List).items.map((item) => plain(item.tokens)).join(' ')
    return 'tokens' in token && token.tokens ? plain(token.tokens) : 'text' in token ? String(token.text) : ''
  })
  return text.join('').replace(/\s+/g, ' ')
}

function describe(tokens: readonly Token[]): string | undefined {
  for (const token of tokens) {
    if (token.type !== 'paragraph') continue
    const text = plain(token.tokens).trim()
    if (text.length < 20) continue // probably a row of badges
    if (text.length <= DESCRIPTION_MAX) return text
    return `${text.slice(0, DESCRIPTION_MAX).replace(/\s+\S*$/, '')}…`
  }
  return undefined
}

/** Headings that end with a question mark, each with the text up to the next heading as its answer. */
function faqsOf(tokens: readonly Token[]): Array<{ question: string; answer: string }> {
  const faqs: Array<{ question: string; answer: string }> = []
  for (const [at, token] of tokens.entries()) {
    if (!isHeading(token)) continue
    const question = plain(token.tokens).trim()
    if (!question.endsWith('?')) continue
    const next = tokens.findIndex((other, i) => i > at && isHeading(other))
    const answer = tokens.slice(at + 1, next === -1 ? undefined : next).map((part) => plain([part]).trim())
    if (answer.some(Boolean)) faqs.push({ question, answer: answer.filter(Boolean).join('\n') })
  }
  return faqs
}

function sourcesOf(tokens: readonly Token[]): string[] {
  const urls = new Set<string>()
  marked.walkTokens(tokens as Token[], (token) => {
    if (token.type === 'link' && /^https?:\/\//.test(token.href) && URL.canParse(token.href))
      urls.add(token.href)
  })
  return [...urls].slice(0, SOURCES_MAX)
}

const COMMON = new Set(
  (
    'about after also because been before both does each from have here into just like make more most must only other over ' +
    'same should some such than that their them then there these they this those very were what when where which will with ' +
    'would your https http'
  ).split(' '),
)

/** The given keywords, then the most frequent words of the text. */
function keywordsOf(tokens: readonly Token[], given: readonly string[]): string[] {
  const seen = new Map<string, number>()
  for (const token of tokens) {
    if (token.type === 'code') continue
    for (const [word] of plain([token])
      .toLowerCase()
      .matchAll(/\p{L}[\p{L}\p{N}-]{3,}/gu)) {
      if (!COMMON.has(word)) seen.set(word, (seen.get(word) ?? 0) + 1)
    }
  }
  const frequent = [...seen].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word]) => word)
  return [...new Set([...given.filter((word) => word.trim() !== ''), ...frequent])].slice(0, KEYWORDS_MAX)
}
