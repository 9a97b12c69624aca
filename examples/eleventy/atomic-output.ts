// A plug-in of Eleventy: a build that is done takes the place of the one that is served, in one step.

import { type CopyDirectoryOptions, copyDirectoryAtomic } from '@pipeline/atomic'

export interface AtomicOutputOptions extends CopyDirectoryOptions {
  /** The folder that is served. It is replaced with all that is in it. */
  to: string
}

/** What this needs of Eleventy's configuration, and of what it tells its listeners. */
export interface EleventyConfig {
  on(event: 'eleventy.after', listener: (done: EleventyDone) => Promise<void>): unknown
}

export interface EleventyDone {
  directories: { output: string }
  runMode: 'build' | 'watch' | 'serve'
  outputMode: 'fs' | 'json' | 'ndjson'
}

export function atomicOutput(config: EleventyConfig, { to, ...options }: AtomicOutputOptions): void {
  config.on('eleventy.after', async ({ directories, runMode, outputMode }) => {
    // While somebody works on the site, nothing is published; with another output there is no folder.
    if (runMode !== 'build' || outputMode !== 'fs') return
    await copyDirectoryAtomic(directories.output, to, options)
  })
}
