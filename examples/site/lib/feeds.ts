/** The sitemap and the feed. The library writes and escapes the XML. */

import { create } from 'xmlbuilder2'
import { addressOf } from './addresses'
import type { Frame, Page } from './templates'

/** The feed has this many pages, the newest first. */
const FEED_LENGTH = 20

/** Not with the library's `createCB`, which makes a document of its own for each element: that takes five times as long. */
const newDocument = () => create({ version: '1.0', encoding: 'UTF-8' })

const SITEMAP_SCHEMA = 'http://www.sitemaps.org/schemas/sitemap/0.9'

export function sitemap({ url }: Frame, pages: readonly Page[]): string {
  const xml = newDocument()
  const urls = xml.ele(SITEMAP_SCHEMA, 'urlset')
  urls.ele('url').ele('loc').txt(url)
  for (const { source, date } of pages) {
    const entry = urls.ele('url')
    entry.ele('loc').txt(url + addressOf(source))
    entry.ele('lastmod').txt(date)
  }
  return `${xml.end()}\n`
}

export function rss(frame: Frame, pages: readonly Page[]): string {
  const newest = [...pages]
    .sort((a, b) => (a.date === b.date ? (a.source < b.source ? -1 : 1) : a.date > b.date ? -1 : 1))
    .slice(0, FEED_LENGTH)
  const xml = newDocument()
  const channel = xml.ele('rss', { version: '2.0' }).ele('channel')
  channel.ele('title').txt(frame.title)
  channel.ele('link').txt(frame.url)
  channel.ele('description').txt(`The newest pages of ${frame.title}`)
  for (const { source, title, description, date } of newest) {
    const link = frame.url + addressOf(source)
    const item = channel.ele('item')
    item.ele('title').txt(title)
    item.ele('link').txt(link)
    item.ele('guid').txt(link)
    item.ele('pubDate').txt(new Date(date).toUTCString())
    item.ele('description').txt(description)
  }
  return `${xml.end()}\n`
}
