/**
 * Templates: pure functions from data to text. All links are relative, so that a site works at any address, and from
 * disk without a server. HTML and text output have a fixed end, by which a complete file is recognized.
 */

import { addressOf, RSS, rootFrom } from './addresses'
import { Html, html } from './html'

export interface Page {
  source: string
  title: string
  description: string
  /** ISO 8601. */
  date: string
}

/** What is the same on all pages. */
export interface Frame {
  /** The title of the site. */
  title: string
  /** Absolute, and ends with `/`. */
  url: string
  /** Paths relative to the site's folder. */
  assets: { style: string; script: string; logo: string; icon: string }
  /** The id of the build, if the site is swapped in as a whole. */
  build?: string
}

export const GENERATOR = '@pipeline/atomic site example'

/** The last bytes of every HTML page, and the beginning of the last line of every text file. */
export const END_OF_HTML = '</body>\n</html>\n'
export const END_OF_TEXT = 'Source: '

interface Parts {
  root: string
  title: string
  description: string
  main: Html
  footer: Html
}

function layout(frame: Frame, { root, title, description, main, footer }: Parts): string {
  const { assets, build } = frame
  const { markup } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="${GENERATOR}">
${build && html`<meta name="build" content="${build}">\n`}<title>${title}</title>
<meta name="description" content="${description}">
<link rel="stylesheet" href="${root}${assets.style}">
<link rel="icon" href="${root}${assets.logo}" type="image/svg+xml">
<link rel="apple-touch-icon" href="${root}${assets.icon}">
<link rel="alternate" href="${root}${RSS}" type="application/rss+xml" title="${frame.title}">
<script src="${root}${assets.script}" defer></script>
</head>
<body>
<header><img src="${root}${assets.logo}" alt=""><a href="${root || './'}">${frame.title}</a></header>
<main>
${main}</main>
<footer>${footer}</footer>
`
  return markup + END_OF_HTML
}

const day = (date: string) => html`<time datetime="${date}">${date.slice(0, 10)}</time>`

/** @param content sanitized markup. */
export function renderPage(frame: Frame, page: Page, content: string): string {
  return layout(frame, {
    root: rootFrom(page.source),
    title: `${page.title} · ${frame.title}`,
    description: page.description,
    main: html`${!content.includes('<h1') && html`<h1>${page.title}</h1>\n`}${new Html(content)}`,
    footer: html`${day(page.date)} · <a href="index.txt">text</a> · <a href="index.json">JSON</a>`,
  })
}

export function renderFrontPage(frame: Frame, pages: readonly Page[]): string {
  const items = pages.map(
    (page) => html`<li><a href="${addressOf(page.source)}">${page.title}</a> ${day(page.date)}
<p>${page.description}</p></li>
`,
  )
  return layout(frame, {
    root: '',
    title: frame.title,
    description: `All pages of ${frame.title}`,
    main: html`<h1>${frame.title}</h1>
<input type="search" placeholder="Search ${pages.length} pages" aria-label="Search" hidden>
<ul class="pages">
${items}</ul>
`,
    footer: html`<a href="${RSS}">RSS</a>`,
  })
}

/** The page and its metadata, for programs. */
export function renderJson(frame: Frame, page: Page, content: string): string {
  const { source, ...known } = page
  const url = frame.url + addressOf(source)
  return `${JSON.stringify({ url, ...known, source, build: frame.build, html: content })}\n`
}

/** The Markdown itself, for reading without a browser. */
export function renderText(frame: Frame, page: Page, body: string): string {
  return `${page.title}\n${page.date.slice(0, 10)}\n\n${body.trim()}\n\n${END_OF_TEXT}${frame.url}${addressOf(page.source)}\n`
}
