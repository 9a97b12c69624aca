/**
 * What earlier builds left: from which bytes each source's files were made, so that those of an unchanged source
 * need not be made again, and every file that was ever begun, so that what no source stands for any more is found.
 * The cache only saves work. Without it, or with one that makes no sense, everything is built.
 */

import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { CACHE } from './addresses'

const entry = z.object({
  source: z.string(),
  /** Of the source and all that decides what is made of it. */
  fingerprint: z.string(),
  /** What was made of it: path and size. */
  files: z.record(z.string(), z.number()),
  /** A page's, for the lists; a draft and an image have none. */
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
  /** What is or may be there. A name is put here before its file is written, and goes after the file has. */
  files: z.array(z.string()),
})

export type Entry = z.infer<typeof entry>
export type Cache = z.infer<typeof schema>

/** With the last two everything is made anew. */
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
    // An update would refuse to put anything in its place.
    await rm(join(folder, CACHE))
    return { cache: empty, state: 'damaged' }
  }
}

/** Whether the files are there in the sizes they were written in: somebody may have removed one. */
export async function areThere(folder: string, files: Record<string, number>): Promise<boolean> {
  const checks = Object.entries(files).map(async ([path, bytes]) => {
    const found = await stat(join(folder, path)).catch(() => undefined)
    return found?.isFile() === true && found.size === bytes
  })
  return (await Promise.all(checks)).every(Boolean)
}
