/**
 * Builds the whole site beside the one that is served and swaps the two, so that all pages are from one build. Nobody
 * reads the new site before the swap, so its files are written with plain `node:fs`; `atomicDirectory` flushes them.
 */

import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { CACHE, FRONT_PAGE } from './addresses'
import { type BuildOptions, type BuildResult, buildSite } from './build'
import { SiteError } from './errors'
import { carryOver } from './foreign'
import { plainOutput } from './plain-output'
import { GENERATOR } from './templates'

export interface AtomicBuildOptions extends Omit<BuildOptions, 'output' | 'full' | 'stamp'> {
  flush?: boolean
  /** Keep the old site as `OUT.previous`. */
  keepPrevious?: boolean
}

export interface AtomicBuildResult extends BuildResult {
  /** The path of the old site, if it was kept. */
  previous?: string
  /** Why the old site could not be removed. */
  leftover?: string
}

/**
 * Files in `out` that this generator has not made are in the new site too.
 *
 * @throws SiteError if `out` holds no site, or if foreign files cannot be told from outdated ones.
 */
export async function buildAtomically(options: AtomicBuildOptions): Promise<AtomicBuildResult> {
  const { flush, keepPrevious = false, signal } = options
  const out = resolve(options.out)
  await refuseOthers(out)
  const ignore = [...(options.ignore ?? []), out]
  const { value, previous, leftover } = await atomicDirectory(
    out,
    async (staging) => {
      const output = plainOutput(staging, { signal })
      const result = await buildSite({ ...options, out: staging, ignore, output, stamp: true })
      await carryOver(out, staging)
      return result
    },
    { flush, keepPrevious, signal },
  )
  return {
    ...value,
    ...(keepPrevious && previous !== null && { previous }),
    ...(leftover && { leftover: leftover.message }),
  }
}

/** The swap removes everything in `out`, so a wrong path must not delete other files. */
async function refuseOthers(out: string): Promise<void> {
  const names = await readdir(out).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (names.length === 0 || names.includes(CACHE)) return
  const front = await readFile(join(out, FRONT_PAGE), 'utf8').catch(() => '')
  if (front.includes(`content="${GENERATOR}"`)) return
  throw new SiteError(
    `${out} is not empty and holds no site of this generator; --atomic would replace all of it. Use another folder`,
  )
}
