/**
 * Which source becomes which address. Decided by names alone, so that a page's links to others never
 * depend on what those hold: a page is rendered again only when it changes itself.
 *
 *   guide/intro.md  →  /guide/intro/    guide/README.md, guide/index.md  →  /guide/
 */

import { posix } from 'node:path'
import { SiteError } from './errors'
import { IMAGE } from './sources'

/** Of the site itself, not of one page. */
export const FRONT_PAGE = 'index.html'
export const SITEMAP = 'sitemap.xml'
export const RSS = 'rss.xml'
export const CACHE = '.site-cache.json'
export const ASSETS = 'assets'

/** The folder that a page's files are in, below the site's: '' is the site's own, which is the front page's. */
export function folderOf(source: string): string {
  const name = source.replace(/\.md$/i, '')
  // The front page lists all others, so those at the top have a folder of their own.
  return name.includes('/') ? name.replace(/\/(?:readme|index)$/i, '') : name
}

/** The files that a page becomes. */
export function filesOf(source: string): { html: string; json: string; text: string } {
  const folder = folderOf(source)
  return { html: `${folder}/index.html`, json: `${folder}/index.json`, text: `${folder}/index.txt` }
}

/** A path below the site's folder as a part of an address: what would mean something there is escaped. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/').replaceAll('%40', '@')
}

/** A page's address below the site's. */
export function addressOf(source: string): string {
  return `${encodePath(folderOf(source))}/`
}

/** From a page up to the site's folder. */
export function rootFrom(source: string): string {
  return '../'.repeat(folderOf(source).split('/').length)
}

const HERE = 'http://source.invalid'

/**
 * What a link or an image in `source` leads to on the site, relative to the page; `undefined` if there is
 * no such thing there. Links to elsewhere are left as they are.
 */
export function resolveLink(link: string, source: string): string | undefined {
  if (link.startsWith('#') || link === '') return link || undefined
  let url: URL
  let path: string
  try {
    url = new URL(link, `${HERE}/${encodePath(source)}`)
    if (url.origin !== HERE) return link
    path = decodeURIComponent(url.pathname).slice(1)
  } catch {
    return undefined
  }
  if (/\.md$/i.test(path)) return rootFrom(source) + addressOf(path) + url.hash
  if (IMAGE.test(path)) return rootFrom(source) + encodePath(path)
  return undefined
}

/**
 * Refuses two sources that want one file, and a file that another needs as a folder (`sitemap.xml.md` would
 * be `sitemap.xml/index.html`).
 */
export function refuseCollisions(planned: ReadonlyArray<{ source: string; files: readonly string[] }>): void {
  const owners = new Map<string, string>()
  for (const { source, files } of planned) {
    for (const file of files) {
      const owner = owners.get(file)
      if (owner !== undefined) throw new SiteError(`${owner} and ${source} would both be ${file}`)
      owners.set(file, source)
    }
  }
  for (const [file, source] of owners) {
    for (let folder = posix.dirname(file); folder !== '.'; folder = posix.dirname(folder)) {
      const owner = owners.get(folder)
      if (owner !== undefined)
        throw new SiteError(`${owner} would be the file ${folder}, ${source} needs it as a folder`)
    }
  }
}
