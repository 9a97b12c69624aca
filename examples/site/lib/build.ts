/**
 * Builds a site into a folder that is served during the build. Each file is either the old or the new one, complete, and
 * what a stopped build leaves is a site:
 *
 *   1. the names of new files into the cache  so that the next build knows what a stopped one left
 *   2. assets and images                      before any page links to them; old ones stay for old pages
 *   3. pages, front page, sitemap, feed and   in one transaction: what is listed is there, and the cache says what is there
 *      the cache
 *   4. removals                               of files that nothing links to any more
 *
 * If a build stops at any point, the next one completes it.
 */

import { lstat, rm, rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CACHE, FRONT_PAGE, JOURNAL, RSS, SITEMAP } from './addresses'
import type { Cache, CacheState, Entry } from './cache'
import { abortError } from './errors'
import { rss, sitemap } from './feeds'
import { atomicOutput, MOST_FILES, type Output, type OutputFile, type Written } from './output'
import { makePlan, type Plan } from './plan'
import { removeEmptyFolders, removeFiles } from './remove'
import { renderAssets, renderPages } from './rendering'
import { type Page, renderFrontPage } from './templates'

/** The files that list pages. */
const LISTS = 3

export interface BuildOptions {
  /** The folder of Markdown. */
  source: string
  /** The site's folder. */
  out: string
  /** Where it will be served, for the sitemap and the feed. */
  url: string
  title: string
  /** A folder with a stylesheet, a script and a logo. Default: the theme of this example. */
  theme?: string
  /** Folders to skip when sources are searched. */
  ignore?: readonly string[]
  /** How files are written. Default: `atomicOutput`, crash-safe and flushed; unchanged files are not written. */
  output?: Output
  /** Render everything, and ignore the cache. */
  full?: boolean
  /** Put a build id into every page. It is a digest of the input, so the same sources have the same id. */
  stamp?: boolean
  signal?: AbortSignal
  onProgress?: (pages: number, total: number) => void
}

export interface BuildResult {
  pages: number
  /** Pages that were rendered; the others had not changed. */
  rendered: number
  written: number
  /** Files that were generated and equal to the existing ones. */
  unchanged: number
  removed: number
  /** The state of the cache. If it is `damaged` or `missing`, everything was rendered. */
  cache: CacheState
  build: string | undefined
}

export async function buildSite(options: BuildOptions): Promise<BuildResult> {
  const { signal } = options
  const out = resolve(options.out)
  const output = options.output ?? atomicOutput(out, { signal })
  await output.recover()
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
  let isPublished = false
  try {
    await announce(plan, output)
    await count(output.writeAll(renderAssets(plan)))
    let pages: OutputFile[] = []
    for await (const file of renderPages(plan, options.onProgress)) {
      pages.push(file)
      if (signal?.aborted) throw abortError(signal)
      if (pages.length < MOST_FILES - LISTS) continue
      // Of more pages than one transaction takes, those that come first are there before they are listed.
      await count(output.publish(pages))
      isPublished = true
      pages = []
    }
    await count(output.publish([...pages, ...listsOf(plan)], { path: CACHE, value: cacheOf(plan) }))
  } catch (error) {
    // Not if pages have been published already: they need the assets written for them.
    isPublished ||= (error as { committed?: boolean }).committed === true
    if (!isPublished) await undo(plan, out, fresh)
    throw error
  }
  const removed = await forget(plan, out, output)

  return {
    pages: listed(plan).length,
    rendered: outdated.filter(({ entry }) => entry?.page).length,
    ...total,
    removed,
    cache: plan.cacheState,
    build: plan.frame.build,
  }
}

/** The files that no earlier build has written or started to write. */
function newNames({ cache, files }: Plan): string[] {
  const known = new Set(cache.files)
  return files.filter((file) => !known.has(file))
}

const allNames = ({ cache, files }: Plan) => [...new Set([...cache.files, ...files])].sort()

async function announce(plan: Plan, output: Output): Promise<void> {
  if (newNames(plan).length === 0) return
  await output.update({ path: CACHE, value: { ...plan.cache, files: allNames(plan) } satisfies Cache })
}

function assetNames({ themeFiles, images }: Plan): string[] {
  return [...themeFiles.map(({ path }) => path), ...images.map(({ source }) => source)]
}

/** The names for which nothing exists in `out`, not even a file that the cache does not know. */
async function missing(out: string, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(names.map((name) => lstat(join(out, name)).catch(() => undefined)))
  return names.filter((_, i) => found[i] === undefined)
}

/** Removes what was written for pages that are not published, so that the site is as it was. */
async function undo(plan: Plan, out: string, fresh: readonly string[]): Promise<void> {
  await removeFiles(out, fresh)
  await removeEmptyFolders(out, newNames(plan))
  if (plan.cacheState === 'read') return
  await rm(join(out, CACHE), { force: true })
  await rm(join(out, JOURNAL), { recursive: true, force: true })
  await rmdir(out).catch(() => {}) // It stays if it holds other files.
}

/** What is on the lists. */
function listed({ pages }: Plan): Page[] {
  return pages.flatMap(({ source, entry }) => (entry?.page ? [{ source, ...entry.page }] : []))
}

function listsOf(plan: Plan): OutputFile[] {
  const pages = listed(plan)
  return [
    { path: FRONT_PAGE, data: renderFrontPage(plan.frame, pages) },
    { path: SITEMAP, data: sitemap(plan.frame, pages) },
    { path: RSS, data: rss(plan.frame, pages) },
  ]
}

function cacheOf(plan: Plan): Cache {
  const entries = [...plan.pages, ...plan.images].flatMap(({ entry }): Entry[] => (entry ? [entry] : []))
  return { version: 1, theme: plan.theme, entries, files: allNames(plan) }
}

/** Removes outdated files: a name leaves the cache only after its file is removed. */
async function forget(plan: Plan, out: string, output: Output): Promise<number> {
  const expected = new Set(plan.files)
  const gone = allNames(plan).filter((file) => !expected.has(file))
  if (gone.length === 0) return 0
  await removeFiles(out, gone)
  await output.update({ path: CACHE, value: { ...cacheOf(plan), files: plan.files } })
  return gone.length
}
