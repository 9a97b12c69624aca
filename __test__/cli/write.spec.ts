// `atomic write` and `atomic append`: the content comes from outside, and may end early.

import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { test } from '../helpers/test'
import { atomic, program, start, until } from './support'

const told = (stdout: string) => JSON.parse(stdout)

describe('write', () => {
  test('takes standard input of any size, in the place of a file and with its mode', async ({ dir }) => {
    const content = Buffer.alloc(5_000_003, 'abcdefghij\n')
    const first = await atomic(['write', 'deep/big', '-p', '--mode', '600', '--json'], {
      cwd: dir,
      input: content,
    })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(told(first.stdout)).toMatchObject({
      file: 'deep/big',
      written: true,
      bytes: content.length,
      verified: 'cache',
    })
    expect(readFileSync(join(dir, 'deep/big')).equals(content)).toBe(true)
    // From the very file that is written.
    const input = openSync(join(dir, 'deep/big'), 'r')
    const second = await atomic(['write', 'deep/big', '--if-changed'], { cwd: dir, input })
    closeSync(input)
    expect(second).toMatchObject({ code: 0, stdout: 'unchanged deep/big: 4.8 MiB, it says that already\n' })
    expect(names(join(dir, 'deep'))).toEqual(['big'])
  })

  test('replaces nothing if the input fails, its command fails, or it is empty', async ({ dir }) => {
    writeFileSync(join(dir, 'kept'), 'old')
    const folder = openSync(dir, 'r')
    const runs = [
      { args: [], input: folder, message: /^atomic: Standard input could not be read: EISDIR/ },
      {
        args: ['--', 'sh', '-c', 'echo half; exit 3'],
        message: /"sh" failed with exit code 3\. kept is as it was\n$/,
      },
      { args: ['--', 'sh', '-c', 'echo half; kill -9 $$'], message: /"sh" was ended by SIGKILL/ },
      // EACCES: a folder of PATH is private to another user.
      { args: ['--', 'no-such-program'], message: /there is no such program|no-such-program EACCES/ },
      { args: ['--refuse-empty'], message: /The input is empty/ },
      { args: ['--exclusive'], message: /EEXIST/ },
    ]
    const good = atomic(['write', 'other', '-q', '--', 'echo', 'new'], { cwd: dir })
    for (const { code, stderr, stdout, message } of await Promise.all(
      runs.map(async ({ args: [...rest], message, ...input }) => ({
        ...(await atomic(['write', 'kept', ...rest], { cwd: dir, ...input })),
        message,
      })),
    )) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(message)
    }
    closeSync(folder)
    expect(await good).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(readFileSync(join(dir, 'kept'), 'utf8')).toBe('old')
    expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('new\n')
    expect(names(dir)).toEqual(['kept', 'other'])
  })

  test('an error is a message for people, and for programs with its code', async ({ dir }) => {
    const write = (...args: string[]) => atomic(['write', 'missing/file', ...args], { cwd: dir, input: 'x' })
    const [people, { code, stdout, stderr }] = await Promise.all([write(), write('--json')])
    expect(code).toBe(1)
    expect(told(stdout)).toMatchObject({ error: { code: 'ENOENT', syscall: 'open', path: 'missing/file' } })
    expect(stderr).toBe("atomic: ENOENT: no such file or directory, open 'missing/file'\n")
    expect(people.stderr).toBe(`${stderr}atomic: missing directories are made with --parents\n`)
  })

  test('a signal in the middle leaves the old file and nothing beside it, and is what it ends by', async ({
    dir,
  }) => {
    writeFileSync(join(dir, 'kept'), 'old')
    const ends = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(async (signal) => {
      const { child, ended } = start(['write', 'kept', '-q'], { cwd: dir })
      // More than a pipe holds: when all is taken, the program is in the middle.
      await new Promise((resolve) => child.stdin!.write(Buffer.alloc(4 << 20), resolve))
      child.kill(signal)
      expect(await ended).toEqual({ code: null, signal, stdout: '', stderr: '' })
    })
    await Promise.all(ends)
    expect(readFileSync(join(dir, 'kept'), 'utf8')).toBe('old')
    expect(names(dir)).toEqual(['kept'])
  })

  test('a result that nobody can be told is a failure, though not of the file', async ({ dir }) => {
    if (!existsSync('/dev/full')) return
    const run = `echo x | "$0" "$1" write file >/dev/full; echo $?`
    const output = execFileSync('sh', ['-c', run, process.execPath, program()], {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    expect(`${output}`).toBe('1\n')
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('x\n')
  })
})

describe('append', () => {
  test('takes arguments, and standard input as it comes', async ({ dir }) => {
    const { child, ended } = start(['append', 'log', '--json'], { cwd: dir })
    const first = await atomic(['append', 'log', 'one', 'two'], { cwd: dir })
    expect(first.stdout).toMatch(/^appended 2 lines to log: 8 B, /)
    child.stdin!.write('three\nfo')
    const log = () => readFileSync(join(dir, 'log'), 'utf8')
    await until(() => log().endsWith('three\n'))
    child.stdin!.end('ur\n\nlast')
    expect(told((await ended).stdout)).toMatchObject({ lines: 4, bytes: 17, torn: [] })
    expect(log()).toBe('one\ntwo\nthree\nfour\n\nlast\n')
  })

  test('a stream of many lines is whole and in order, also in rotated files', async ({ dir }) => {
    const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}`)
    const args = ['append', 'log', '--rotate', '100k', '--keep', '99', '-q', '--no-flush']
    expect(await atomic(args, { cwd: dir, input: lines.join('\n') })).toMatchObject({ code: 0, stderr: '' })
    const files = names(dir).filter((name) => /^log/.test(name))
    const number = (name: string) => Number(name.slice(4) || 0)
    const all = files
      .sort((a, b) => number(b) - number(a))
      .map((name) => readFileSync(join(dir, name), 'utf8'))
    expect(all.join('')).toBe(`${lines.join('\n')}\n`)
  })

  test('JSON Lines are checked, and what is refused is named', async ({ dir }) => {
    const append = (input: string | Buffer, ...more: string[]) =>
      atomic(['append', 'events.jsonl', ...more], { cwd: dir, input })
    const runs = await Promise.all([
      append('{"a":1}\n{', '--jsonl'),
      append('{"id":12345678901234567890}\n', '--jsonl'),
      append(Buffer.from([0x61, 0xff, 0x0a])),
      atomic(['append', 'good.jsonl', '--jsonl'], { cwd: dir, input: '{"a": "1e999"}\n' }),
    ])
    expect(runs.map(({ code }) => code)).toEqual([1, 1, 1, 0])
    expect(runs[0].stderr).toMatch(/Line 2 is not JSON/)
    expect(runs[1].stderr).toMatch(/the number 12345678901234567890/)
    expect(runs[2].stderr).toMatch(/not UTF-8/)
    expect(readFileSync(join(dir, 'events.jsonl'), 'utf8')).toBe('{"a":1}\n')
    expect(readFileSync(join(dir, 'good.jsonl'), 'utf8')).toBe('{"a":"1e999"}\n')
  })
})
