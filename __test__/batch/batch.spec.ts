import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicWriteAll, type WriteEntry } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names, state, written } from '../helpers/files'
import { times } from '../helpers/group'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** For arguments that the types forbid. */
const loosely = atomicWriteAll as (...args: unknown[]) => Promise<unknown>

/** That many files in `dir`; the content of each is its number. */
const numbers = (dir: string, howMany: number): WriteEntry[] =>
  times(howMany, (at) => ({ path: join(dir, `${at}`), data: `${at}` }))

describe('a batch', () => {
  test('makes and replaces files, and resolves with their results in order', async ({ dir }) => {
    writeFileSync(join(dir, '1'), 'old')
    const entries = times(300, (at) => ({ path: join(dir, `${at}`), data: 'x'.repeat(at) }))
    expect(await atomicWriteAll(entries)).toStrictEqual(times(300, (at) => written(dir, at)))
    expect(times(300, (at) => readFileSync(join(dir, `${at}`), 'utf8').length)).toStrictEqual(
      times(300, (at) => at),
    )
    expect(names(dir)).toHaveLength(300)
    expect(openBelow(dir)).toStrictEqual([])
  })

  for (const [what, nothing] of [
    ['an empty array', []],
    ['an empty set', new Set<WriteEntry>()],
    ['a generator without values', (function* () {})()],
  ] as const) {
    test(`of ${what} resolves with nothing`, async () => {
      expect(await atomicWriteAll(nothing)).toStrictEqual([])
    })
  }

  test('takes every kind of path and data', async ({ dir }) => {
    const results = await atomicWriteAll([
      { path: Buffer.from(join(dir, 'a')), data: new Uint16Array([0x4141]) },
      { path: pathToFileURL(join(dir, 'b')), data: new ArrayBuffer(3) },
      { path: join(dir, 'c'), data: 'ünï' },
    ])
    expect(results.map(({ bytes }) => bytes)).toStrictEqual([2, 3, 5])
  })

  test('makes missing folders, once for all that need them', async ({ dir }) => {
    await atomicWriteAll(
      times(100, (at) => ({ path: join(dir, 'a', 'b', `${at % 10}`, `${at}`), data: 'x' })),
    )
    expect(names(join(dir, 'a', 'b', '3'))).toStrictEqual([
      '13',
      '23',
      '3',
      '33',
      '43',
      '53',
      '63',
      '73',
      '83',
      '93',
    ])
  })

  test('follows links, keeps modes, and leaves other names of a file their content', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old', { mode: 0o640 })
    symlinkSync('file', join(dir, 'link'))
    linkSync(join(dir, 'file'), join(dir, 'other'))
    await atomicWriteAll([{ path: join(dir, 'link'), data: 'new' }])
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('new')
    expect(statSync(join(dir, 'file')).mode & 0o777).toBe(0o640)
    expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('old')
  })
})

describe('options', () => {
  test('of the call are those of all entries, and an entry’s own win', async ({ dir }) => {
    const results = await atomicWriteAll(
      [
        { path: join(dir, 'a'), data: '4142' },
        { path: join(dir, 'b'), data: '4142', encoding: 'utf8', mode: 0o644, flush: true, verify: true },
      ],
      { encoding: 'hex', mode: 0o600, flush: false, verify: false },
    )
    expect(results).toStrictEqual([written(dir, 2, { durable: false, verified: false }), written(dir, 4)])
    expect([join(dir, 'a'), join(dir, 'b')].map((path) => statSync(path).mode & 0o777)).toStrictEqual([
      0o600, 0o644,
    ])
  })

  test('ifChanged leaves alone what is the same, and writes the rest', async ({ dir }) => {
    const entries = numbers(dir, 20)
    await atomicWriteAll(entries)
    for (const { path } of entries) utimesSync(path as string, 1000, 1000)
    const before = entries.map(({ path }) => state(path as string))
    const next = entries.map(({ path, data }, at) => ({ path, data: at % 5 ? data : 'other' }))
    const results = await atomicWriteAll(next, { ifChanged: true })
    expect(results).toStrictEqual(
      entries.map(({ data }, at) =>
        at % 5 ? written(dir, (data as string).length, { written: false }) : written(dir, 5),
      ),
    )
    const after = entries.map(({ path }) => state(path as string))
    expect(
      after.filter((now, at) => now.ino === before[at]?.ino && now.mtimeNs === before[at]?.mtimeNs),
    ).toHaveLength(16)
    expect(after[5]?.bytes).toBe('other')
  })

  test('flag wx fails for one that is there, and then none is made', async ({ dir }) => {
    writeFileSync(join(dir, '3'), 'old')
    const error = await rejection(atomicWriteAll(numbers(dir, 5), { flag: 'wx' }))
    expect(error).toMatchObject({ code: 'EEXIST', syscall: 'open', path: join(dir, '3'), entry: 3 })
    expect(names(dir)).toStrictEqual(['3'])
  })

  test("verify: 'device' says how far it got", async ({ dir }) => {
    const [result] = await atomicWriteAll([{ path: join(dir, 'a'), data: 'x' }], { verify: 'device' })
    expect(['device', 'cache']).toContain(result?.verified)
  })

  test('mkdir: false makes no folder', async ({ dir }) => {
    const error = await rejection(
      atomicWriteAll(
        [
          { path: join(dir, 'a'), data: '' },
          { path: join(dir, 'b', 'c'), data: '' },
        ],
        { mkdir: false },
      ),
    )
    expect(error).toMatchObject({ code: 'ENOENT', path: join(dir, 'b', 'c'), entry: 1 })
    expect(names(dir)).toStrictEqual([])
  })
})

describe('onProgress', () => {
  const progress = async (entries: Iterable<WriteEntry>) => {
    const calls: unknown[][] = []
    await atomicWriteAll(entries, { onProgress: (...args) => void calls.push(args) })
    return calls
  }

  test('is called with how many are staged, and of how many if that is known', async ({ dir }) => {
    const calls = await progress(numbers(dir, 400))
    expect(calls.at(-1)).toStrictEqual([400, 400])
    expect(calls.length).toBeGreaterThanOrEqual(2)
    const done = calls.map(([done]) => done as number)
    expect(done).toStrictEqual([...new Set(done)].sort((a, b) => a - b))
    expect(await progress(new Set(numbers(dir, 3)))).toStrictEqual([[3, 3]])
  })

  test('is called without a total for a generator', async ({ dir }) => {
    const entries = numbers(dir, 3)
    expect(await progress(entries.values())).toStrictEqual([[3]])
  })

  for (const value of [new Error('mine'), 0, undefined, 'a string']) {
    test(`that throws ${String(value)} rejects with that very value, and nothing is written`, async ({
      dir,
    }) => {
      const options = {
        onProgress() {
          throw value
        },
      }
      expect(await rejection(atomicWriteAll(numbers(dir, 300), options))).toBe(value)
      expect(names(dir)).toStrictEqual([])
    })
  }
})

describe('the same file twice', () => {
  test('is refused at once if the path is the same', async ({ dir }) => {
    const path = join(dir, 'a')
    let pulled = 0
    function* entries() {
      for (;;) {
        pulled++
        yield { path, data: '' }
      }
    }
    const error = await rejection(atomicWriteAll(entries()))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_DUPLICATE', path, entry: 1, duplicateOf: 0 })
    expect(error.message).toBe(
      `ERR_ATOMIC_DUPLICATE: the same file as entry 0: give each file once, '${path}'`,
    )
    expect(pulled).toBe(2)
    expect(names(dir)).toStrictEqual([])
  })

  for (const [what, alias] of [
    ['a dot', (dir: string) => `${dir}/./1`],
    ['a link to it', (dir: string) => join(dir, 'link')],
    ['a link to its folder', (dir: string) => join(dir, 'folder', '1')],
  ] as const) {
    test(`is refused by way of ${what}, also in another wave`, async ({ dir }) => {
      mkdirSync(join(dir, 'files'))
      const files = join(dir, 'files')
      symlinkSync('1', join(files, 'link'))
      symlinkSync('.', join(files, 'folder'))
      for (const between of [3, 300]) {
        const entries = [...numbers(files, between), { path: alias(files), data: '' }]
        const error = await rejection(atomicWriteAll(entries))
        expect(error).toMatchObject({
          code: 'ERR_ATOMIC_DUPLICATE',
          path: alias(files),
          entry: between,
          duplicateOf: 1,
        })
        expect(names(files)).toStrictEqual(['folder', 'link'])
      }
    })
  }
})

describe('wrong arguments reject with', () => {
  const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }
  const valueError = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }

  for (const entries of [undefined, null, 5, {}, true]) {
    test(`a TypeError for entries that are ${JSON.stringify(entries)}`, async () => {
      expect(await rejection(loosely(entries))).toMatchObject(typeError)
    })
  }

  for (const [entry, error] of [
    [null, typeError],
    ['path', typeError],
    [{ data: 'x' }, typeError],
    [{ path: 'a\0b', data: 'x' }, valueError],
    [{ path: '/tmp/x' }, typeError],
    [{ path: '/tmp/x', data: 5 }, typeError],
    [{ path: '/tmp/x', data: 'x', mode: -1 }, valueError],
    [{ path: '/tmp/x', data: 'x', encoding: 'no' }, valueError],
  ] as const) {
    test(`a TypeError that has the position of the entry ${JSON.stringify(entry)}`, async ({ dir }) => {
      const error_ = await rejection(loosely([...numbers(dir, 2), entry, ...numbers(dir, 9).slice(5)]))
      expect(error_).toMatchObject({ ...error, entry: 2 })
      expect(names(dir)).toStrictEqual([])
    })
  }

  test('a TypeError for a lone surrogate, which is found later', async ({ dir }) => {
    const error = await rejection(
      atomicWriteAll([...numbers(dir, 2), { path: join(dir, 'x'), data: '\ud800' }]),
    )
    expect(error).toMatchObject({ ...valueError, entry: 2 })
    expect(names(dir)).toStrictEqual([])
  })

  for (const options of [{ flush: 1 }, { onProgress: 5 }, { signal: {} }, 'utf8']) {
    test(`a TypeError for options ${JSON.stringify(options)}`, async ({ dir }) => {
      expect(await rejection(loosely(numbers(dir, 1), options))).toMatchObject(typeError)
      expect(names(dir)).toStrictEqual([])
    })
  }

  for (const value of [new Error('mine'), 0, undefined]) {
    test(`what a getter throws, the very same value: ${String(value)}`, async ({ dir }) => {
      const entry = {
        path: join(dir, 'a'),
        get data(): string {
          throw value
        },
      }
      expect(await rejection(atomicWriteAll([...numbers(dir, 2), entry]))).toBe(value)
      expect(names(dir)).toStrictEqual([])
    })
  }

  test('a stack that leads to the caller', async ({ dir }) => {
    async function theCaller() {
      await atomicWriteAll([{ path: dir, data: '' }])
    }
    const error = await rejection(theCaller())
    expect(error).toMatchObject({ code: 'EISDIR', entry: 0 })
    expect(error.stack).toContain('theCaller')
  })
})
