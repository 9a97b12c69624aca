// The programs of the crash lab's crate.

import { labPackages, runCargo } from '../../scripts/tools.mjs'

export type ProgramName = 'crash-lab' | 'poor-fs'

/** For hooks and tests that end when cargo or the lab does, however slow the machine is. */
export const NO_TIMEOUT = 0

/** Returns its path: a `cargo run` would be one more process between the program and this one. */
export async function buildProgram(name: ProgramName): Promise<string> {
  let program: string | undefined
  const args = ['build', '--profile', 'lab', ...labPackages, '--bin', name]
  const { code, output } = await runCargo([...args, '--message-format=json-render-diagnostics'], {
    quiet: true,
    onLine(line, from) {
      if (from === 'stdout' && line.startsWith('{')) program = JSON.parse(line).executable ?? program
    },
  })
  if (code !== 0 || !program) throw new Error(`${name} could not be built:\n${output}`)
  return program
}
