/**
 * Plans a build before anything is written: finds the sources, maps them to files, and decides which are unchanged
 * according to the cache. If sources cannot be used, the build ends here and reports all of them.
 */

import { readFile, stat } from 'node:fs/promises'
import { FRONT_PAGE, filesOf, RSS, refuseCollisions, SITEMAP } from './addresses'
import type { BuildOptions } from './build'
import { areThere, type Cache, type CacheState, type Entry, readCache } from './cache'
import { SourceErrors } from './errors'
import { fingerprint, generatorFingerprint } from './fingerprint'
import { type Parsed, parseFrontMatter } from './front-matter'
import type { OutputFile } from './output'
import { findSources, type SourceFile } from './sources'
import type { Frame } from './templates'
import { DEFAULT_THEME, makeTheme, readTheme, type ThemeSources } from './theme'

interface Planned extends SourceFile {
  fingerprint: string
  /** The cache's entry, if it is still valid; otherwise it is set by rendering. */
  entry?: Entry
}

export type PlannedImage = Planned

export interface PlannedPage extends Planned {
  /** The modification time of the source. */
  modified: string
  /** Set if the page has to be rendered. */
  parsed?: Parsed
}

export interface Plan {
  frame: Frame
  pages: PlannedPage[]
  images: PlannedImage[]
  /** The files of the theme that have to be written. */
  themeFiles: OutputFile[]
  theme: NonNullable<Cache['theme']>
  /** Every file of the site after the build. */
  files: string[]
  /** The cache of the last build. */
  cache: Cache
  cacheState: CacheState
}

export async function makePlan(options: BuildOptions): Promise<Plan> {
  const { source, out, stamp = false } = options
  const generator = await generatorFingerprint()
  const found = await findSources(source, [out, ...(options.ignore ?? [])])
  const { cache, state } = await readCache(out)
  const known = new Map(options.full || stamp ? [] : cache.entries.map((entry) => [entry.source, entry]))
  const look = async (file: SourceFile, digest: string): Promise<Planned> => {
    const entry = known.get(file.source)
    const holds = entry?.fingerprint === digest && (await areThere(out, entry.files))
    return { ...file, fingerprint: digest, ...(holds && { entry }) }
  }

  const themeSources = await readTheme(options.theme ?? DEFAULT_THEME)
  const design = fingerprint(generator, ...Object.values(themeSources))
  const site = fingerprint(design, options.title, options.url, stamp ? 'stamped' : 'plain')
  const failures: Array<{ source: string; reason: string }> = []
  const pages: PlannedPage[] = []
  for (const file of found.pages) {
    options.signal?.throwIfAborted()
    try {
      const [bytes, { mtime }] = await Promise.all([readFile(file.path), stat(file.path)])
      const modified = mtime.toISOString()
      const planned = await look(file, fingerprint(site, file.source, modified, bytes))
      const parsed = planned.entry ? undefined : parseFrontMatter(decode(bytes))
      pages.push({ ...planned, modified, ...(parsed && { parsed }) })
    } catch (error) {
      failures.push({ source: file.source, reason: (error as Error).message })
    }
  }
  if (failures.length > 0) throw new SourceErrors(failures)

  const images: PlannedImage[] = []
  for (const file of found.images) {
    images.push(await look(file, fingerprint(generator, file.source, await readFile(file.path))))
  }

  const { theme, themeFiles } = await planTheme(
    themeSources,
    design,
    options.full ? undefined : cache.theme,
    out,
  )
  const planned = [
    { source: 'the site itself', files: [FRONT_PAGE, SITEMAP, RSS, ...Object.keys(theme.files)] },
    ...images.map((image) => ({ source: image.source, files: [image.source] })),
    ...pages
      .filter(isPublic)
      .map((page) => ({ source: page.source, files: Object.values(filesOf(page.source)) })),
  ]
  refuseCollisions(planned)
  const build = stamp
    ? fingerprint(site, ...[...pages, ...images].map((file) => file.fingerprint))
    : undefined
  return {
    frame: { title: options.title, url: options.url, assets: theme.assets, ...(build && { build }) },
    files: planned.flatMap(({ files }) => files).sort(),
    ...{ pages, images, theme, themeFiles, cache, cacheState: state },
  }
}

/** Whether the page is on the site: drafts are not. */
export function isPublic({ entry, parsed }: PlannedPage): boolean {
  return entry ? entry.page !== undefined : parsed?.front.draft === false
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Error('is not UTF-8')
  }
}

async function planTheme(sources: ThemeSources, design: string, cached: Cache['theme'], out: string) {
  if (cached?.fingerprint === design && (await areThere(out, cached.files)))
    return { theme: cached, themeFiles: [] }
  const { assets, files } = await makeTheme(sources)
  const sizes = Object.fromEntries(files.map(({ path, data }) => [path, Buffer.byteLength(data)]))
  return { theme: { fingerprint: design, assets, files: sizes }, themeFiles: files }
}
