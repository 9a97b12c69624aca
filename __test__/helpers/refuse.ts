// Processes for which the kernel refuses calls: see refuse.c.

import { execFileSync } from 'node:child_process'
import { existsSync, renameSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { beforeAll, inject } from 'vitest'

export type Refusals = Partial<
  Record<'tmpfile' | 'exchange' | 'linkat' | 'renameat2' | 'fsync' | 'flock', keyof typeof constants.errno>
>

const tool = () => join(inject('made'), 'refuse')

/** Builds the tool for this file's tests, the first time in a run that a file asks for it. */
export function buildRefuse(): void {
  beforeAll(() => {
    if (existsSync(tool())) return
    // Specs of other files may build it at the same time.
    const staged = `${tool()}.${process.pid}`
    try {
      execFileSync('cc', ['-O1', '-o', staged, join(import.meta.dirname, 'refuse.c')])
      renameSync(staged, tool())
    } catch {
      // The tests that need it are skipped then.
    }
  })
}

/** The line for `before` that starts a process with these calls refused. */
export function refusing(calls: Refusals): string {
  const list = Object.entries(calls).map(([call, code]) => `${call}=${constants.errno[code]}`)
  return `set -- '${tool()}' ${list.join(' ')} -- "$@"`
}
