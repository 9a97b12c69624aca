/**
 * The demo's sources, a copy so that it can change them: Markdown and images under node_modules/. Without a limit these
 * are all; with one, that many pages, the small images, and of each kind the smallest. A drawing that is large even so is
 * replaced by a plain one.
 */

import { statSync } from 'node:fs'
import { copyFile, mkdir, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { findSources, type SourceFile } from '../lib/sources'

/** In bytes. Some larger ones (drawings as SVG) take a builder longer than a dozen pages. */
const SMALL_IMAGE = 10_000

const PLAIN_DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>\n'

/** @returns the sources of the pages. */
export async function copySources(from: string, to: string, limit: number): Promise<string[]> {
  const { pages, images } = await findSources(from, [])
  const chosen = pages.slice(0, limit)
  const shown = limit < pages.length ? quickOnes(images) : images
  for (const { path, source } of [...chosen, ...shown]) {
    const { atime, mtime, size } = await stat(path)
    const copy = join(to, source)
    await mkdir(dirname(copy), { recursive: true })
    const takesLong = shown !== images && size > SMALL_IMAGE && /\.svg$/i.test(source)
    await (takesLong ? writeFile(copy, PLAIN_DRAWING) : copyFile(path, copy))
    await utimes(copy, atime, mtime)
  }
  return chosen.map(({ source }) => source)
}

function quickOnes(images: readonly SourceFile[]): SourceFile[] {
  const size = ({ path }: SourceFile) => statSync(path).size
  const largestFirst = [...images].sort((one, other) => size(other) - size(one))
  // In a map the last of a kind stays.
  const smallest = new Map(largestFirst.map((image) => [extname(image.path).toLowerCase(), image]))
  return images.filter((image) => size(image) <= SMALL_IMAGE || [...smallest.values()].includes(image))
}
