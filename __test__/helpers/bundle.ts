// Scripts of the examples, each with all that it imports as one file, compiled: a process that runs it starts in a small
// part of the time.

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Script } from 'node:vm'
import { withIndexLock } from '@pipeline/atomic'
import { build } from 'esbuild'
import { inject } from 'vitest'
import { asOneFile } from '../../examples/pipeline/demo/bundle'
import { HANG_MS } from './hang'

const root = resolve(import.meta.dirname, '../..')

/** The words of a command line that the script is to run in `folder`, which is empty but for what this puts there. */
export type Exercise = (folder: string) => string[]

const bundles = new Map<string, Promise<string>>()

/**
 * The path of the bundle of `script`, which is made once in a run. With an exercise it has the code of all functions that are
 * called in that, else of those that V8 compiles when it reads the script. The first caller's exercise counts.
 */
export function bundled(script: string, exercise?: Exercise): Promise<string> {
  const known = bundles.get(script)
  if (known) return known
  const bundle = madeOnce(script, exercise)
  bundles.set(script, bundle)
  // What has failed for one test is tried anew for the next.
  bundle.catch(() => bundles.delete(script))
  return bundle
}

/** Specs of other files may ask at the same time: one of them makes it, and the others wait. */
async function madeOnce(script: string, exercise?: Exercise): Promise<string> {
  const bundle = join(inject('made'), `${relative(root, script).replaceAll('/', '-')}.cjs`)
  const isMade = () => existsSync(bundle)
  const lock = { timeout: HANG_MS }
  if (!isMade())
    await withIndexLock(bundle, () => (isMade() ? undefined : make(script, bundle, exercise)), lock)
  return bundle
}

async function make(script: string, bundle: string, exercise?: Exercise): Promise<void> {
  const { outputFiles } = await build({
    ...asOneFile(script, inject('addon')),
    // A third of it is space and comments, some of them in letters for which V8 would keep all of it in two bytes each.
    minifyWhitespace: true,
    legalComments: 'none',
    write: false,
  })
  const source = Module.wrap(outputFiles[0]?.text ?? '')
  writeFileSync(`${bundle}.source`, source)
  if (exercise) await compileIn(exercise, bundle)
  else writeFileSync(`${bundle}.code`, new Script(source, { filename: bundle }).createCachedData())
  writeFileSync(`${bundle}.part`, loader(bundle, `readFileSync(${JSON.stringify(`${bundle}.code`)})`))
  renameSync(`${bundle}.part`, bundle)
}

/** Runs the exercise, and keeps the code when it ends. */
async function compileIn(exercise: Exercise, bundle: string): Promise<void> {
  const folder = mkdtempSync(`${bundle}.exercise-`)
  const first = `${bundle}.first.cjs`
  const keep = `require('node:fs').writeFileSync(${JSON.stringify(`${bundle}.code`)}, script.createCachedData())`
  writeFileSync(first, loader(bundle, 'undefined', `process.on('exit', () => ${keep})`))
  try {
    await promisify(execFile)(process.execPath, [first, ...exercise(folder)], {
      cwd: folder,
      timeout: HANG_MS,
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What node runs: the source with its code, for which V8 need not read it. */
const loader = (bundle: string, code: string, more = '') => `
  const { readFileSync } = require('node:fs')
  const { Script } = require('node:vm')
  const cachedData = ${code}
  const source = readFileSync(${JSON.stringify(`${bundle}.source`)}, 'utf8')
  const script = new Script(source, { filename: ${JSON.stringify(bundle)}, cachedData })
  ${more}
  script.runInThisContext()(exports, require, module, __filename, __dirname)`
