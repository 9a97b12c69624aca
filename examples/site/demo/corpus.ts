/** The demo's sources: a copy of all Markdown and images under node_modules/, so that the demo can change them. */

import { statSync } from 'node:fs'
import { copyFile, mkdir, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findSources } from '../lib/sources'

/** In bytes. Larger ones take a builder longer than a few pages: with a limit they are left out. */
const SMALL_IMAGE = 10_000

/** @returns the sources of the pages. */
export async function copySources(from: string, to: string, limit: number): Promise<string[]> {
  const { pages, images } = await findSources(from, [])
  const chosen = pages.slice(0, limit)
  const most = limit < pages.length ? SMALL_IMAGE : Number.POSITIVE_INFINITY
  const shown = images.filter(({ path }) => statSync(path).size <= most)
  for (const { path, source } of [...chosen, ...shown]) {
    const { atime, mtime } = await stat(path)
    const copy = join(to, source)
    await mkdir(dirname(copy), { recursive: true })
    await copyFile(path, copy)
    await utimes(copy, atime, mtime)
  }
  return chosen.map(({ source }) => source)
}
