/**
 * Finds the sources of a site. Names that begin with a dot are skipped (repositories, temp files), symbolic links are
 * not followed (they may lead out of the folder, or in a loop), and the site's folder may be inside its sources.
 */

import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { SiteError } from './errors'

export interface SourceFile {
  /** Relative to the source folder, with `/`. It identifies the file in the cache and in messages. */
  source: string
  path: string
}

const MARKDOWN = /\.md$/i
export const IMAGE = /\.(?:png|jpe?g|webp|gif|svg)$/i

/** @returns the pages and images under `folder`, but not those under one of `outs`, sorted. */
export async function findSources(
  folder: string,
  outs: readonly string[],
): Promise<{ pages: SourceFile[]; images: SourceFile[] }> {
  const around = outs.find((out) => isWithin(folder, out))
  if (around !== undefined)
    throw new SiteError(`the site's folder, ${around}, must not contain the sources, ${folder}`)
  if (!(await stat(folder)).isDirectory()) throw new SiteError(`${folder} is not a folder`)
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name)) // parentPath is new in Node 20.12
    .filter((path) => !outs.some((out) => isWithin(path, out)))
    .map((path) => ({ path, source: relative(folder, path).split(sep).join('/') }))
    .filter(({ source }) => !source.split('/').some((name) => name.startsWith('.')))
    .sort((a, b) => (a.source < b.source ? -1 : 1))
  const matching = (name: RegExp) => files.filter(({ source }) => name.test(source))
  return { pages: matching(MARKDOWN), images: matching(IMAGE) }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}
