// An integration of Astro: a build that is done takes the place of the one that is served, in one step.

import { fileURLToPath } from 'node:url'
import { type CopyDirectoryOptions, copyDirectoryAtomic } from '@pipeline/atomic'

export interface AtomicOutputOptions extends CopyDirectoryOptions {
  /** The folder that is served: a path from the root of the project. It is replaced with all that is in it. */
  to: string
}

/** What this needs of Astro's `AstroIntegration`. */
export interface Integration {
  name: string
  hooks: {
    'astro:config:done': (done: { config: { root: URL } }) => void
    'astro:build:done': (done: { dir: URL; logger: { info(message: string): void } }) => Promise<void>
  }
}

export function atomicOutput({ to, ...options }: AtomicOutputOptions): Integration {
  let served = ''
  return {
    name: 'atomic-output',
    hooks: {
      'astro:config:done'({ config }) {
        served = fileURLToPath(new URL(to, config.root))
      },
      async 'astro:build:done'({ dir, logger }) {
        // With a server in it, this is the part for browsers.
        const { durable } = await copyDirectoryAtomic(fileURLToPath(dir), served, options)
        logger.info(`${served} is this build now${durable ? '' : ', which a power cut may take back'}`)
      },
    },
  }
}
