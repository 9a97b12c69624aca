// Trees of files, and looks at them.

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { BuildResult, DirectoryResult } from '@pipeline/atomic'
import { written } from './files'

/** File names and their texts; a text that begins with `->` is a link, a name that ends in `/` a directory. */
export type Tree = Record<string, string>

/** Fills a folder. */
export function plant(dir: string, tree: Tree): void {
  for (const [name, text] of Object.entries(tree)) {
    const path = join(dir, name)
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true })
    if (text.startsWith('->')) symlinkSync(text.slice(2), path)
    else if (!name.endsWith('/')) writeFileSync(path, text)
  }
}

/** All that is in a folder, as `plant` takes it. */
export function treeOf(dir: string): Tree {
  const tree: Tree = {}
  for (const name of readdirSync(dir).sort()) {
    const path = join(dir, name)
    const stat = lstatSync(path)
    if (stat.isSymbolicLink()) tree[name] = `->${readlinkSync(path)}`
    else if (!stat.isDirectory()) tree[name] = readFileSync(path, 'utf8')
    else {
      const below = Object.entries(treeOf(path))
      if (below.length === 0) tree[`${name}/`] = ''
      for (const [inner, text] of below) tree[`${name}/${inner}`] = text
    }
  }
  return tree
}

/** The result of a replacement in `dir` with nothing special about it. */
export function replaced(dir: string, more: Partial<DirectoryResult> = {}): DirectoryResult {
  const nothing = { files: 0, directories: 0, links: 0, bytes: 0, previous: null, leftover: null }
  return { ...nothing, durable: written(dir, 0).durable, ...more }
}

/** As `replaced`, of a build that returned `value`. */
export const built = <T>(dir: string, value: T, more: Partial<DirectoryResult> = {}): BuildResult<T> => ({
  ...replaced(dir, more),
  value,
})
