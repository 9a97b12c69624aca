/** The sitemap and the feed. The library writes and escapes the XML. */

import { createCB } from 'xmlbuilder2'
import { addressOf } from './addresses'
import type { Frame, Page } from './templates'

/** The feed has this many pages, the newest first. */
const FEED_LENGTH = 20

type Builder = ReturnType<typeof createCB>

function documentOf(write: (xml: Builder) => void): string {
  let text = ''
  const xml = createCB({
    data: (part: string) => {
      text += part
    },
    error: (error: Error) => {
      throw error
    },
  })
  xml.dec({ version: '1.0', encoding: 'UTF-8' })
  write(xml)
  xml.end()
  return `${text}\n`
}

const SITEMAP_SCHEMA = 'http://www.sitemaps.org/schemas/sitemap/0.9'

export function sitemap({ url }: Frame, pages: readonly Page[]): string {
  return documentOf((xml) => {
    xml.ele(SITEMAP_SCHEMA, 'urlset')
    xml.ele('url').ele('loc').txt(url).up().up()
    for (const { source, date } of pages) {
      xml.ele('url')
      xml
        .ele('loc')
        .txt(url + addressOf(source))
        .up()
      xml.ele('lastmod').txt(date).up()
      xml.up()
    }
    xml.up()
  })
}

export function rss(frame: Frame, pages: readonly Page[]): string {
  const newest = [...pages]
    .sort((a, b) => (a.date === b.date ? (a.source < b.source ? -1 : 1) : a.date > b.date ? -1 : 1))
    .slice(0, FEED_LENGTH)
  return documentOf((xml) => {
    xml.ele('rss', { version: '2.0' }).ele('channel')
    xml.ele('title').txt(frame.title).up()
    xml.ele('link').txt(frame.url).up()
    xml.ele('description').txt(`The newest pages of ${frame.title}`).up()
    for (const { source, title, description, date } of newest) {
      const link = frame.url + addressOf(source)
      xml.ele('item')
      xml.ele('title').txt(title).up()
      xml.ele('link').txt(link).up()
      xml.ele('guid').txt(link).up()
      xml.ele('pubDate').txt(new Date(date).toUTCString()).up()
      xml.ele('description').txt(description).up()
      xml.up()
    }
    xml.up().up()
  })
}
