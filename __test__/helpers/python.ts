// Python, for what Node has no function for.

import { execFileSync } from 'node:child_process'
import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'

/** The program itself, found once in a run: `python3` may be a script of a version manager, which starts twenty others each time. */
export function interpreter(): string {
  const found = join(inject('made'), 'python')
  if (!existsSync(found)) {
    const path =
      execFileSync('python3', ['-c', 'import sys; print(sys.executable)']).toString().trim() || 'python3'
    // Specs of other files may look for it at the same time.
    const link = `${found}.${process.pid}`
    symlinkSync(path, link)
    renameSync(link, found)
  }
  return readlinkSync(found)
}

/** Arguments that come before a program's: its own modules are enough, and looking for others takes most of its start. */
export const ALONE = ['-S']
