/**
 * Builds a site, into a folder that is served meanwhile. Each file is the one before or the new one, whole; what
 * keeps a site of many such files usable when a build stops in between is the order in which they are written:
 *
 *   1. the cache gets the names that are to come  what a build that stops leaves, the next one knows
 *   2. assets and images                          before any page asks for them; old ones stay for old pages
 *   3. pages, all or none                         their links lead to what is there, or is there in a moment
 *   4. front page, sitemap, feed                  list pages that are there
 *   5. the cache                                  knows only what is written
 *   6. removals                                   of what nothing points to any more
 *
 * Stopped anywhere, the next build does the rest.
 */

import { lstat, rm, rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CACHE, FRONT_PAGE, RSS, SITEMAP } from './addresses'
import type { Cache, CacheState, Entry } from './cache'
import { rss, sitemap } from './feeds'
import { atomicOutput, type Output, type Written } from './output'
import { makePlan, type Plan } from './plan'
import { removeEmptyFolders, removeFiles } from './remove'
import { renderAssets, renderPages } from './rendering'
import { renderFrontPage } from './templates'

export interface BuildOptions {
  /** The folder of Markdown. */
  source: string
  /** The site's folder. */
  out: string
  /** Where it will be served, for the sitemap and the feed. */
  url: string
  title: string
  /** A folder with a stylesheet, a script and a logo in the place of ours. */
  theme?: string
  /** Other folders that hold no sources although they may lie among them. */
  ignore?: readonly string[]
  /** How files are written. Default: each crash-safe and flushed, unchanged ones left alone. */
  output?: Output
  /** Make everything anew, whatever the cache says. */
  full?: boolean
  /** Put one build id into every page. It is a digest of all that went in: the same sources, the same id. */
  stamp?: boolean
  signal?: AbortSignal
  onProgress?: (pages: number, total: number) => void
}

export interface BuildResult {
  pages: number
  /** Pages made anew; the rest had not changed. */
  rendered: number
  written: number
  /** Files that were made and turned out to be what was there. */
  unchanged: number
  removed: number
  /** What became of the cache: `damaged` or `missing` mean that everything was made anew. */
  cache: CacheState
  build: string | undefined
}

export async function buildSite(options: BuildOptions): Promise<BuildResult> {
  const { signal } = options
  const out = resolve(options.out)
  const output = options.output ?? atomicOutput(out, { signal })
  const plan = await makePlan({ ...options, source: resolve(options.source), out })
  signal?.throwIfAborted()

  const total = { written: 0, unchanged: 0 }
  const count = async (result: Promise<Written>): Promise<void> => {
    const { written, unchanged } = await result
    total.written += written
    total.unchanged += unchanged
  }
  const outdated = plan.pages.filter(({ entry }) => !entry)
  const fresh = await missing(out, assetNames(plan))
  try {
    await announce(plan, output)
    await count(output.writeAll(renderAssets(plan)))
    await count(output.writeAll(renderPages(plan, options.onProgress)))
  } catch (error) {
    // Not if some of the pages are there already: they need what was written for them.
    if ((error as { committed?: boolean }).committed !== true) await undo(plan, out, fresh)
    throw error
  }

  const listed = plan.pages.flatMap(({ source, entry }) => (entry?.page ? [{ source, ...entry.page }] : []))
  await count(output.write(FRONT_PAGE, renderFrontPage(plan.frame, listed)))
  await count(output.stream(SITEMAP, sitemap(plan.frame, listed)))
  await count(output.stream(RSS, rss(plan.frame, listed)))
  const removed = await remember(plan, out, output)

  return {
    pages: listed.length,
    rendered: outdated.filter(({ entry }) => entry?.page).length,
    ...total,
    removed,
    cache: plan.cacheState,
    build: plan.frame.build,
  }
}

/** Names that no earlier build has written, or begun to. */
function newNames({ cache, files }: Plan): string[] {
  const known = new Set(cache.files)
  return files.filter((file) => !known.has(file))
}

const allNames = ({ cache, files }: Plan) => [...new Set([...cache.files, ...files])].sort()

async function announce(plan: Plan, output: Output): Promise<void> {
  if (newNames(plan).length > 0) await output.update<Cache>(CACHE, { ...plan.cache, files: allNames(plan) })
}

function assetNames({ themeFiles, images }: Plan): string[] {
  return [...themeFiles.map(({ path }) => path), ...images.map(({ source }) => source)]
}

/** Of the names, those that nothing has: not even something the cache does not know. */
async function missing(out: string, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map((name) => lstat(join(out, name)).catch(() => undefined)))
  return names.filter((_, i) => found[i] === undefined)
}

/** Takes back what was written for pages that will not be: the site is then as it was. */
async function undo(plan: Plan, out: string, fresh: readonly string[]): Promise<void> {
  await removeFiles(out, fresh)
  await removeEmptyFolders(out, newNames(plan))
  if (plan.cacheState === 'read') return
  await rm(join(out, CACHE), { force: true })
  await rmdir(out).catch(() => {}) // There may have been something in it before.
}

/** The cache, then the removals: a name is forgotten only when its file is gone. */
async function remember(plan: Plan, out: string, output: Output): Promise<number> {
  const entries = [...plan.pages, ...plan.images].flatMap(({ entry }): Entry[] => (entry ? [entry] : []))
  const cache: Cache = { version: 1, theme: plan.theme, entries, files: allNames(plan) }
  await output.update(CACHE, cache)
  const expected = new Set(plan.files)
  const gone = cache.files.filter((file) => !expected.has(file))
  if (gone.length === 0) return 0
  await removeFiles(out, gone)
  await output.update(CACHE, { ...cache, files: plan.files })
  return gone.length
}
