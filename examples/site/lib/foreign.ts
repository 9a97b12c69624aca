/**
 * Files in a site's folder that this generator has not made: a repository, a CNAME, a verification file. A build file by
 * file leaves them where they are; a swap of the whole folder has to take them along.
 */

import { constants, type Dirent, type Stats } from 'node:fs'
import { cp, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CACHE, JOURNAL } from './addresses'
import { readCache } from './cache'
import { SiteError } from './errors'

/** What a killed build leaves is removed by the next one: temp files, and locks of files that a build makes. */
const TEMP = /^\..*\.[0-9A-Za-z]{12}\.atomic-(?:tmp|txn)$/
const LOCK = /^\.(.+)\.lock$/

/** How many names an error lists. */
const SHOWN = 5

/**
 * Copies the foreign files in `from`, an old site, to `to`, the new one.
 *
 * A file that the new site makes too is the new one's. Sockets and pipes, which hold nothing, are left out.
 *
 * @throws SiteError if they cannot be told from outdated files, because the cache is lost, or if a file is where the new
 *   site has a folder, or a folder where it has a file.
 */
export async function carryOver(from: string, to: string): Promise<void> {
  const { cache, state } = await readCache(from)
  const made = new Set([CACHE, JOURNAL, ...cache.files])
  const folders = new Set([...made].flatMap(parentsOf))
  const foreign = await foreignBelow(from, '', made, folders)
  if (state !== 'read') await refuseUnknown(from, to, foreign)
  for (const name of foreign) await carry(from, to, name)
}

async function carry(from: string, to: string, name: string): Promise<void> {
  const source = join(from, name)
  const [old, made] = await Promise.all([lstat(source), statIfThere(to, name)])
  if (made === undefined) return copy(source, join(to, name))
  if (old.isDirectory() !== made.isDirectory()) throw clash(name)
  if (!old.isDirectory()) return
  for (const entry of await entriesOf(source)) await carry(from, to, `${name}/${entry.name}`)
}

function copy(source: string, target: string): Promise<void> {
  return cp(source, target, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: async (path) => {
      const stat = await lstat(path)
      return stat.isFile() || stat.isDirectory() || stat.isSymbolicLink()
    },
  })
}

async function statIfThere(folder: string, name: string): Promise<Stats | undefined> {
  return lstat(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error.code === 'ENOTDIR' ? clash(name) : error
  })
}

const clash = (name: string) =>
  new SiteError(
    `${name} in the old site is your own, and the new site cannot hold it: one has a file where the other has a folder. ` +
      'Rename it, or the source of that page',
  )

async function foreignBelow(
  root: string,
  folder: string,
  made: ReadonlySet<string>,
  folders: ReadonlySet<string>,
): Promise<string[]> {
  const names: string[] = []
  for (const entry of await entriesOf(join(root, folder))) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && folders.has(name))
      names.push(...(await foreignBelow(root, name, made, folders)))
    else if (!made.has(name) && !isLeftover(folder, entry.name, made)) names.push(name)
  }
  return names
}

function isLeftover(folder: string, name: string, made: ReadonlySet<string>): boolean {
  const locked = LOCK.exec(name)?.[1]
  return TEMP.test(name) || (locked !== undefined && made.has(folder === '' ? locked : `${folder}/${locked}`))
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

const parentsOf = (name: string) => name.split('/').map((_, at, parts) => parts.slice(0, at).join('/'))

/** Without a cache an outdated page looks like a foreign file. What the new site has anyway is no loss. */
async function refuseUnknown(from: string, to: string, names: readonly string[]): Promise<void> {
  const unknown: string[] = []
  for (const name of names) if (!(await isWithin(join(from, name), join(to, name)))) unknown.push(name)
  if (unknown.length === 0) return
  const more = unknown.length > SHOWN ? ` and ${unknown.length - SHOWN} more` : ''
  throw new SiteError(
    `${from} holds what this build does not make, and its cache, which tells outdated pages from your own files, is ` +
      `lost: ${unknown.slice(0, SHOWN).join(', ')}${more}. Build once without --atomic, which leaves them, or remove them`,
  )
}

/** Whether all that is at `path` is at `other` too. */
async function isWithin(path: string, other: string): Promise<boolean> {
  if (!(await isThere(other))) return false
  if (!(await lstat(path)).isDirectory()) return true
  for (const { name } of await entriesOf(path)) {
    if (!(await isWithin(join(path, name), join(other, name)))) return false
  }
  return true
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
