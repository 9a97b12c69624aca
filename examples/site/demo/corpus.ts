/** The demo's sources: a copy of all Markdown and images under node_modules/, so that the demo can change them. */

import { copyFile, mkdir, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findSources } from '../lib/sources'

/** @returns the sources of the pages. */
export async function copySources(from: string, to: string, limit: number): Promise<string[]> {
  const { pages, images } = await findSources(from, [])
  const chosen = pages.slice(0, limit)
  for (const { path, source } of [...chosen, ...images]) {
    const copy = join(to, source)
    await mkdir(dirname(copy), { recursive: true })
    await copyFile(path, copy)
    const { atime, mtime } = await stat(path)
    await utimes(copy, atime, mtime)
  }
  return chosen.map(({ source }) => source)
}
