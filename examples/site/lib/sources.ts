/**
 * Finding what a site is made of. Names that begin with a dot are other people's business (repositories,
 * temp files of a writer at work), symbolic links are not followed (they may lead out of the folder, or
 * round in circles), and the site itself may lie inside its sources.
 */

import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { SiteError } from './errors'

export interface SourceFile {
  /** Below the source folder, with `/`: the file's identity in the cache and in messages. */
  source: string
  path: string
}

const MARKDOWN = /\.md$/i
export const IMAGE = /\.(?:png|jpe?g|webp|gif|svg)$/i

/** @returns pages and images below `folder` that are not in one of `outs`, sorted. */
export async function findSources(
  folder: string,
  outs: readonly string[],
): Promise<{ pages: SourceFile[]; images: SourceFile[] }> {
  const around = outs.find((out) => isWithin(folder, out))
  if (around !== undefined)
    throw new SiteError(`${around} is to hold the site and must not contain its sources, ${folder}`)
  if (!(await stat(folder)).isDirectory()) throw new SiteError(`${folder} is not a folder`)
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name)) // parentPath came with 20.12
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
