// What `npm run check -- conventions` finds.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkConventions } from '../scripts/check/conventions.mjs'

function problemsOf(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-conventions-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return checkConventions(folder)
}

test.each([
  'src/js/group.rs',
  'src/js/group.js',
  'crates/engine/src/lib.rs',
  'crash-lab/src/main.rs',
  '__test__/index/index.spec.ts',
  'scripts/check.mjs',
  'packages/cloud/index.js',
  'bench/run.mts',
  'examples/site/build.ts',
  'cli/main.ts',
  'codecs/yaml.js',
  'compat/lowdb.d.ts',
])('a file of code has at most 400 lines: %s', (path) => {
  expect(problemsOf({ [path]: '// one\n'.repeat(400) })).toBe('')
  const found = problemsOf({ [path]: '// one\n'.repeat(401) })
  expect(found).toBe(`${path}: 401 lines, and a file of code has at most 400`)
})

test('what is generated, and what is no code, has as many lines as it needs', () => {
  const long = 'one\n'.repeat(401)
  expect(problemsOf({ 'index.d.ts': long, 'docs/design.md': long, 'docs/results.json': long })).toBe('')
})
