/**
 * The sitemap and the feed, generated in pieces, so that the memory needed does not depend on the number of pages. The
 * library writes and escapes the XML.
 */

import { createCB } from 'xmlbuilder2'
import { addressOf } from './addresses'
import type { Frame, Page } from './templates'

/** The minimum length of a piece: the library emits a few characters at a time, too few for a write each. */
const PIECE = 16 * 1024

/** The feed has this many pages, the newest first. */
const FEED_LENGTH = 20

type Builder = ReturnType<typeof createCB>

/** Runs `write`, which yields after each entry, and passes on the XML written so far. */
function* pieces(write: (xml: Builder) => Iterable<void>): Generator<string> {
  let ready = ''
  const xml = createCB({
    data: (part: string) => {
      ready += part
    },
    error: (error: Error) => {
      throw error
    },
  })
  xml.dec({ version: '1.0', encoding: 'UTF-8' })
  for (const _ of write(xml)) {
    if (ready.length < PIECE) continue
    yield ready
    ready = ''
  }
  xml.end()
  yield `${ready}\n`
}

const SITEMAP_SCHEMA = 'http://www.sitemaps.org/schemas/sitemap/0.9'

export function sitemap({ url }: Frame, pages: readonly Page[]): Iterable<string> {
  return pieces(function* (xml) {
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
      yield
    }
    xml.up()
  })
}

export function rss(frame: Frame, pages: readonly Page[]): Iterable<string> {
  const newest = [...pages]
    .sort((a, b) => (a.date === b.date ? (a.source < b.source ? -1 : 1) : a.date > b.date ? -1 : 1))
    .slice(0, FEED_LENGTH)
  return pieces(function* (xml) {
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
      yield
    }
    xml.up().up()
  })
}
