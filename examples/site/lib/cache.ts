/**
 * The build cache. For each source it has the fingerprint from which its files were made, so that an unchanged source
 * is not rendered again; and it has the name of every file that was started, so that files without a source
 * are found and removed. If the cache is missing or damaged, everything is built.
 */

import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CACHE } from './addresses'

const entry = z.object({
  source: z.string(),
  /** A digest of the source and of everything else that its files depend on. */
  fingerprint: z.string(),
  /** The files made from it: path and size. */
  files: z.record(z.string(), z.number()),
  /** What the lists show of a page. Drafts and images have none. */
  page: z.object({ title: z.string(), description: z.string(), date: z.string() }).optional(),
})

const theme = z.object({
  fingerprint: z.string(),
  assets: z.object({ style: z.string(), script: z.string(), logo: z.string(), icon: z.string() }),
  files: z.record(z.string(), z.number()),
})

const schema = z.object({
  version: z.literal(1),
  theme: theme.optional(),
  entries: z.array(entry),
  /** Files that may exist. A name is added before its file is written, and removed after the file is. */
  files: z.array(z.string()),
})

export type Entry = z.infer<typeof entry>
export type Cache = z.infer<typeof schema>

/** If it is `missing` or `damaged`, everything is rendered. */
export type CacheState = 'read' | 'missing' | 'damaged'

export async function readCache(folder: string): Promise<{ cache: Cache; state: CacheState }> {
  const empty: Cache = { version: 1, entries: [], files: [] }
  const text = await readFile(join(folder, CACHE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return { cache: empty, state: 'missing' }
  try {
    return { cache: schema.parse(JSON.parse(text)), state: 'read' }
  } catch {
    // Removed, because an update would refuse to replace a file that is not valid JSON.
    await rm(join(folder, CACHE))
    return { cache: empty, state: 'damaged' }
  }
}

/** Whether all files exist with the sizes in which they were written: one may have been removed. */
export async function areThere(folder: string, files: Record<string, number>): Promise<boolean> {
  const checks = Object.entries(files).map(async ([path, bytes]) => {
    const found = await stat(join(folder, path)).catch(() => undefined)
    return found?.isFile() === true && found.size === bytes
  })
  return (await Promise.all(checks)).every(Boolean)
}
