// Processes for which the kernel refuses calls: see refuse.c.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

export type Refusals = Partial<
  Record<'tmpfile' | 'exchange' | 'linkat' | 'renameat2' | 'fsync' | 'flock', keyof typeof constants.errno>
>

let dir: string

/** Builds the tool for this file's tests. */
export function buildRefuse(): void {
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'atomic-refuse-'))
    try {
      execFileSync('cc', ['-O1', '-o', join(dir, 'refuse'), join(import.meta.dirname, 'refuse.c')])
    } catch {
      // The tests that need it are skipped then.
    }
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
}

/** The line for `before` that starts a process with these calls refused. */
export function refusing(calls: Refusals): string {
  const list = Object.entries(calls).map(([call, code]) => `${call}=${constants.errno[code]}`)
  return `set -- '${join(dir, 'refuse')}' ${list.join(' ')} -- "$@"`
}
