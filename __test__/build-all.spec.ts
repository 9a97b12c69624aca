// `npm run build:all` notes of which commit a binary was made, so that docs/platforms.md tells it.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, vi } from 'vitest'
import { commitOf, drawBuilt } from '../scripts/build-all.mjs'
import { test } from './helpers/test'

const hasGit = spawnSync('git', ['--version']).status === 0

test.skipIf(!hasGit)('a commit is told, with whether files differ from it (git)', ({ dir }) => {
  // In a hook of git's they name the clone that it is for.
  for (const name of Object.keys(process.env)) if (name.startsWith('GIT_')) vi.stubEnv(name, undefined)
  // The folder for temporary files may be in a clone.
  vi.stubEnv('GIT_CEILING_DIRECTORIES', dirname(dir))
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(commitOf(dir)).toBeUndefined()
  const git = (...args: string[]) => {
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']
    const { status, stdout, stderr } = spawnSync('git', [...identity, ...args], {
      cwd: dir,
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    return stdout.trim()
  }
  git('init')
  expect(commitOf(dir)).toBeUndefined()
  writeFileSync(join(dir, 'a'), '1')
  git('add', 'a')
  git('commit', '-m', 'first')
  const commit = git('rev-parse', 'HEAD').slice(0, 10)
  expect(commitOf(dir)).toBe(commit)
  writeFileSync(join(dir, 'a'), '2')
  expect(commitOf(dir)).toBe(`${commit} and changes`)
})

test('the table tells of which commit its binaries are made, and which are of another one', () => {
  const built = (target: string, commit?: string, done: 'linked' | 'skipped' = 'linked') => ({
    ...{ target, done },
    ...(commit && { commit }),
  })
  const after = (...all: ReturnType<typeof built>[]) =>
    drawBuilt(all)
      .split('\n')
      .slice(2 + all.length)
  expect(after(built('a'), built('b'))).toEqual([])
  expect(after(built('a', 'one'), built('b', 'one'), built('c', 'two', 'skipped'))).toEqual([
    '',
    'Made of one.',
  ])
  expect(after(built('a', 'one'), built('b', 'two and changes'), built('c', 'one'), built('d'))).toEqual([
    '',
    'Made of several commits:',
    '',
    '- one: `a`, `c`',
    '- two and changes: `b`',
    '- not noted: `d`',
  ])
})
