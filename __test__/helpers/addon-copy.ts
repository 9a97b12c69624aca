// A copy of the package that every user may read: some specs start processes of another user, and a clone may lie in
// a private folder. All processes that a spec starts load the copy, so that it is used in every run.

import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { copyPackage } from './package-copy.mjs'

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of the copy, for `require`. */
    addon: string
    /** A folder for what several specs need and one of them makes. */
    made: string
  }
}

const root = resolve(import.meta.dirname, '../..')

/** Makes that folder; what it returns removes it. */
export function makeMade(provide: TestProject['provide']) {
  const made = mkdtempSync(join(tmpdir(), 'atomic-made-'))
  chmodSync(made, 0o755)
  provide('made', made)
  return () => rmSync(made, { recursive: true })
}

/** Run by vitest before all specs; what it returns is run after them. */
export default function copyAddon({ provide }: TestProject) {
  const copy = mkdtempSync(join(tmpdir(), 'atomic-addon-'))
  copyPackage(root, copy)
  for (const name of ['.', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })]) {
    chmodSync(join(copy, name), 0o755)
  }
  provide('addon', copy)
  const removeMade = makeMade(provide)
  return () => {
    rmSync(copy, { recursive: true })
    removeMade()
  }
}
