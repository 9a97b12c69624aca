/**
 * Maps sources to addresses. The mapping depends on names alone, so a page's links do not depend on the content of
 * other pages, and a page is rendered again only when it changes itself.
 *
 *   guide/intro.md  →  /guide/intro/    guide/README.md, guide/index.md  →  /guide/
 */

import { posix } from 'node:path'
import { SiteError } from './errors'
import { IMAGE } from './sources'

/** Files of the site as a whole. */
export const FRONT_PAGE = 'index.html'
export const SITEMAP = 'sitemap.xml'
export const RSS = 'rss.xml'
export const CACHE = '.site-cache.json'
export const ASSETS = 'assets'
/** The folder of the addon's journal. */
export const JOURNAL = '.atomic'

/** The folder of a page's files, relative to the site's. Never '': that is the front page's. */
export function folderOf(source: string): string {
  const name = source.replace(/\.md$/i, '')
  // README.md and index.md at the top are pages too, with a folder of their own: the front page is the list of pages.
  return name.includes('/') ? name.replace(/\/(?:readme|index)$/i, '') : name
}

/** The files that are made from a page's source. */
export function filesOf(source: string): { html: string; json: string; text: string } {
  const folder = folderOf(source)
  return { html: `${folder}/index.html`, json: `${folder}/index.json`, text: `${folder}/index.txt` }
}

/** Encodes a path, relative to the site's folder, as part of a URL. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/').replaceAll('%40', '@')
}

/** The address of a page, relative to the site's. */
export function addressOf(source: string): string {
  return `${encodePath(folderOf(source))}/`
}

/** The relative path from a page to the site's folder. */
export function rootFrom(source: string): string {
  return '../'.repeat(folderOf(source).split('/').length)
}

const HERE = 'http://source.invalid'

/**
 * Resolves a link or an image in `source` to its address on the site, relative to the page. `undefined`: it is not part
 * of the site. Links to other sites are returned unchanged.
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
 * Refuses two sources that would become the same file, and a file whose name another source needs for a folder
 * (`sitemap.xml.md` would become `sitemap.xml/index.html`).
 */
export function refuseCollisions(planned: ReadonlyArray<{ source: string; files: readonly string[] }>): void {
  const owners = new Map<string, string>()
  for (const { source, files } of planned) {
    for (const file of files) {
      const owner = owners.get(file)
      if (owner !== undefined)
        throw new SiteError(`${owner} and ${source} would both become ${file}; rename one of them`)
      owners.set(file, source)
    }
  }
  for (const [file, source] of owners) {
    for (let folder = posix.dirname(file); folder !== '.'; folder = posix.dirname(folder)) {
      const owner = owners.get(folder)
      if (owner !== undefined)
        throw new SiteError(
          `${owner} becomes the file ${folder}, which ${source} needs as a folder; rename one of them`,
        )
    }
  }
}
