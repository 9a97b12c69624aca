// A driver of unstorage: each key a file below a folder, laid out as by its driver `fs-lite`.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { atomicWrite, atomicWriteAll, type Data, remove } from '@pipeline/atomic'
import { type Driver, defineDriver } from 'unstorage'

export interface AtomicDriverOptions {
  /** The folder that has the files. */
  base: string
  /** Flush each item to disk before the promise resolves. @default true */
  flush?: boolean
}

/** What calls that run, or were killed, have beside the items: no key may be one of these. */
const isOwn = (path: string) => path.split(/[/\\]/).some((name) => /^\..*\.atomic-[a-z]+$/.test(name))

const isMissing = (error: unknown) =>
  ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Nothing, if there is no such file. */
async function ifThere<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

export default defineDriver(({ base, flush = true }: AtomicDriverOptions): Driver => {
  const root = resolve(base)
  const options = { flush }

  function pathOf(key: string): string {
    const path = join(root, key.replaceAll(':', '/'))
    if (!path.startsWith(root + sep)) throw new Error(`the key ${JSON.stringify(key)} leads out of ${base}`)
    if (isOwn(relative(root, path))) {
      throw new Error(
        `the key ${JSON.stringify(key)} is the name of a temp file: take one that does not end in .atomic-…`,
      )
    }
    return path
  }

  async function getKeys(): Promise<string[]> {
    const entries = await ifThere(readdir(root, { recursive: true, withFileTypes: true }))
    return (entries ?? [])
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
      .filter((path) => !isOwn(path))
      .map((path) => path.replaceAll(sep, ':'))
  }

  const setItem = async (key: string, value: Data) => void (await atomicWrite(pathOf(key), value, options))
  const removeItem = async (key: string) => void (await ifThere(remove(pathOf(key), options)))

  return {
    name: 'atomic',
    options: { base, flush },
    async hasItem(key) {
      return (await ifThere(stat(pathOf(key))))?.isFile() ?? false
    },
    getItem: (key) => ifThere(readFile(pathOf(key), 'utf8')),
    getItemRaw: (key) => ifThere(readFile(pathOf(key))),
    async getMeta(key) {
      const found = await ifThere(stat(pathOf(key)))
      if (!found) return null
      const { atime, mtime, ctime, birthtime, size } = found
      return { atime, mtime, ctime, birthtime, size }
    },
    setItem,
    setItemRaw: setItem,
    /** All are on disk before the first one is seen, and a failure before that changes none. */
    async setItems(items) {
      // Of two for one file the last one counts.
      const data = new Map(items.map(({ key, value }) => [pathOf(key), value]))
      await atomicWriteAll(
        Array.from(data, ([path, data]) => ({ path, data })),
        options,
      )
    },
    removeItem,
    getKeys,
    /** Of a whole storage, `prefix` is not given. */
    async clear(prefix = '') {
      const keys = await getKeys()
      await Promise.all(keys.filter((key) => key.startsWith(prefix)).map(removeItem))
    },
  }
})
