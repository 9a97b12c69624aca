// `atomic check`, `sweep`, `selftest` and `bench`: what is in a directory, and what is below it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acquireIndexLock, sweep } from '@pipeline/atomic'
import { expect } from 'vitest'
import { names } from '../helpers/files'
import { test } from '../helpers/test'
import { atomic, start, until } from './support'

const TEMP = '.page.html.abcdefABCDEF.atomic-tmp'

test('check tells what is broken, left, set aside and locked, and what to do; sweep and recover do it', async ({
  dir,
}) => {
  mkdirSync(join(dir, "it's/node_modules"), { recursive: true })
  const put = (name: string, text: string) => writeFileSync(join(dir, "it's", name), text)
  put('good.json', '{}')
  put('broken.json', '{')
  put('broken.json.backup', '{"n":1}')
  put('lost.json.backup', '[')
  put('big.json', '{"id":12345678901234567890}')
  put('events.jsonl', '{"a":1}\n{"b"')
  put('node_modules/other.json', '{')
  put('\x1b[31mred.json', '{')
  put('skipped.json', '{')
  put(TEMP, 'half')
  const lock = await acquireIndexLock(join(dir, "it's/good.json"))
  const check = (...args: string[]) =>
    atomic(['check', '.', '--exclude', 'skipped.json', ...args], { cwd: dir })
  const [people, programs] = await Promise.all([check(), check('--json')])

  expect(people).toMatchObject({ code: 1, stderr: '' })
  expect(people.stdout).toContain("-> atomic recover 'it'\\''s/broken.json' puts back")
  expect(people.stdout).toContain('\\u001b[31mred.json')
  expect(people.stdout).toMatch(/\n6 files checked: 7 problems\n$/)
  expect(people.stdout).not.toMatch(/skipped|other/)

  const { findings, problems } = JSON.parse(programs.stdout)
  const found = findings.map(({ path, kind, level, code }: Record<string, string>) =>
    [path!.slice(5), kind, level, code].filter(Boolean).join(' '),
  )
  expect(found.sort()).toEqual(
    [
      '\x1b[31mred.json index problem ERR_ATOMIC_CORRUPT_INDEX',
      '.good.json.lock lock note',
      `${TEMP} leftover problem`,
      'big.json index problem ERR_ATOMIC_LOSSY_INDEX',
      'broken.json backup note',
      'broken.json index problem ERR_ATOMIC_CORRUPT_INDEX',
      'events.jsonl lines problem',
      'lost.json missing problem ENOENT',
      'lost.json.backup backup problem ERR_ATOMIC_CORRUPT_INDEX',
    ].sort(),
  )
  expect(problems).toBe(7)
  const held = findings.find(({ kind }: Record<string, string>) => kind === 'lock')
  expect(held.message).toMatch(new RegExp(`^process ${process.pid} on `))

  const run = (...args: string[]) => atomic(['sweep', '.', '-r', ...args], { cwd: dir })
  const dry = await run('--dry-run')
  expect(dry.stdout).toMatch(/would remove {2}temp file {2}4 B .*\.atomic-tmp\n/)
  expect(names(join(dir, "it's"))).toContain(TEMP)
  const swept = JSON.parse((await run('--json')).stdout)
  expect(swept).toMatchObject({
    removed: [{ kind: 'temp', size: 4 }],
    kept: [{ kind: 'lock', reason: 'in-use' }],
  })
  expect(names(join(dir, "it's"))).not.toContain(TEMP)
  await lock.release()

  const good = join(dir, "it's/good.json")
  expect(await atomic(['check', good], { cwd: dir })).toMatchObject({
    code: 0,
    stdout: '1 file checked: no problem\n',
  })
})

test('selftest tells what the file system keeps, with a second process, and leaves nothing', async ({
  dir,
}) => {
  const [people, programs] = await Promise.all([
    atomic(['selftest', dir], { cwd: dir }),
    atomic(['selftest', dir, '--json'], { cwd: dir }),
  ])
  expect(people).toMatchObject({ code: 0, stderr: '' })
  expect(people.stdout).toMatch(/\n {2}locks between processes {2}yes /)
  expect(people.stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  const { traits } = JSON.parse(programs.stdout)
  for (const name of ['renameOver', 'locks', 'locksBetweenProcesses']) {
    expect(traits).toContainEqual({ name, value: true, means: expect.any(String) })
  }
  expect(names(dir)).toEqual([])
  expect(await atomic(['selftest', 'nowhere'], { cwd: dir })).toMatchObject({ code: 1, stdout: '' })
})

test('bench measures, and leaves nothing when it is interrupted, and what a sweep takes when it is killed', async ({
  dir,
}) => {
  const long = start(['bench', dir], { cwd: dir })
  await until(() => names(dir).length > 0)
  long.child.kill('SIGINT')
  expect(await long.ended).toEqual({ code: null, signal: 'SIGINT', stdout: '', stderr: '' })
  expect(names(dir)).toEqual([])

  const killed = start(['bench', dir], { cwd: dir })
  const folder = () => names(dir).find((name) => name.includes('bench'))
  await until(() => names(join(dir, folder() ?? '')).includes('flush'))
  expect((await sweep(dir)).kept).toMatchObject([{ reason: 'in-use' }, { reason: 'in-use' }])
  killed.child.kill('SIGKILL')
  await killed.ended
  expect((await sweep(dir)).removed.map(({ kind }) => kind).sort()).toEqual(['temp', 'tree'])

  const { stdout } = await atomic(['bench', dir, '--time', '80ms', '--json'], { cwd: dir })
  const { flush, results } = JSON.parse(stdout)
  expect(flush.count).toBeGreaterThan(0)
  expect(results.map(({ value }: { value: number }) => value > 0)).toEqual(Array(7).fill(true))
  expect(names(dir)).toEqual([])
})
