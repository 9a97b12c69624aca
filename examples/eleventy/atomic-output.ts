// A plug-in of Eleventy: a build that is done takes the place of the one that is served, in one step.

import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { type CopyDirectoryOptions, copyDirectoryAtomic } from '@pipeline/atomic'

export interface AtomicOutputOptions extends Omit<CopyDirectoryOptions, 'keepPrevious'> {
  /** The folder that is served. It is replaced with all that is in it. */
  to: string
  /** Where the build before this one is kept. @default it is removed */
  keepPrevious?: string
}

/** What this needs of Eleventy's configuration, and of what it tells its listeners. */
export interface EleventyConfig {
  ignores: Set<string>
  on(event: 'eleventy.before' | 'eleventy.after', listener: (build: EleventyBuild) => Promise<void>): unknown
  setEventEmitterMode(mode: 'sequential'): unknown
}

export interface EleventyBuild {
  directories: { input: string; includes: string; data: string; layouts?: string; output: string }
  runMode: 'build' | 'watch' | 'serve'
  outputMode: 'fs' | 'json' | 'ndjson'
}

export function atomicOutput(config: EleventyConfig, { to, ...options }: AtomicOutputOptions): void {
  const served = resolve(to)
  const previous = options.keepPrevious === undefined ? [] : [resolve(options.keepPrevious)]
  const replaced = [served, ...previous]
  // The pages that are served would be templates of the next build, and so would those that a killed one has left.
  for (const folder of replaced) config.ignores.add(`${patternOf(folder)}/**`)
  config.ignores.add('**/.*.atomic-*/**')
  // Else listeners of the same event run at the same time, and may still be changing what is copied.
  config.setEventEmitterMode('sequential')

  config.on('eleventy.before', async ({ directories }) => {
    const { input, includes, data, layouts = input, output } = directories
    for (const folder of replaced) check(folder, ['.', input, includes, data, layouts], output)
  })
  config.on('eleventy.after', async ({ directories, runMode, outputMode }) => {
    // While somebody works on the site, nothing is published; with another output there is no folder.
    if (runMode !== 'build' || outputMode !== 'fs' || process.argv.some(buildsNothing)) return
    await copyDirectoryAtomic(directories.output, served, options)
  })
}

/** No listener is told of these. */
const buildsNothing = (argument: string) => argument === '--dryrun' || argument === '--ignore-initial'

/** Ends a build before it begins if what would be replaced is no folder of its own. */
function check(folder: string, sources: string[], output: string): void {
  const path = real(folder)
  const source = sources.find((source) => isWithin(real(source), path))
  if (source !== undefined) {
    throw new Error(
      `${folder} has sources in it (${source}): the build would replace them. Name a folder of its own`,
    )
  }
  if (isWithin(path, real(output)) || isWithin(real(output), path)) {
    throw new Error(
      `${folder} and the output, ${output}, are in one another: nothing could be exchanged. Name a folder of its own`,
    )
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
  const absolute = resolve(path)
  if (existsSync(absolute)) return realpathSync.native(absolute)
  return join(real(dirname(absolute)), basename(absolute))
}

/** As a pattern from the working directory, as Eleventy takes it. It has no way to escape characters. */
const patternOf = (path: string) =>
  relative('.', path)
    .replaceAll(sep, '/')
    .replaceAll(/[()[\]{}!*?@+|]/g, '?')
