// Scripts of the examples, each with all that it imports as one file, compiled: a process that runs it starts in a small
// part of the time.

import { existsSync, renameSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { join, relative, resolve } from 'node:path'
import { Script } from 'node:vm'
import { build } from 'esbuild'
import { inject } from 'vitest'
import { asOneFile } from '../../examples/pipeline/demo/bundle'

const root = resolve(import.meta.dirname, '../..')

const bundles = new Map<string, Promise<string>>()

/** The path of the bundle of `script`, which is made once in a run. */
export function bundled(script: string): Promise<string> {
  const bundle = bundles.get(script) ?? make(script)
  bundles.set(script, bundle)
  return bundle
}

async function make(script: string): Promise<string> {
  const bundle = join(inject('made'), `${relative(root, script).replaceAll('/', '-')}.cjs`)
  if (existsSync(bundle)) return bundle
  // Specs of other files may make it at the same time: each has parts of its own, and the rename decides.
  const parts = `${bundle}.${process.pid}`
  const { outputFiles } = await build({ ...asOneFile(script, inject('addon')), write: false })
  const source = Module.wrap(outputFiles[0]?.text ?? '')
  writeFileSync(`${parts}.source`, source)
  writeFileSync(`${parts}.code`, new Script(source, { filename: bundle }).createCachedData())
  writeFileSync(parts, loader(parts))
  renameSync(parts, bundle)
  return bundle
}

/** What node runs: the source with its code, for which V8 need not read it. */
const loader = (parts: string) => `
  const { readFileSync } = require('node:fs')
  const { Script } = require('node:vm')
  const cachedData = readFileSync(${JSON.stringify(`${parts}.code`)})
  const source = readFileSync(${JSON.stringify(`${parts}.source`)}, 'utf8')
  const script = new Script(source, { filename: __filename, cachedData })
  script.runInThisContext()(exports, require, module, __filename, __dirname)`
