// `atomic check`, `sweep`, `selftest` and `bench`: what is in a directory, and what is below it.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acquireIndexLock, sweep } from '@pipeline/atomic'
import { expect, inject } from 'vitest'
import { names } from '../helpers/files'
import { test } from '../helpers/test'
import { atomic, program, start, until } from './support'

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
  // Names that a shell would take for something else, and, where there can be one, a name that it could not be told.
  const strange = [join(dir, '-x.json'), join(dir, "it's", "a\nb'c\\d.json")]
  for (const path of strange) {
    writeFileSync(path, '{')
    writeFileSync(`${path}.backup`, '{"n":1}')
  }
  const unnameable = process.platform === 'linux'
  if (unnameable) {
    writeFileSync(
      Buffer.concat([Buffer.from(`${dir}/it's/`), Buffer.from([0xff]), Buffer.from('.json')]),
      '{}',
    )
  }
  const lock = await acquireIndexLock(join(dir, "it's/good.json"))
  const check = (...args: string[]) =>
    atomic(['check', '.', '--exclude', 'skipped.json', ...args], { cwd: dir })
  const run = (...args: string[]) => atomic(['sweep', '.', '-r', ...args], { cwd: dir })
  const [people, programs, dry] = await Promise.all([check(), check('--json'), run('--dry-run')])

  expect(people).toMatchObject({ code: 1, stderr: '' })
  expect(people.stdout).toContain(
    "-> put broken.json.backup back:\n        atomic recover 'it'\\''s/broken.json'\n",
  )
  expect(people.stdout).toContain('\\u001b[31mred.json')
  expect(people.stdout).toMatch(/\n8 files checked: \d+ problems\n$/)
  expect(people.stdout).not.toMatch(/skipped|other|recoverIndex/)

  const { findings, problems } = JSON.parse(programs.stdout)
  const found = findings.map(({ path, kind, level, code }: Record<string, string>) =>
    [path!.replace(/^it's./, ''), kind, level, code].filter(Boolean).join(' '),
  )
  expect(found.sort()).toEqual(
    [
      '\x1b[31mred.json index problem ERR_ATOMIC_CORRUPT_INDEX',
      '-x.json backup note',
      '-x.json index problem ERR_ATOMIC_CORRUPT_INDEX',
      "a\nb'c\\d.json backup note",
      "a\nb'c\\d.json index problem ERR_ATOMIC_CORRUPT_INDEX",
      ...(unnameable ? ['\ufffd.json unreadable problem'] : []),
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
  expect(problems).toBe(unnameable ? 10 : 9)
  const held = findings.find(({ kind }: Record<string, string>) => kind === 'lock')
  expect(held.message).toMatch(new RegExp(`^locked: process ${process.pid} on `))
  const lossy = findings.find(({ code }: Record<string, string>) => code === 'ERR_ATOMIC_LOSSY_INDEX')
  expect(/needs Node.js 22/.test(lossy.advice)).toBe(!('rawJSON' in JSON))

  expect(dry).toMatchObject({ code: 0, stderr: '' })
  expect(dry.stdout).toMatch(
    /^would remove {2}temp file {2}4 B .* old {2}it's.*\.atomic-tmp\nkept .*lock\n {7}process /,
  )
  expect(names(join(dir, "it's"))).toContain(TEMP)
  const swept = JSON.parse((await run('--json')).stdout)
  expect(swept).toMatchObject({
    removed: [{ kind: 'temp', size: 4 }],
    kept: [{ kind: 'lock', reason: 'in-use' }],
  })
  expect(names(join(dir, "it's"))).not.toContain(TEMP)
  await lock.release()

  const good = atomic(['check', join(dir, "it's/good.json")], { cwd: dir })
  const commands = findings.filter(
    ({ path, command }: Record<string, string>) => strange.includes(join(dir, path!)) && command,
  )
  const script = commands.map(({ command }: Record<string, string>) => `${command} -q &`)
  execFileSync(
    'bash',
    ['-c', [`atomic() { '${process.execPath}' '${program()}' "$@"; }`, ...script, 'wait'].join('\n')],
    {
      cwd: dir,
    },
  )
  expect(strange.map((path) => readFileSync(path, 'utf8'))).toEqual(['{"n":1}', '{"n":1}'])

  expect(await good).toMatchObject({
    code: 0,
    stdout: '1 file checked: no problem\n',
  })
})

test('check finds nothing wrong where a program has made a transaction and has ended', async ({ dir }) => {
  const script = `require(${JSON.stringify(inject('addon'))}).atomicTransaction('.', [
    { write: 'a.json', data: '{}' },
    { write: 'b.json', data: '{}' },
  ])`
  execFileSync(process.execPath, ['-e', script], { cwd: dir })
  expect(names(join(dir, '.atomic')).some((name) => name.endsWith('.live'))).toBe(true)
  const run = await atomic(['check', '.'], { cwd: dir })
  expect(run).toMatchObject({ code: 0, stdout: '2 files checked: no problem\n' })
})

test('selftest tells what the file system keeps, with a second process, and leaves nothing', async ({
  dir,
}) => {
  const [none, people, programs] = await Promise.all([
    atomic(['selftest', 'nowhere'], { cwd: dir }),
    atomic(['selftest', dir], { cwd: dir }),
    atomic(['selftest', dir, '--json'], { cwd: dir }),
  ])
  expect(people).toMatchObject({ code: 0, stderr: '' })
  expect(people.stdout).toMatch(/\n {2}locks between processes {2}yes /)
  // But for the path, which is as long as it is.
  const lines = people.stdout.split('\n').filter((line) => !line.includes(dir))
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  const { traits } = JSON.parse(programs.stdout)
  for (const name of ['renameOver', 'locks', 'locksBetweenProcesses']) {
    expect(traits).toContainEqual({ name, value: true, means: expect.any(String) })
  }
  expect(names(dir)).toEqual([])
  expect(none).toMatchObject({ code: 1, stdout: '' })
})

test('bench measures, and leaves nothing when it is interrupted, and what a sweep takes when it is killed', async ({
  dir,
}) => {
  const folder = (name: string) => {
    mkdirSync(join(dir, name))
    return join(dir, name)
  }
  const measured = folder('measured')
  const none = atomic(['bench', 'nowhere'], { cwd: dir })
  const short = atomic(['bench', measured, '--time', '80ms', '--json'], { cwd: dir })

  const interrupted = folder('interrupted')
  const long = start(['bench', interrupted], { cwd: dir })
  const killed = folder('killed')
  const longest = start(['bench', killed], { cwd: dir })
  await until(() => names(interrupted).length > 0)
  long.child.kill('SIGINT')
  const scratch = () => names(killed).find((name) => name.includes('bench')) ?? ''
  await until(() => names(join(killed, scratch())).includes('flush'))
  expect((await sweep(killed)).kept).toMatchObject([{ reason: 'in-use' }, { reason: 'in-use' }])
  longest.child.kill('SIGKILL')
  await longest.ended
  expect((await sweep(killed)).removed.map(({ kind }) => kind).sort()).toEqual(['temp', 'tree'])
  expect(await long.ended).toEqual({ code: null, signal: 'SIGINT', stdout: '', stderr: '' })
  expect(names(interrupted)).toEqual([])

  expect(await none).toMatchObject({ code: 1, stderr: expect.stringMatching(/ENOENT: .*'nowhere'\n$/) })
  const { flush, results } = JSON.parse((await short).stdout)
  expect(flush.count).toBeGreaterThan(0)
  expect(results.map(({ value }: { value: number }) => value > 0)).toEqual(Array(7).fill(true))
  expect(names(measured)).toEqual([])
})
