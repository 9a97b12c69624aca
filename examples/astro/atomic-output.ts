// An integration of Astro: a build that is done takes the place of the one that is served, in one step.

import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CopyDirectoryOptions, copyDirectoryAtomic } from '@pipeline/atomic'

export interface AtomicOutputOptions extends Omit<CopyDirectoryOptions, 'keepPrevious'> {
  /** The folder that is served: a path from the root of the project. It is replaced with all that is in it. */
  to: string
  /** Where the build before this one is kept, by a path of the same kind. @default it is removed */
  keepPrevious?: string
}

/** What this needs of Astro's configuration. */
export interface Config {
  root: URL
  srcDir: URL
  publicDir: URL
  outDir: URL
  /** Parts of a build with a server. */
  build: { client: URL; server: URL }
}

/** What this needs of Astro's `AstroIntegration`. */
export interface Integration {
  name: string
  hooks: {
    'astro:config:done': (done: { config: Config }) => void
    'astro:build:done': (done: { dir: URL; logger: { info(message: string): void } }) => Promise<void>
  }
}

export function atomicOutput({ to, keepPrevious, ...others }: AtomicOutputOptions): Integration {
  let served = ''
  let options: CopyDirectoryOptions = others
  return {
    name: 'atomic-output',
    hooks: {
      'astro:config:done'({ config }) {
        const inRoot = (path: string) => resolve(fileURLToPath(config.root), path)
        served = inRoot(to)
        check(served, config)
        if (keepPrevious === undefined) return
        const previous = inRoot(keepPrevious)
        check(previous, config)
        options = { ...others, keepPrevious: previous }
      },
      async 'astro:build:done'({ dir, logger }) {
        // With a server in it, this is the part for browsers.
        const { durable } = await copyDirectoryAtomic(fileURLToPath(dir), served, options)
        logger.info(`${served} is this build now${durable ? '' : ', which a power cut may take back'}`)
      },
    },
  }
}

/** Ends a build before it begins if what would be replaced is no folder of its own. */
function check(folder: string, { root, srcDir, publicDir, outDir, build }: Config): void {
  const path = real(folder)
  const [sources, copied, pages] = [root, publicDir, srcDir].map((url) => real(fileURLToPath(url))) as [
    string,
    string,
    string,
  ]
  const holds = [sources, copied, pages].find((source) => isWithin(source, path))
  if (holds !== undefined) {
    throw new Error(
      `${folder} has sources in it (${holds}): the build would replace them. Name a folder of its own`,
    )
  }
  // What is in these is a part of the next build.
  for (const source of [copied, join(pages, 'pages')]) {
    if (isWithin(path, source)) {
      throw new Error(
        `${folder} is in ${source}, so the next build would have this one in it. Name a folder of its own`,
      )
    }
  }
  for (const url of [outDir, build.client, build.server]) {
    const output = real(fileURLToPath(url))
    if (isWithin(path, output) || isWithin(output, path)) {
      throw new Error(
        `${folder} and the output, ${output}, are in one another: nothing could be exchanged. Name a folder of its own`,
      )
    }
  }
  if (existsSync(join(path, '.git'))) {
    throw new Error(
      `${folder} has a .git in it, which would be removed. Name a folder of its own, or move the repository`,
    )
  }
}

const isWithin = (path: string, folder: string) =>
  `${path}${sep}`.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)

/** The path without links, also of a folder that is not there yet. */
function real(path: string): string {
  // Those of Astro end with a separator.
  const absolute = resolve(path)
  if (existsSync(absolute)) return realpathSync.native(absolute)
  return join(real(dirname(absolute)), basename(absolute))
}
