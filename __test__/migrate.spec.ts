// docs/migrate.md is run: before and after, each in an empty folder, leave the same files and print the same.

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { root, runNode } from '../scripts/tools.mjs'
import { test } from './helpers/test'

const guide = readFileSync(join(root, 'docs/migrate.md'), 'utf8')
const sections = guide
  .split(/^## /m)
  .slice(1)
  .map((section): [name: string, ...snippets: string[]] => [
    section.split('\n', 1)[0] as string,
    ...Array.from(section.matchAll(/^```js\n([\s\S]*?)^```$/gm), ([, code = '']) => code),
  ])

/** What a snippet leaves, without what is meant to be different: a backup, and the final line feed. */
async function run(folder: string, code: string) {
  mkdirSync(folder)
  const file = join(folder, 'snippet.mjs')
  writeFileSync(file, code)
  const {
    code: exit,
    stdout,
    output,
  } = await runNode([file], {
    cwd: folder,
    quiet: true,
    // The presets of lowdb write nothing in tests.
    env: { NODE_ENV: undefined },
  })
  expect(exit, `${code}\n${output}`).toBe(0)
  const left = readdirSync(folder).filter((name) => name !== 'snippet.mjs')
  return [stdout, ...left.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8').trimEnd()])]
}

test('each package is there, with its code before and after, which does the same', async ({ dir }) => {
  expect(sections.map(([name]) => name)).toEqual([
    'fs.writeFile',
    'write-file-atomic',
    'atomically',
    'steno',
    'lowdb',
    'proper-lockfile',
    'conf',
  ])
  const packages = join(dir, 'node_modules')
  mkdirSync(join(packages, '@pipeline'), { recursive: true })
  symlinkSync(root, join(packages, '@pipeline/atomic'), 'junction')
  for (const [name] of sections.slice(1)) {
    symlinkSync(join(root, 'node_modules', name), join(packages, name), 'junction')
  }
  const both = sections.map(async ([name, ...snippets]) => {
    expect(snippets, name).toHaveLength(2)
    const done = snippets.map((code, at) => run(join(dir, `${name} ${at}`), code))
    const [before, after] = await Promise.all(done)
    expect(before, `${name} does nothing`).not.toEqual([''])
    expect(after, name).toEqual(before)
  })
  await Promise.all(both)
})

test('what it links to is there', () => {
  for (const [, link = ''] of guide.matchAll(/\]\((\.\.?\/[^)#]+)\)/g)) {
    expect(readdirSync(join(root, 'docs', link)), link).not.toEqual([])
  }
})
