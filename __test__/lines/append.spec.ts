// What appendLines writes, refuses and says.

import {
  appendFileSync,
  chmodSync,
  linkSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { appendLines, atomicWrite, readLines } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names, written } from '../helpers/files'
import { test } from '../helpers/test'

const loosely = appendLines as (...args: unknown[]) => Promise<unknown>

describe('appendLines', () => {
  test('makes the file, and appends whole lines in their order', async ({ dir }) => {
    const path = join(dir, 'logs/a.log')
    expect(await appendLines(path, 'first')).toEqual({
      ...{ lines: 1, bytes: 6, offset: 0, rotated: false, batchSize: 1 },
      ...{ durable: written(dir, 0).durable, verified: 'cache', lockWaitMs: expect.any(Number) },
    })
    expect(await appendLines(path, ['zweite Zeile ü', ''])).toMatchObject({ lines: 2, bytes: 17, offset: 6 })
    expect(readFileSync(path, 'utf8')).toBe('first\nzweite Zeile ü\n\n')
    expect(names(join(dir, 'logs'))).toEqual(['a.log'])
  })

  test('takes any iterable, during the call', async ({ file }) => {
    const lines = new Set(['a', 'b'])
    const appended = appendLines(file, lines)
    lines.add('c')
    expect(await appended).toMatchObject({ lines: 2 })
    function* generated() {
      yield 'x'
      yield 'y'
    }
    await appendLines(file, generated())
    expect(readFileSync(file, 'utf8')).toBe('a\nb\nx\ny\n')
  })

  test('writes a JSON value a line', async ({ file }) => {
    await appendLines(file, [{ a: [1] }, 'two\nlines', null, 3, '\ud800'], { json: true })
    expect(readFileSync(file, 'utf8')).toBe('{"a":[1]}\n"two\\nlines"\nnull\n3\n"\\ud800"\n')
  })

  test('appends nothing for no lines, and does not look at the file', async ({ dir, file }) => {
    expect(await appendLines(file, [])).toMatchObject({ lines: 0, bytes: 0, durable: false })
    expect(names(dir)).toEqual([])
  })

  test('keeps the file: its inode, mode and links', async ({ dir, file }) => {
    writeFileSync(file, 'old\n')
    chmodSync(file, 0o640)
    linkSync(file, join(dir, 'other'))
    symlinkSync(file, join(dir, 'link'))
    const before = statSync(file)
    await appendLines(join(dir, 'link'), 'new', { mode: 0o600 })
    expect(statSync(file)).toMatchObject({ ino: before.ino, mode: before.mode })
    expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('old\nnew\n')
  })

  test('gives a new file its mode, whatever the umask', async ({ file }) => {
    await appendLines(file, 'a', { mode: 0o666 })
    expect(statSync(file).mode & 0o777).toBe(0o666)
  })

  test('is in the order of the calls, with writes of the same file', async ({ file }) => {
    const calls = [
      appendLines(file, 'lost'),
      atomicWrite(file, 'written\n'),
      appendLines(file, 'a'),
      appendLines(file, ['b', 'c']),
      appendLines(file, 'd', { verify: false }),
    ]
    await Promise.all(calls)
    expect(readFileSync(file, 'utf8')).toBe('written\na\nb\nc\nd\n')
  })

  test('is one write for calls that wait for the same file', async ({ file }) => {
    const calls = Array.from({ length: 200 }, (_, at) => appendLines(file, [`${at}`, `${at}`]))
    const results = await Promise.all(calls)
    const lines = readFileSync(file, 'utf8').split('\n')
    expect(lines).toEqual([...results.flatMap((_, at) => [`${at}`, `${at}`]), ''])
    expect(Math.max(...results.map(({ batchSize }) => batchSize))).toBeGreaterThan(10)
    results.forEach(({ offset }, at) => {
      expect(lines.slice(0, 2 * at).join('\n').length + (at ? 1 : 0)).toBe(offset)
    })
  })

  test('appends a line of ten megabytes', async ({ file }) => {
    const line = 'x'.repeat(10 << 20)
    await appendLines(file, [line, 'next'])
    const read: string[] = []
    for await (const line of readLines(file)) read.push(line)
    expect(read.map(({ length }) => length)).toEqual([line.length, 4])
    expect(read[0] === line).toBe(true)
  })

  test('says that nothing is durable without a flush, and verifies as it is told', async ({ file }) => {
    expect(await appendLines(file, 'a', { flush: false, verify: false })).toMatchObject({
      durable: false,
      verified: false,
    })
    const { verified } = await appendLines(file, 'b', { verify: 'device' })
    expect(['cache', 'device']).toContain(verified)
  })

  test('appends to the file that an editor has put in the place of another', async ({ dir, file }) => {
    await appendLines(file, 'a')
    await atomicWrite(file, 'edited\n')
    await appendLines(file, 'b')
    expect(readFileSync(file, 'utf8')).toBe('edited\nb\n')
    expect(names(dir)).toEqual([basename(file)])
  })
})

describe('an unfinished last line', () => {
  test('is set aside, and told', async ({ dir, file }) => {
    writeFileSync(file, 'whole\nhal')
    const { torn, offset } = await appendLines(file, 'next')
    expect(torn).toEqual({
      path: expect.stringMatching(/index\.json\.torn-[0-9a-f]{16}$/),
      offset: 6,
      bytes: 3,
    })
    expect(offset).toBe(6)
    expect(readFileSync(file, 'utf8')).toBe('whole\nnext\n')
    expect(readFileSync(torn?.path ?? '', 'utf8')).toBe('hal')
    expect(names(dir)).toHaveLength(2)
    expect((await appendLines(file, 'more')).torn).toBeUndefined()
  })

  test('is kept twice if it is there twice, and once if it was set aside before a kill', async ({
    dir,
    file,
  }) => {
    for (const [torn, files] of [
      ['half', 2],
      ['half', 2],
      ['more', 3],
    ] as const) {
      writeFileSync(file, `whole\n${torn}`)
      await appendLines(file, 'next')
      expect(names(dir)).toHaveLength(files)
    }
  })

  test('is no more open than the file', async ({ file }) => {
    writeFileSync(file, 'half')
    chmodSync(file, 0o600)
    const { torn } = await appendLines(file, 'next')
    expect(statSync(torn?.path ?? '').mode & 0o777).toBe(0o600)
  })

  test('of JSON gets its line end if the value is complete', async ({ dir, file }) => {
    writeFileSync(file, '{"n":1}\n{"n":2}')
    const { torn, offset } = await appendLines(file, [{ n: 3 }], { json: true })
    expect(torn).toBeUndefined()
    expect(offset).toBe(16)
    expect(readFileSync(file, 'utf8')).toBe('{"n":1}\n{"n":2}\n{"n":3}\n')
    expect(names(dir)).toEqual([basename(file)])
  })

  test('behind a byte order mark: the mark is no part of it', async ({ dir, file }) => {
    const mark = '\ufeff'
    for (const old of [mark, `${mark}{"n":1}`]) {
      writeFileSync(file, old)
      const { torn } = await appendLines(file, [{ n: 2 }], { json: true })
      expect(torn).toBeUndefined()
      expect(readFileSync(file, 'utf8')).toBe(old === mark ? `${old}{"n":2}\n` : `${old}\n{"n":2}\n`)
    }
    const values: unknown[] = []
    for await (const value of readLines(file, { json: true })) values.push(value)
    expect(values).toEqual([{ n: 1 }, { n: 2 }])
    expect(names(dir)).toEqual([basename(file)])
  })

  test.for(['{"n":', '12', '\0\0\0', 'tru'])('of JSON is set aside: %j', async (torn, { file }) => {
    writeFileSync(file, `{"n":1}\n${torn}`)
    expect(await appendLines(file, [{ n: 3 }], { json: true })).toMatchObject({ torn: { offset: 8 } })
    expect(readFileSync(file, 'utf8')).toBe('{"n":1}\n{"n":3}\n')
  })
})

describe('appendLines refuses', () => {
  const value = 'ERR_INVALID_ARG_VALUE'
  const type = 'ERR_INVALID_ARG_TYPE'
  test.for([
    ['a line feed', ['a', 'b\nc'], {}, value],
    ['a NUL character', 'a\0', {}, value],
    ['a lone surrogate', ['\ud800'], {}, value],
    ['what is no string', [1], {}, type],
    ['what is no iterable', 1, {}, type],
    ['one value that is no list', { a: 1 }, { json: true }, type],
    ['a string that might be a list', 'a', { json: true }, type],
    ['what is no JSON', [undefined], { json: true }, value],
    ['what JSON would lose', [{ tags: new Map([['a', 1]]) }], { json: true }, value],
    ['a rotation without a number', 'a', { rotate: { size: 10 } }, type],
    ['a rotation that keeps nothing', 'a', { rotate: { size: 10, keep: 0 } }, value],
  ] as const)('%s', async ([, lines, options, code], { dir, file }) => {
    await expect(loosely(file, lines, options)).rejects.toMatchObject({ name: 'TypeError', code })
    expect(names(dir)).toEqual([])
  })

  test('an object in a store, and says what to call', async () => {
    await expect(appendLines('s3://bucket/log', 'a')).rejects.toMatchObject({
      code: 'ERR_ATOMIC_UNSUPPORTED',
      message: expect.stringContaining('atomicIndexPatch'),
    })
  })

  test('a directory, and a path without one if it is not to be made', async ({ dir }) => {
    await expect(appendLines(dir, 'a')).rejects.toMatchObject({ code: 'EISDIR' })
    const path = join(dir, 'none/a.log')
    await expect(appendLines(path, 'a', { mkdir: false })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('to go on once its signal is aborted, and the others go on', async ({ dir, file }) => {
    const abortedAtOnce = () => {
      const controller = new AbortController()
      const calls = [
        appendLines(file, 'a'),
        appendLines(file, 'b', { signal: controller.signal }),
        appendLines(file, 'c'),
      ]
      controller.abort()
      return Promise.allSettled(calls)
    }
    let settled = await abortedAtOnce()
    // A busy machine may append all before the abort, which comes too late then.
    while (settled[1]?.status === 'fulfilled') {
      expect(readFileSync(file, 'utf8')).toBe('a\nb\nc\n')
      rmSync(file)
      settled = await abortedAtOnce()
    }
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(settled[1]).toMatchObject({ reason: { name: 'AbortError' } })
    expect(readFileSync(file, 'utf8')).toBe('a\nc\n')
    expect(leftovers(dir)).toEqual([])
  })
})

describe('programs without the lock', () => {
  test('that append meanwhile lose nothing', async ({ file }) => {
    for (let round = 0; round < 20; round++) {
      const appended = appendLines(file, 'ours')
      appendFileSync(file, 'theirs\n')
      await appended
    }
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').sort()
    expect(lines).toEqual([...Array(20).fill('ours'), ...Array(20).fill('theirs')])
  })
})
