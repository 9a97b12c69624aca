// `test` with a folder of its own.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base } from 'vitest'

export interface Fixtures {
  /** An empty folder. */
  dir: string
  /** `index.json` in it, which does not exist yet. */
  file: string
  /** The lock file of that index, which exists while an update runs. */
  lock: string
}

/** Directories that their owner may not write to go as well. */
function remove(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true })
  } catch {
    execFileSync('chmod', ['-R', 'u+rwx', dir])
    rmSync(dir, { recursive: true, force: true })
  }
}

export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures this one needs.
  dir: async ({}, use) => {
    const dir = mkdtempSync(join(tmpdir(), 'atomic-test-'))
    await use(dir)
    remove(dir)
  },
  file: ({ dir }, use) => use(join(dir, 'index.json')),
  lock: ({ dir }, use) => use(join(dir, '.index.json.lock')),
})
