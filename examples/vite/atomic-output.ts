// A plug-in of Vite that puts the new build in the place of the old one in one step: a server that serves the folder meanwhile
// answers from one build or the other, and a build that fails leaves the old one.

import { cp, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { atomicDirectory, atomicWriteAll, type DirectoryOptions } from '@pipeline/atomic'
import type { Plugin, ResolvedConfig } from 'vite' with { 'resolution-mode': 'import' }

export interface AtomicOutputOptions extends Pick<DirectoryOptions, 'fallback' | 'flush' | 'mode'> {
  /** Where the build before this one is kept, below the root of the project. @default it is removed */
  keepPrevious?: string
}

export function atomicOutput({ keepPrevious, ...others }: AtomicOutputOptions = {}): Plugin {
  let config: ResolvedConfig
  return {
    name: 'atomic-output',
    apply: 'build',
    // What others make of the bundle comes before.
    enforce: 'post',
    // Vite itself would empty the folder and write into it.
    config: () => ({ build: { write: false } }),
    configResolved(resolved) {
      config = resolved
    },
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        const { outDir, copyPublicDir } = config.build
        const files = Object.values(bundle).map((file) => ({
          path: file.fileName,
          data: file.type === 'chunk' ? file.code : file.source,
        }))
        // As Vite takes paths, and not from where it was started.
        const inRoot = (path: string) => resolve(config.root, path)
        await atomicDirectory(
          inRoot(outDir),
          async (folder) => {
            if (copyPublicDir && config.publicDir && (await isThere(config.publicDir))) {
              await cp(config.publicDir, folder, { recursive: true })
            }
            // The directory is flushed as a whole.
            await atomicWriteAll(
              files.map(({ path, data }) => ({ path: join(folder, path), data })),
              { flush: false, verify: false },
            )
          },
          keepPrevious === undefined ? others : { ...others, keepPrevious: inRoot(keepPrevious) },
        )
      },
    },
  }
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
