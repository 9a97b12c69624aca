// `atomic update`, `read`, `recover` and `watch`: an index in the shell.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { test } from '../helpers/test'
import { atomic, program, start, until } from './support'

/** From Node.js 22 on. */
const hasRawJson = 'rawJSON' in JSON
const parse = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

test('what is nested too deeply to be printed is told in one line, and stays', async ({ dir, file }) => {
  const text = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
  writeFileSync(file, text)
  const deep = 'nested too deeply to be printed or written as JSON'
  const commands: [args: string[], why: string][] = [
    [['read', file], deep],
    [['read', file, '--json'], deep],
    [['read', file, '--get', 'a', '--raw'], deep],
    [['update', file, '--set', 'b=1'], 'The new index cannot be written as JSON'],
    [['update', file, '--eval', 'i => ({ ...i, b: 1 })', '--print', '--json'], 'cannot be written as JSON'],
  ]
  for (const [args, why] of commands) {
    const { code, stderr } = await atomic(args, { cwd: dir })
    expect([args, code, stderr]).toEqual([args, 1, expect.stringMatching(/^atomic: .+\n$/)])
    expect(stderr).toContain(why)
  }
  expect(readFileSync(file, 'utf8')).toBe(text)
})

describe('update', () => {
  test('makes the changes in their order, by keys, pointers, merge patches and functions', async ({
    dir,
    file,
  }) => {
    const args = ['--set', 'name=Ada', '--set', 'n=1', '--set', '/a.b/c~1d=[1]', '--set', '/a.b/c~1d/-="2"']
    const more = ['--merge', '{"n":null,"x":{"y":true}}', '--delete', '/a.b/c~1d/0', '--set', '__proto__=7']
    const last = ['--eval', 'async i => { i.keys = Object.keys(i).length }', '--set', 'empty=']
    // Waits for its input, and takes no lock before that.
    const merge = start(['update', file, '--merge', '-', '--backup', '2'], { cwd: dir })
    const run = await atomic(['update', file, ...args, ...more, ...last, '--print', '--json'], { cwd: dir })
    expect(run).toMatchObject({ code: 0, stderr: '' })
    const text = '{"name":"Ada","a.b":{"c/d":["2"]},"x":{"y":true},"__proto__":7,"keys":4,"empty":""}'
    expect(JSON.stringify(parse(file))).toBe(text)
    expect(JSON.stringify(JSON.parse(run.stdout).value)).toBe(text)
    merge.child.stdin!.end('{"x":5}')
    expect((await merge.ended).stdout).toMatch(/^wrote .*index\.json: \d+ B, /)
    expect([parse(file).x, parse(`${file}.backup`).x]).toEqual([5, { y: true }])
  })

  test('at once from many processes lose nothing', async ({ dir, file }) => {
    const count = ['update', file, '--eval', 'i => ({ n: (i.n ?? 0) + 1 })', '-q']
    await Promise.all(Array.from({ length: 8 }, () => atomic(count, { cwd: dir })))
    expect(parse(file)).toEqual({ n: 8 })
  })

  test('leaves the index as it was when something is wrong, and says what', async ({ dir, file }) => {
    writeFileSync(file, '{"a":[1]}')
    writeFileSync(
      join(dir, 'schema.mjs'),
      `export const Small = { '~standard': { version: 1, vendor: 'test', validate: (value) =>
        Object.keys(value).length < 2 ? { value } : { issues: [{ message: 'too many keys', path: ['b'] }] } } }`,
    )
    const cases: [string[], number, RegExp][] = [
      [['--eval', 'i => i.none.more'], 1, /--eval: the function threw TypeError/],
      [['--eval', 'i => 1'], 1, /ERR_INVALID_RETURN_VALUE/],
      [['--set', '/a/b=1'], 1, /"b" is no place in an array of 1/],
      [['--set', '/a/0/b=1'], 1, /"0" is 1, and has no keys/],
      [['--set', 'b=1', '--schema', 'schema.mjs#Small'], 1, /ERR_ATOMIC_SCHEMA/],
      [['--set', 'b=1', '--schema', './schema.mjs'], 2, /Name one of its exports: \.\/schema\.mjs#Small/],
      [['--merge', '-'], 1, /standard input is not JSON/],
    ]
    const runs = cases.map(async ([args, code, message]) => {
      const run = await atomic(['update', file, ...args], { cwd: dir })
      expect({ args, code: run.code, stdout: run.stdout }).toEqual({ args, code, stdout: '' })
      expect(run.stderr).toMatch(message)
    })
    const missing = atomic(['update', 'none.json', '--set', 'a=1', '--no-create', '--json'], { cwd: dir })
    expect(JSON.parse((await missing).stdout)).toMatchObject({ error: { code: 'ENOENT' } })
    await Promise.all(runs)
    expect(readFileSync(file, 'utf8')).toBe('{"a":[1]}')
    expect(names(dir)).toEqual(['index.json', 'schema.mjs'])
  })

  test('code of the user that never ends is ended by a signal, and the next call goes on at once', async ({
    dir,
  }) => {
    const endless = 'process.stderr.write("here"); for (;;);'
    writeFileSync(
      join(dir, 'schema.mjs'),
      `export default { '~standard': { version: 1, vendor: 'test', validate: () => { ${endless} } } }`,
    )
    const cases = [
      ['SIGINT', '--eval', `i => { ${endless} }`],
      ['SIGTERM', '--eval', `async i => { await null; ${endless} }`],
      ['SIGHUP', '--schema', 'schema.mjs', '--set', 'n=2'],
    ] as const
    const runs = cases.map(async ([signal, ...args]) => {
      const file = `${signal}.json`
      writeFileSync(join(dir, file), '{}')
      const { child, text, ended } = start(['update', file, ...args], { cwd: dir })
      await until(() => text.stderr === 'here')
      child.kill(signal)
      expect(await ended).toEqual({ code: null, signal, stdout: '', stderr: 'here' })
      await atomicIndexUpdate(join(dir, file), () => ({ n: 1 }), { timeout: 0 })
      expect(parse(join(dir, file))).toEqual({ n: 1 })
    })
    await Promise.all(runs)
    expect(names(dir)).toEqual(['SIGHUP.json', 'SIGINT.json', 'SIGTERM.json', 'schema.mjs'])
  })

  test('a signal ends the wait for a patch that does not end', async ({ dir, file }) => {
    writeFileSync(file, '{"a":1}')
    const ends = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(async (signal) => {
      const { child, ended } = start(['update', file, '--merge', '-'], { cwd: dir })
      // More than a pipe holds: when all is taken, the program is in the middle.
      await new Promise((resolve) => child.stdin!.write(`{"b":"${'x'.repeat(4 << 20)}`, resolve))
      child.kill(signal)
      expect(await ended).toEqual({ code: null, signal, stdout: '', stderr: '' })
    })
    await Promise.all(ends)
    expect(readFileSync(file, 'utf8')).toBe('{"a":1}')
    expect(names(dir)).toEqual(['index.json'])
  })

  test('a place in a list is a number as JSON Pointers have it', async ({ dir, file }) => {
    writeFileSync(file, '{"list":[1,2]}')
    const places = ['/list/length', '/list/01', '/list/-', '/list/-1', '/list/2']
    const looks = places.map((place) => atomic(['read', file, '--get', place], { cwd: dir }))
    for (const { code, stdout } of await Promise.all(looks))
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    for (const change of ['/list/01=3', '/list/length=0', '/list/length/x=1']) {
      const { code, stderr } = await atomic(['update', file, '--set', change], { cwd: dir })
      expect(code).toBe(1)
      expect(stderr).toMatch(/^atomic: --set .*: "(01|length)" is no place in an array of 2/)
    }
    await atomic(['update', file, '--delete', '/list/01', '--delete', '/list/length'], { cwd: dir })
    expect(readFileSync(file, 'utf8')).toBe('{"list":[1,2]}')
  })

  test('what has no keys is told, and may be replaced', async ({ dir, file }) => {
    const cases = [
      ['"text"', '--set', 'a=1', '--set a: the index is "text", and has no keys'],
      ['null', '--set', '/a/b=1', '--set /a/b: the index is null, and has no keys'],
      ['1.50', '--delete', 'a', '--delete a: the index is 1.5, and has no keys'],
    ] as const
    for (const [text, option, value, told] of cases) {
      writeFileSync(file, text)
      const { code, stderr } = await atomic(['update', file, option, value], { cwd: dir })
      expect({ code, stderr }).toEqual({ code: 1, stderr: `atomic: ${told}\n` })
      expect(readFileSync(file, 'utf8')).toBe(text)
    }
    await atomic(['update', file, '--merge', '{"a":1}', '--set', 'b=2'], { cwd: dir })
    expect(parse(file)).toEqual({ a: 1, b: 2 })
    const evaluated: [string, string][] = [
      ['i => 1n', '1n'],
      ['i => () => 1', '() => 1'],
      ['i => "x".repeat(1000)', `"${'x'.repeat(79)}…`],
    ]
    for (const [code, told] of evaluated) {
      const { stderr } = await atomic(['update', file, '--eval', code, '--set', 'a=1'], { cwd: dir })
      expect(stderr).toBe(`atomic: --set a: the index is ${told}, and has no keys\n`)
    }
    writeFileSync(file, JSON.stringify({ deep: 'x'.repeat(1000) }))
    const { stderr } = await atomic(['update', file, '--set', '/deep/a=1'], { cwd: dir })
    expect(stderr).toBe(`atomic: --set /deep/a: "deep" is "${'x'.repeat(79)}…, and has no keys\n`)
  })

  test('a function that runs again gets the patch of --merge as it was given', async ({ dir, file }) => {
    const push =
      'async i => { i.a.push(i.n); process.stderr.write("here"); i.n || await new Promise(r => process.stdin.once("data", r)) }'
    writeFileSync(file, '{"n":0}')
    const { child, text, ended } = start(['update', file, '--merge', '{"a":[]}', '--eval', push], {
      cwd: dir,
    })
    await until(() => text.stderr === 'here')
    // A program that does not know the lock.
    writeFileSync(file, '{"n":1}')
    child.stdin!.write('go on')
    expect(await ended).toMatchObject({ code: 0, stderr: 'herehere' })
    expect(parse(file)).toEqual({ n: 1, a: [1] })
  })
})

describe('read', () => {
  test('prints the index or a part of it, or the backup, and tells which', async ({ dir, file }) => {
    writeFileSync(file, '{"a":{"b":"x\\ny"}}')
    writeFileSync(`${file}.backup`, '{"old":1}')
    const bad = join(dir, 'broken.json')
    writeFileSync(bad, '{"a"')
    writeFileSync(`${bad}.backup`, '{"old":1}')
    const read = (...args: string[]) => atomic(['read', file, ...args], { cwd: dir })
    const readBad = (...args: string[]) => atomic(['read', bad, ...args], { cwd: dir })
    const broken = Promise.all([readBad(), readBad('--fallback'), readBad('--fallback', '--json')])
    const good = await Promise.all([
      read(),
      read('--get', '/a/b', '--raw'),
      read('--get', 'none'),
      read('--json'),
    ])
    expect(good[0].stdout).toBe('{\n  "a": {\n    "b": "x\\ny"\n  }\n}\n')
    expect(good[1].stdout).toBe('x\ny\n')
    expect(good[2]).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has no none') })
    expect(JSON.parse(good[3].stdout)).toEqual({ file, value: { a: { b: 'x\ny' } }, source: 'file' })
    const [strict, fallback, told] = await broken
    expect(strict).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('ERR_ATOMIC_CORRUPT_INDEX'),
    })
    expect(fallback).toMatchObject({ code: 0, stdout: '{\n  "old": 1\n}\n' })
    expect(fallback.stderr).toMatch(/^atomic: from the backup .*\.backup, because ERR_ATOMIC_CORRUPT_INDEX/)
    expect(JSON.parse(told.stdout)).toMatchObject({
      source: 'backup',
      corrupt: { code: 'ERR_ATOMIC_CORRUPT_INDEX' },
    })
  })

  test('takes for a missing file any JSON that a file may have, as readIndex and watchIndex do', async ({
    dir,
    file,
  }) => {
    for (const initial of ['12', 'null', '"x"', '[1]']) {
      const runs = [
        await atomic(['read', file, '--initial', initial], { cwd: dir }),
        await atomic(['watch', file, '--initial', initial, '--json', '--count', '1'], { cwd: dir }),
      ]
      expect(runs.map(({ code, stderr }) => [code, stderr])).toEqual([
        [0, ''],
        [0, ''],
      ])
      const [read, watched] = runs.map(({ stdout }) => JSON.parse(stdout))
      expect([read, watched.value]).toEqual([JSON.parse(initial), JSON.parse(initial)])
    }
    const exact = await atomic(['read', file, '--initial', '12345678901234567890', '--numbers', 'exact'], {
      cwd: dir,
    })
    expect(exact.stdout).toBe(hasRawJson ? '12345678901234567890\n' : '')
  })

  test('ends quietly when its reader goes away', async ({ dir, file }) => {
    writeFileSync(file, JSON.stringify({ long: 'x'.repeat(1 << 22) }))
    const run = '("$0" "$1" read "$2"; echo $? >&2) | head -c 1'
    const output = execFileSync('bash', ['-c', `(${run}) 2>&1`, process.execPath, program(), file], {
      cwd: dir,
    })
    expect(`${output}`).toBe('{141\n')
  })
})

test('recover puts the newest good backup back, keeps what was broken, and does nothing twice', async ({
  dir,
  file,
}) => {
  const recover = (path: string, ...args: string[]) => atomic(['recover', path, ...args], { cwd: dir })
  for (const name of [file, join(dir, 'alone.json')]) writeFileSync(name, '{"n":')
  for (const name of [`${file}.backup`, join(dir, 'good.json')]) writeFileSync(name, '{"n":1}')
  const [update, missing, alone, good, root, ...runs] = await Promise.all([
    atomic(['update', 'alone.json', '--set', 'n=1'], { cwd: dir }),
    recover('missing.json'),
    recover('alone.json'),
    recover('good.json'),
    recover('.'),
    ...[1, 2, 3].map(() => recover(file, '--json')),
  ])
  expect(alone).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /ERR_ATOMIC_CORRUPT_INDEX: .*, 'alone\.json'; no backup is good: repair it by hand, or begin anew with --initial '{}'\n$/,
    ),
  })
  expect(missing.stderr).toMatch(/ENOENT.*; no backup is good: begin anew with --initial '{}'\n$/)
  expect(update.stderr).toMatch(
    /, 'alone.json'; repair it, or have a good backup put back by: atomic recover alone.json\n$/,
  )
  expect(good.stdout).toBe('good good.json: nothing was done\n')
  expect(root.stdout).toBe('good .: no transaction was interrupted\n')
  const actions = runs.map(({ stdout }) => JSON.parse(stdout).action)
  expect(actions.sort()).toEqual(['none', 'none', 'restored'])
  expect(parse(file)).toEqual({ n: 1 })
  const setAside = names(dir).filter((name) => name.includes('.corrupt-'))
  expect(setAside.map((name) => readFileSync(join(dir, name), 'utf8'))).toEqual(['{"n":'])
})

test('watch prints each change until it is interrupted, or as often as wanted', async ({ dir, file }) => {
  writeFileSync(file, '{"a":1,"b":1}')
  const people = start(['watch', file], { cwd: dir })
  const programs = start(['watch', file, '--json', '--count', '2'], { cwd: dir })
  await until(() => people.text.stdout.includes('2 keys\n') && programs.text.stdout.includes('\n'))
  await atomic(['update', file, '--set', 'b=2', '--set', 'c=3', '--delete', 'a', '-q'], { cwd: dir })
  const lines = (await programs.ended).stdout.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line).value)).toEqual([
    { a: 1, b: 1 },
    { b: 2, c: 3 },
  ])
  await until(() => people.text.stdout.includes('+'))
  people.child.kill('SIGINT')
  const { stdout, ...end } = await people.ended
  expect(end).toEqual({ code: null, signal: 'SIGINT', stderr: '' })
  expect(stdout.replace(/\d\d:\d\d:\d\d/g, 'TIME')).toBe('TIME 2 keys\nTIME + c  ~ b  - a\n')
})
