/**
 * A program of an example with all that it imports as one file, compiled: it is started dozens of times, each in a small part of the
 * time that tsx takes.
 */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import Module from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, parse } from 'node:path'
import { promisify } from 'node:util'
import { Script } from 'node:vm'
import { atomicWrite } from '@pipeline/atomic'
import { build, type Plugin } from 'esbuild'

/** Binaries stay where they are, and a file's own folder is that of its source. */
function inPlace(addon: string): Plugin {
  return {
    name: 'in place',
    setup({ onLoad, onResolve }) {
      onResolve({ filter: /^@pipeline\/atomic$/ }, () => ({ path: addon, external: true }))
      onResolve({ filter: /^(?:@napi-rs\/image|esbuild)$/ }, ({ path }) => ({
        path: require.resolve(path),
        external: true,
      }))
      onLoad({ filter: /[\\/]examples[\\/].*\.ts$/ }, async ({ path }) => ({
        // A function, as `$` in a string would be a pattern.
        contents: (await readFile(path, 'utf8')).replaceAll('__dirname', () => JSON.stringify(dirname(path))),
        loader: 'ts',
      }))
    },
  }
}

export interface BundleOptions {
  /** Where the package is. */
  addon?: string
  /** The file name of the program. */
  name?: string
  /** Arguments of a typical run that puts what it makes into `scratch`: what V8 compiles for it comes with the program. */
  rehearsal?: ((scratch: string) => string[]) | undefined
}

/** Puts the program that `script` becomes into `folder`, with parts beside it. Returns its path. */
export async function bundle(
  script: string,
  folder: string,
  {
    addon = require.resolve('@pipeline/atomic'),
    name = `${parse(script).name}.cjs`,
    rehearsal,
  }: BundleOptions = {},
): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [script],
    bundle: true,
    platform: 'node',
    target: 'node20',
    // What is imported late is in the file, too; and a compiled script cannot import.
    supported: { 'dynamic-import': false },
    logLevel: 'error',
    plugins: [inPlace(addon)],
    write: false,
  })
  const program = join(folder, name)
  // Another process may make the same: each has parts of its own, and the last program stays.
  const parts = `${program}.${process.pid}`
  const source = Module.wrap(outputFiles[0]?.text ?? '')
  const put = (path: string, data: string | Buffer) => atomicWrite(path, data, { flush: false })
  await put(`${parts}.source`, source)
  await put(`${parts}.code`, new Script(source, { filename: program }).createCachedData())
  if (rehearsal) await rehearse(parts, addon, rehearsal)
  await put(program, loader(parts))
  return program
}

/** Runs a program, and keeps all that V8 has compiled for it: before, it is only what every run begins with. */
async function rehearse(
  parts: string,
  addon: string,
  rehearsal: (scratch: string) => string[],
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'rehearsal-'))
  try {
    const recorder = join(scratch, 'recorder.cjs')
    const code = JSON.stringify(`${parts}.code`)
    await atomicWrite(
      recorder,
      `${loader(parts)}
      const { atomicWriteSync } = require(${JSON.stringify(addon)})
      process.once('exit', () => atomicWriteSync(${code}, script.createCachedData(), { flush: false }))`,
    )
    await promisify(execFile)(process.execPath, [recorder, ...rehearsal(scratch)])
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** What node runs: the source with its code, for which V8 need not read it. */
const loader = (parts: string) => `
  const { readFileSync } = require('node:fs')
  const { Script } = require('node:vm')
  const cachedData = readFileSync(${JSON.stringify(`${parts}.code`)})
  const source = readFileSync(${JSON.stringify(`${parts}.source`)}, 'utf8')
  const script = new Script(source, { filename: __filename, cachedData })
  script.runInThisContext()(exports, require, module, __filename, __dirname)`
