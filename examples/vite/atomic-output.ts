// A plug-in of Vite that puts the new build in the place of the old one in one step: a server that serves the folder meanwhile
// answers from one build or the other, and a build that fails leaves the old one.

import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { atomicDirectory, atomicWrite, atomicWriteAll, type DirectoryOptions } from '@pipeline/atomic'
import type { Plugin, ResolvedConfig } from 'vite' with { 'resolution-mode': 'import' }

export interface AtomicOutputOptions extends Pick<DirectoryOptions, 'fallback' | 'flush' | 'mode'> {
  /** Where the build before this one is kept, below the root of the project. @default it is removed */
  keepPrevious?: string
}

/** A file in what `keepPrevious` has kept: what is not of this plug-in is not replaced. */
const MARK = '.atomic-previous'

export function atomicOutput({ keepPrevious, ...others }: AtomicOutputOptions = {}): Plugin {
  let config: ResolvedConfig
  let previous: string | undefined
  return {
    name: 'atomic-output',
    apply: 'build',
    // What others make of the bundle comes before.
    enforce: 'post',
    // Vite itself would empty the folder and write into it.
    config: () => ({ build: { write: false } }),
    configResolved(resolved) {
      check(resolved)
      config = resolved
      // As Vite takes paths, and not from where it was started.
      previous = keepPrevious === undefined ? undefined : resolve(resolved.root, keepPrevious)
      if (previous !== undefined) checkPrevious(previous, resolved)
    },
    generateBundle: {
      order: 'post',
      async handler(_, bundle) {
        const { outDir, copyPublicDir } = config.build
        const files = Object.values(bundle).map((file) => ({
          path: file.fileName,
          data: file.type === 'chunk' ? file.code : file.source,
        }))
        const output = resolve(config.root, outDir)
        const result = await atomicDirectory(
          output,
          async (folder) => {
            // Vite leaves it there when it empties the folder.
            await copyIfThere(join(output, '.git'), join(folder, '.git'))
            if (copyPublicDir && config.publicDir) await copyIfThere(config.publicDir, folder)
            // The directory is flushed as a whole.
            await atomicWriteAll(
              files.map(({ path, data }) => ({ path: join(folder, path), data })),
              { flush: false, verify: false },
            )
          },
          previous === undefined ? others : { ...others, keepPrevious: previous },
        )
        if (previous !== undefined && result.previous !== null) {
          await atomicWrite(
            join(previous, MARK),
            'The build before, which atomicOutput replaces with the next one.\n',
          )
        }
      },
    },
  }
}

/**
 * The new folder replaces the old one with all that is in it, so only what Vite itself would empty may be replaced.
 */
function check({ root, build: { outDir, emptyOutDir, lib, rollupOptions } }: ResolvedConfig): void {
  const output = resolve(root, outDir)
  if (isWithin(real(root), real(output))) {
    throw new Error(
      `build.outDir is ${output}, which has the sources in it: the build would replace them. Set it to a folder of its own, as 'dist'`,
    )
  }
  if (!(emptyOutDir ?? isWithin(output, resolve(root)))) {
    throw new Error(
      `atomicOutput replaces ${output}, and Vite would keep what is in it. Set build.emptyOutDir to true if that may be removed, or leave the plug-in out`,
    )
  }
  const formats = lib ? (lib.formats ?? ['es', 'umd']) : ['es']
  const outputs = Array.isArray(rollupOptions.output) ? rollupOptions.output : formats
  if (outputs.length > 1) {
    throw new Error(
      'atomicOutput is for one output, as several would replace each other. Give build.lib.formats, or the output of build.rollupOptions, one entry, and build once for each',
    )
  }
}

/** Ends a build before it begins if its predecessor would replace what is none. */
function checkPrevious(
  folder: string,
  { root, publicDir, build: { outDir, copyPublicDir } }: ResolvedConfig,
): void {
  const path = real(folder)
  const fail = (why: string): never => {
    throw new Error(`keepPrevious is ${folder}, which ${why}. Name a folder of its own`)
  }
  if (isWithin(real(root), path)) fail('has the project in it')
  if (publicDir && isWithin(real(publicDir), path)) fail('has the public folder in it')
  if (publicDir && copyPublicDir && isWithin(path, real(publicDir))) {
    fail(`is in ${publicDir}: the next build would have this one in it`)
  }
  const output = real(resolve(root, outDir))
  if (isWithin(path, output) || isWithin(output, path)) fail(`is in the output, ${output}, or around it`)
  if (path.split(sep).includes('.git')) fail('is in a .git')
  if (!existsSync(path)) return
  if (!statSync(path).isDirectory()) fail('is no folder, and no build before')
  const names = readdirSync(path)
  if (names.length > 0 && !names.includes(MARK)) {
    fail(`has something in it, but no ${MARK}, so it is no build before that atomicOutput has kept`)
  }
  if (names.includes('.git')) fail('has a .git in it')
}

const isWithin = (path: string, folder: string) =>
  `${path}${sep}`.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)

/** The path without links, also of what is not there yet. */
function real(path: string): string {
  const absolute = resolve(path)
  if (existsSync(absolute)) return realpathSync.native(absolute)
  const above = dirname(absolute)
  // A drive may be missing as a whole.
  return above === absolute ? absolute : join(real(above), basename(absolute))
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (existsSync(from)) await cp(from, to, { recursive: true })
}
