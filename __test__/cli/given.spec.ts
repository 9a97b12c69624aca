// What is given to `atomic` counts as it is: its numbers are not changed without a word, and what is missing, or never comes, is told.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { test } from '../helpers/test'
import { atomic, program } from './support'

const BIG = '12345678901234567890'
const given: string[][] = [
  ['update', 'a.json', '--set', `n=${BIG}`],
  ['update', 'a.json', '--set', 'n=1e400'],
  ['update', 'a.json', '--set', `n={"deep":["\\"1", -${BIG}]}`],
  ['update', 'a.json', '--merge', `{"n":${BIG}}`],
  ['update', 'a.json', '--merge', '-'],
  ['update', 'a.json', '--set', 'x=1', '--initial', `{"n":${BIG}}`],
  ['recover', 'a.json', '--initial', `{"n":${BIG}}`],
  ['read', 'a.json', '--initial', BIG],
  ['watch', 'a.json', '--initial', `[${BIG}]`],
]

describe('numbers that are given', () => {
  test('are refused if JavaScript would change them, and nothing is done', async ({ dir }) => {
    const runs = given.map(async (args) => {
      const { code, stdout, stderr } = await atomic(args, { cwd: dir, input: `{"n":${BIG}}` })
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
      expect(stderr).toMatch(
        /^atomic: --(set n|merge|merge -|initial): JavaScript would change the number [-\de]+\. /,
      )
    })
    await Promise.all(runs)
    expect(names(dir)).toEqual([])
  })

  test('are changed where that is accepted, and are what they are else', async ({ dir }) => {
    const file = join(dir, 'a.json')
    const set = (value: string, ...more: string[]) =>
      atomic(['update', file, '--set', `n=${value}`, '--space', '0', ...more], { cwd: dir })
    expect((await set(BIG, '--numbers', 'lossy')).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toContain('12345678901234567000')
    const plain = [
      '1',
      '-0',
      '1.0',
      '1e21',
      '100000000000000000000',
      '9007199254740992',
      '0.1000000000000000055',
      `"${BIG}"`,
    ]
    for (const value of plain) {
      expect(await set(value)).toMatchObject({ code: 0, stderr: '' })
      expect(readFileSync(file, 'utf8')).toBe(JSON.stringify({ n: JSON.parse(value) }))
    }
  })

  test('are told how to be kept as strings, so that it works in a shell', async ({ dir }) => {
    const set = async (key: string, value: string) =>
      (await atomic(['update', 'a.json', '--set', `${key}=${value}`], { cwd: dir })).stderr
    const [plain, named, nested] = await Promise.all([
      set('id', BIG),
      set("/it's", BIG),
      set('id', `{"n":${BIG}}`),
    ])
    expect(plain).toContain(` To keep it as a string: --set 'id="${BIG}"'. Or choose with --numbers: `)
    expect(named).toContain(` To keep it as a string: --set '/it'\\''s="${BIG}"'. Or `)
    expect(nested).toContain(' Put it into double quotes, and all of the JSON into single ones, to keep it ')
  })

  test('are looked for in texts of any size', async ({ dir }) => {
    const merge = async (file: string, input: string, expected: number) => {
      const { code, stderr } = await atomic(['update', file, '--merge', '-'], { cwd: dir, input })
      expect({ file, code, stderr: stderr.slice(0, 100) }).toMatchObject({ file, code: expected })
      return stderr
    }
    // Longer than what a regular expression has a stack for, and so many digits that their square is hours.
    const long = JSON.stringify({ text: 'x'.repeat(16 << 20), marks: '"\\'.repeat(4 << 20) })
    const [, refused] = await Promise.all([
      merge('long.json', long, 0),
      merge('refused.json', `${long.slice(0, -1)},"n":${BIG}}`, 2),
      merge('zeros.json', `{"n":1.${'0'.repeat(2_000_000)}1}`, 0),
    ])
    expect(refused).toContain(`--merge -: JavaScript would change the number ${BIG}. `)
    expect(readFileSync(join(dir, 'long.json')).length).toBeGreaterThan(long.length)
    expect(names(dir)).toEqual(['long.json', 'zeros.json'])
  })

  test('keep their digits with exact', ({ dir }) => {
    const file = join(dir, 'a.json')
    writeFileSync(file, '{"old":98765432109876543210}')
    // Node.js 22 has it without the flag.
    const flags = 'rawJSON' in JSON ? [] : ['--harmony-json-parse-with-source']
    const update = (...changes: string[]) => {
      const args = [...flags, program(), 'update', file, '--numbers', 'exact', ...changes]
      return spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8' })
    }
    const changes = [
      '--set',
      `/a/b=[${BIG},0.1000000000000000055]`,
      '--merge',
      `{"m":${BIG}}`,
      '--set',
      'old=1',
    ]
    expect(update(...changes)).toMatchObject({ status: 0, stderr: '' })
    expect(readFileSync(file, 'utf8')).toBe(`{"old":1,"a":{"b":[${BIG},0.1000000000000000055]},"m":${BIG}}`)
    expect(update('--set', '/m/x=1')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('has no keys'),
    })
  })
})

describe('a promise that never settles', () => {
  test('of --eval is a failure that leaves the index alone, and no lock', async ({ dir }) => {
    writeFileSync(join(dir, 'a.json'), '{}')
    const args = ['update', 'a.json', '--eval', 'i => new Promise(() => {})', '--json']
    const { code, stdout, stderr } = await atomic(args, { cwd: dir })
    const message = 'A promise of --eval never settles: the command was given up'
    expect({ code, stderr }).toEqual({ code: 1, stderr: `atomic: ${message}\n` })
    expect(JSON.parse(stdout)).toEqual({ error: { code: null, message } })
    expect(readFileSync(join(dir, 'a.json'), 'utf8')).toBe('{}')
    expect(names(dir)).toEqual(['a.json'])
  })

  test('of a schema, or of its module, is one as well, and --eval is not blamed for it', async ({ dir }) => {
    for (const name of ['a.json', 'b.json']) writeFileSync(join(dir, name), '{}')
    writeFileSync(join(dir, 'module.mjs'), 'await new Promise(() => {})')
    writeFileSync(
      join(dir, 'schema.mjs'),
      "export default { '~standard': { version: 1, vendor: 'test', validate: () => new Promise(() => {}) } }",
    )
    const runs = [
      ['update', 'a.json', '--set', 'n=1', '--schema', 'schema.mjs'],
      ['update', 'a.json', '--set', 'n=1', '--schema', 'module.mjs'],
      ['read', 'a.json', '--schema', 'schema.mjs'],
      ['check', 'a.json', '--schema', 'schema.mjs'],
      ['recover', 'b.json', '--schema', 'schema.mjs'],
      ['watch', 'a.json', '--schema', 'module.mjs'],
    ].map(async (args) => {
      const stderr = 'atomic: A promise of --schema never settles: the command was given up\n'
      expect({ args, ...(await atomic(args, { cwd: dir })) }).toMatchObject({
        args,
        code: 1,
        stdout: '',
        stderr,
      })
    })
    await Promise.all(runs)
    expect(readFileSync(join(dir, 'a.json'), 'utf8')).toBe('{}')
    expect(names(dir)).toEqual(['a.json', 'b.json', 'module.mjs', 'schema.mjs'])
  })
})

test('a directory is missing only where it is', async ({ dir }) => {
  const hint = 'missing directories are made with --parents'
  const [there, missing] = await Promise.all([
    atomic(['write', ''], { cwd: dir }),
    atomic(['write', 'none/a'], { cwd: dir }),
  ])
  expect(there).toMatchObject({ code: 1, stderr: expect.not.stringContaining(hint) })
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining(hint) })
  const checked = await atomic(['check', 'none'], { cwd: dir })
  expect(checked).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('look at the name, or begin anew'),
  })
})

describe('bytes that are no text', () => {
  const text = (bytes: string) => Buffer.from(bytes, 'latin1')

  test('are refused in a patch, and are not replaced', async ({ dir }) => {
    writeFileSync(join(dir, 'a.json'), '{"a":1}')
    const merge = (input: Buffer) => atomic(['update', 'a.json', '--merge', '-'], { cwd: dir, input })
    const { code, stderr } = await merge(text('{"name":"caf\xe9"}'))
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'atomic: --merge -: standard input is not UTF-8\n' })
    expect(readFileSync(join(dir, 'a.json'), 'utf8')).toBe('{"a":1}')
    expect((await merge(text('\xef\xbb\xbf{"name":"caf\xc3\xa9"}'))).code).toBe(0)
    expect(readFileSync(join(dir, 'a.json'), 'utf8')).toBe('{"a":1,"name":"café"}')
  })

  needs('linux')('a patch that cannot be read is told as such', ({ dir }) => {
    const directory = openSync(dir, 'r')
    const { status, stderr } = spawnSync(process.execPath, [program(), 'update', 'a.json', '--merge', '-'], {
      cwd: dir,
      encoding: 'utf8',
      stdio: [directory, 'pipe', 'pipe'],
    })
    closeSync(directory)
    expect(status).toBe(1)
    expect(stderr).toMatch(/^atomic: Standard input could not be read: EISDIR/)
    expect(names(dir)).toEqual([])
  })

  needs('linux')('are refused in a name, which would be that of another file', ({ dir }) => {
    const run = (script: string) =>
      spawnSync('sh', ['-c', script, process.execPath, program()], {
        cwd: dir,
        encoding: 'utf8',
        input: 'new',
      })
    for (const given of ['write "$(printf "caf\\351")"', 'update a.json --set "name=$(printf "caf\\351")"']) {
      const { status, stdout, stderr } = run(`"$0" "$1" ${given}`)
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toBe('atomic: an argument is not UTF-8, and would be taken for another one\n')
    }
    expect(names(dir)).toEqual([])
    // The character that stands for such bytes is one like all others.
    expect(run('"$0" "$1" write "$(printf "caf\\357\\277\\275")"').status).toBe(0)
    expect(names(dir)).toEqual(['caf\ufffd'])
  })
})
