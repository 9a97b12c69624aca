// Scripts of the examples, each with all that it imports as one file: a process that runs it starts in a quarter of the
// time.

import { existsSync, readFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { inject } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const { resolve: locate } = createRequire(import.meta.url)

/** Binaries stay where they are, and a file's own folder is that of its source. */
const inPlace: Plugin = {
  name: 'in place',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^@pipeline\/atomic$/ }, () => ({ path: inject('addon'), external: true }))
    onResolve({ filter: /^(?:@napi-rs\/image|esbuild)$/ }, ({ path }) => ({
      path: locate(path),
      external: true,
    }))
    // Its ES modules read files beside them.
    onResolve({ filter: /^svgo$/ }, () => ({ path: locate('svgo') }))
    onLoad({ filter: /\/examples\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('__dirname', JSON.stringify(dirname(path))),
      loader: 'ts',
    }))
  },
}

const bundles = new Map<string, Promise<string>>()

/** The path of the bundle of `script`, which is made once in a run. */
export function bundled(script: string): Promise<string> {
  const bundle = bundles.get(script) ?? make(script)
  bundles.set(script, bundle)
  return bundle
}

async function make(script: string): Promise<string> {
  const bundle = join(inject('addon'), `${relative(root, script).replaceAll('/', '-')}.cjs`)
  if (existsSync(bundle)) return bundle
  const staged = `${bundle}.${process.pid}`
  await build({
    entryPoints: [script],
    outfile: staged,
    bundle: true,
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
    plugins: [inPlace],
  })
  // By rename: specs of other files may make it at the same time.
  renameSync(staged, bundle)
  return bundle
}
