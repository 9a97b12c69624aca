// The programs of the crash lab's crate.

import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { runCargo } from '../../scripts/tools.mjs'

/** For hooks and tests that end when cargo or the lab does, however slow the machine is. */
export const NO_TIMEOUT = 0

/**
 * Builds one, the first time in a run that a spec asks for it. Returns its path: a `cargo run` would be one more process between the
 * program and this one.
 */
export async function buildProgram(name: 'crash-lab' | 'poor-fs'): Promise<string> {
  const built = join(inject('addon'), name)
  if (!existsSync(built)) {
    // Specs of other files may ask at the same time: cargo lets one build, and each link leads to the same program.
    const link = `${built}.${process.pid}`
    symlinkSync(await build(name), link)
    renameSync(link, built)
  }
  return readlinkSync(built)
}

async function build(name: string): Promise<string> {
  let program: string | undefined
  const args = ['build', '--profile', 'lab', '-p', 'crash-lab', '--bin', name]
  const { code, output } = await runCargo([...args, '--message-format=json-render-diagnostics'], {
    quiet: true,
    onLine(line, from) {
      if (from === 'stdout' && line.startsWith('{')) program = JSON.parse(line).executable ?? program
    },
  })
  if (code !== 0 || !program) throw new Error(`${name} could not be built:\n${output}`)
  return program
}
