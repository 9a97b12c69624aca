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
    tools: string
  }
}

const root = resolve(import.meta.dirname, '../..')

/** Run by vitest before all specs; what it returns is run after them. */
export default function copyAddon({ provide }: TestProject) {
  const copy = mkdtempSync(join(tmpdir(), 'atomic-addon-'))
  copyPackage(root, copy)
  for (const name of ['.', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })]) {
    chmodSync(join(copy, name), 0o755)
  }
  const tools = mkdtempSync(join(tmpdir(), 'atomic-tools-'))
  chmodSync(tools, 0o755)
  provide('addon', copy)
  provide('tools', tools)
  return () => {
    for (const dir of [copy, tools]) rmSync(dir, { recursive: true })
  }
}
