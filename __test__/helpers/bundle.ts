// Scripts of the examples as programs, each made once in a run.

import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { inject } from 'vitest'
import { type BundleOptions, bundle } from '../../examples/pipeline/demo/bundle'

const root = resolve(import.meta.dirname, '../..')

const programs = new Map<string, Promise<string>>()

/** The path of the program that `script` becomes. */
export function bundled(script: string, rehearsal?: BundleOptions['rehearsal']): Promise<string> {
  const program = programs.get(script) ?? make(script, rehearsal)
  programs.set(script, program)
  return program
}

async function make(script: string, rehearsal: BundleOptions['rehearsal']): Promise<string> {
  const name = `${relative(root, script).replaceAll('/', '-')}.cjs`
  const program = join(inject('made'), name)
  if (existsSync(program)) return program
  return bundle(script, inject('made'), { addon: inject('addon'), name, rehearsal })
}
