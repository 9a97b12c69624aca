import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const TMPFS = 0x01021994
const EXT4 = 0xef53

test('options are read once each, in whatever way the object has them', async ({ file }) => {
  const reads: string[] = []
  const values: Record<string, unknown> = { initial: { n: 1 }, timeout: 1000, mode: 0o600, signal: undefined }
  const options = Object.create(
    new Proxy(values, {
      get(target, name) {
        if (typeof name === 'string' && name in target) reads.push(name)
        return Reflect.get(target, name)
      },
    }),
  )
  await atomicIndexUpdate(file, increment, options)
  expect(readJson(file)).toEqual({ n: 2 })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(reads.sort()).toStrictEqual(['initial', 'mode', 'signal', 'timeout'])
})

describe('what fn gets and returns', () => {
  test('without a file fn is given undefined, and its result becomes the index', async ({ file }) => {
    let given: unknown = 'nothing'
    await atomicIndexUpdate(file, (index) => {
      given = index
      return { n: 1 }
    })
    expect(given).toBeUndefined()
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('fn is given the parsed index, as its only argument and without a this', async ({ file }) => {
    writeJson(file, { a: [1, 'zwei', null] })
    let call: { args: unknown[]; self: unknown } | undefined
    await atomicIndexUpdate(file, function (this: unknown, ...args: any[]) {
      call = { args: structuredClone(args), self: this ?? undefined }
      return args[0]
    })
    expect(call).toEqual({ args: [{ a: [1, 'zwei', null] }], self: undefined })
  })

  test('the same object, changed in place, is written', async ({ file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment)
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('another object takes the place of the first', async ({ file }) => {
    writeJson(file, { old: true })
    await atomicIndexUpdate(file, () => ({ new: true }))
    expect(readJson(file)).toEqual({ new: true })
  })

  test('an index can be an array', async ({ file }) => {
    writeJson(file, [1])
    await atomicIndexUpdate<number[]>(file, (index = []) => [...index, 2])
    expect(readJson(file)).toEqual([1, 2])
  })

  test('each update works on what the one before it left', async ({ file }) => {
    for (let round = 0; round < 5; round++) await atomicIndexUpdate(file, increment, { initial: { n: 0 } })
    expect(readJson(file)).toEqual({ n: 5 })
  })

  test('text of every kind comes back as it was', async ({ file }) => {
    const text = 'ASCII, ünïcödé, 漢字, 😀, "quoted", \\, \u2028, \0, \u001f, \ud800 alone'
    await atomicIndexUpdate(file, () => ({ text }))
    let given: unknown
    await atomicIndexUpdate(file, (index) => {
      given = index.text
      return index
    })
    expect(given).toBe(text)
  })
})

describe('the result', () => {
  test('says what was done', async ({ file }) => {
    const result = await atomicIndexUpdate(file, () => ({ n: 'ü' }))
    expect(result).toEqual({
      written: true,
      bytes: statSync(file).size,
      durable: expect.any(Boolean),
      verified: 'cache',
      atomic: true,
      lockWaitMs: expect.any(Number),
      batchSize: 1,
    })
    expect(result.lockWaitMs).toBeGreaterThanOrEqual(0)
  })

  test('promises durability on a disk and not in memory', async ({ dir, file }) => {
    const { durable } = await atomicIndexUpdate(file, () => ({}))
    const { type } = statfsSync(dir)
    if (type === TMPFS) expect(durable).toBe(false)
    if (type === EXT4) expect(durable).toBe(true)
  })

  test('promises no durability without a flush', async ({ file }) => {
    expect(await atomicIndexUpdate(file, () => ({}), { flush: false })).toMatchObject({ durable: false })
  })

  test('claims no verification where there was none', async ({ file }) => {
    expect(await atomicIndexUpdate(file, () => ({}), { verify: false })).toMatchObject({ verified: false })
  })

  test('names the level that the verification reached', async ({ dir, file }) => {
    const { verified } = await atomicIndexUpdate(file, () => ({ n: 1 }), { verify: 'device' })
    expect(verified).toEqual(
      statfsSync(dir).type === EXT4 ? 'device' : expect.stringMatching(/^(cache|device)$/),
    )
  })
})

describe('an update that changes nothing', () => {
  const same: [string, (index: any) => any][] = [
    ['returns the index untouched', (index) => index],
    ['returns an equal one', () => ({ n: 1 })],
    ['is async', async (index) => index],
  ]
  test.for(same)('leaves inode and mtime alone when fn %s', async ([, fn], { file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const before = state(file)
    const result = await atomicIndexUpdate(file, fn)
    expect(result).toMatchObject({ written: false, bytes: 12, batchSize: 1 })
    expect(state(file)).toEqual(before)
  })

  test('leaves no trace in the folder', async ({ dir, file }) => {
    writeJson(file, {})
    await atomicIndexUpdate(file, (index) => index)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('flushes nevertheless, and says so truthfully', async ({ file }) => {
    const { durable } = await atomicIndexUpdate(file, () => ({}))
    expect(await atomicIndexUpdate(file, () => ({}))).toMatchObject({ written: false, durable })
    expect(await atomicIndexUpdate(file, () => ({}), { flush: false })).toMatchObject({ durable: false })
  })
})

describe('paths', () => {
  const kinds: [string, (file: string) => string | Buffer | URL][] = [
    ['a string', (file) => file],
    ['a Buffer', (file) => Buffer.from(file)],
    ['a URL', (file) => pathToFileURL(file)],
    ['a path with dots', (file) => join(dirname(file), '.', 'x', '..', basename(file))],
  ]
  test.for(kinds)('can be %s', async ([, make], { file }) => {
    await atomicIndexUpdate(make(file), () => ({ ok: true }))
    expect(readJson(file)).toEqual({ ok: true })
  })

  test('a relative one means the working directory at the call', async ({ dir, file }) => {
    const before = process.cwd()
    try {
      process.chdir(dir)
      const update = atomicIndexUpdate('index.json', () => ({ ok: true }))
      process.chdir(before)
      await update
    } finally {
      process.chdir(before)
    }
    expect(readJson(file)).toEqual({ ok: true })
  })

  test('an index behind a link is updated where it is, and the link stays a link', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    writeJson(file, { n: 1 })
    symlinkSync('index.json', link)
    await atomicIndexUpdate(link, increment)
    expect(readJson(file)).toEqual({ n: 2 })
    expect(readlinkSync(link)).toBe('index.json')
    expect(lstatSync(file).isFile()).toBe(true)
  })

  test('a dangling link leads to a new index', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    await atomicIndexUpdate(link, () => ({ n: 1 }))
    expect(readJson(file)).toEqual({ n: 1 })
    expect(readlinkSync(link)).toBe('index.json')
  })

  test('missing folders are made', async ({ dir }) => {
    const file = join(dir, 'a', 'b', 'index.json')
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('missing folders are not made with mkdir: false', async ({ dir }) => {
    const file = join(dir, 'a', 'index.json')
    const error = await rejection(atomicIndexUpdate(file, () => ({ n: 1 }), { mkdir: false }))
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: file })
    expect(names(dir)).toEqual([])
  })

  test('a name of 255 bytes works, and one of 256 is refused as by the system', async ({ dir }) => {
    const longest = join(dir, 'x'.repeat(255))
    await atomicIndexUpdate(longest, () => ({ n: 1 }))
    expect(readJson(longest)).toEqual({ n: 1 })
    const error = await rejection(atomicIndexUpdate(`${longest}x`, () => ({ n: 1 })))
    expect(error).toMatchObject({ code: 'ENAMETOOLONG' })
    expect(names(dir)).toEqual([basename(longest)])
  })
})

describe('the mode', () => {
  const modeOf = (file: string) => statSync(file).mode & 0o7777

  test('of a new index is that of any new file', async ({ dir, file }) => {
    const plain = join(dir, 'plain')
    writeFileSync(plain, '')
    await atomicIndexUpdate(file, () => ({}))
    expect(modeOf(file)).toBe(modeOf(plain))
  })

  test('of an index that is there is kept', async ({ file }) => {
    writeJson(file, { n: 1 })
    chmodSync(file, 0o640)
    await atomicIndexUpdate(file, increment)
    expect(modeOf(file)).toBe(0o640)
  })

  const modes: [kind: string, mode: number | string][] = [
    ['number', 0o604],
    ['string of octal digits', '604'],
  ]
  test.for(modes)('can be given as a %s', async ([, mode], { file }) => {
    await atomicIndexUpdate(file, () => ({}), { mode })
    expect(modeOf(file)).toBe(0o604)
    chmodSync(file, 0o600)
    await atomicIndexUpdate(file, () => ({ n: 1 }), { mode })
    expect(modeOf(file)).toBe(0o604)
  })
})

describe('arguments', () => {
  test('options can be null, undefined, or frozen and used twice', async ({ file }) => {
    const options = Object.freeze({ initial: Object.freeze({ n: 0 }), space: 0 })
    await atomicIndexUpdate(file, increment, options)
    await atomicIndexUpdate(file, increment, options)
    await atomicIndexUpdate(file, increment, null)
    await atomicIndexUpdate(file, increment, undefined)
    expect(readFileSync(file, 'utf8')).toBe('{"n":4}')
  })

  test('options are read at the call', async ({ file }) => {
    const options: UpdateOptions = { space: 0, backup: false }
    const update = atomicIndexUpdate(file, () => ({ n: 1 }), options)
    options.space = 4
    await update
    expect(readFileSync(file, 'utf8')).toBe('{"n":1}')
  })

  type Arguments = [path: unknown, fn?: unknown, options?: unknown]
  const fn = () => ({})
  const wrong: [what: string, args: Arguments, code: string][] = [
    ['a number as the path', [1, fn], 'ERR_INVALID_ARG_TYPE'],
    ['no path', [undefined, fn], 'ERR_INVALID_ARG_TYPE'],
    ['an object as the path', [{}, fn], 'ERR_INVALID_ARG_TYPE'],
    ['a NUL in the path', ['a\0b', fn], 'ERR_INVALID_ARG_VALUE'],
    ['a web address', [new URL('http://example.org/x'), fn], 'ERR_INVALID_URL_SCHEME'],
    ['no function', ['index.json'], 'ERR_INVALID_ARG_TYPE'],
    ['an object as the function', ['index.json', {}], 'ERR_INVALID_ARG_TYPE'],
    ['a number as options', ['index.json', fn, 1], 'ERR_INVALID_ARG_TYPE'],
    ['a string as options', ['index.json', fn, 'utf8'], 'ERR_INVALID_ARG_TYPE'],
    ['a negative timeout', ['index.json', fn, { timeout: -1 }], 'ERR_INVALID_ARG_VALUE'],
    ['a timeout of NaN', ['index.json', fn, { timeout: Number.NaN }], 'ERR_INVALID_ARG_VALUE'],
    ['a timeout in words', ['index.json', fn, { timeout: '1s' }], 'ERR_INVALID_ARG_TYPE'],
    ['a space that is true', ['index.json', fn, { space: true }], 'ERR_INVALID_ARG_TYPE'],
    ['a number as backup', ['index.json', fn, { backup: 1 }], 'ERR_INVALID_ARG_TYPE'],
    ['a backup with a NUL', ['index.json', fn, { backup: 'a\0b' }], 'ERR_INVALID_ARG_VALUE'],
    ['a mode out of range', ['index.json', fn, { mode: -1 }], 'ERR_INVALID_ARG_VALUE'],
    ['a mode that is not octal', ['index.json', fn, { mode: '9' }], 'ERR_INVALID_ARG_VALUE'],
    ['a flush in words', ['index.json', fn, { flush: 'yes' }], 'ERR_INVALID_ARG_TYPE'],
    ['an unknown verify', ['index.json', fn, { verify: 'disk' }], 'ERR_INVALID_ARG_VALUE'],
    ['a mkdir of 1', ['index.json', fn, { mkdir: 1 }], 'ERR_INVALID_ARG_TYPE'],
    ['a signal that is none', ['index.json', fn, { signal: {} }], 'ERR_INVALID_ARG_TYPE'],
    ['a function as initial', ['index.json', fn, { initial: fn }], 'ERR_INVALID_ARG_VALUE'],
    ['a symbol as initial', ['index.json', fn, { initial: Symbol('x') }], 'ERR_INVALID_ARG_VALUE'],
    ['a bigint as initial', ['index.json', fn, { initial: 1n }], 'ERR_INVALID_ARG_VALUE'],
  ]
  const loose = atomicIndexUpdate as unknown as (...args: unknown[]) => Promise<unknown>

  test.for(wrong)('%s: a TypeError, by rejection', async ([, args, code], { dir }) => {
    const before = process.cwd()
    process.chdir(dir)
    try {
      const error = await rejection(loose(...args))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({ name: 'TypeError', code })
      expect(names(dir)).toEqual([])
    } finally {
      process.chdir(before)
    }
  })

  test('an initial that refers to itself is a wrong value', async ({ file }) => {
    const initial: { self?: unknown } = {}
    initial.self = initial
    const error = await rejection(atomicIndexUpdate(file, fn, { initial }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })

  test('an empty path is no file', async () => {
    expect(await rejection(atomicIndexUpdate('', fn))).toMatchObject({ code: 'ENOENT' })
  })
})

describe('the initial index', () => {
  test('is given to fn when there is no file', async ({ file }) => {
    await atomicIndexUpdate(file, increment, { initial: { n: 41 } })
    expect(readJson(file)).toEqual({ n: 42 })
  })

  test('is not used when there is one', async ({ file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { initial: { n: 41 } })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('serves many calls and is never changed by fn', async ({ dir }) => {
    const initial = { list: [] as number[] }
    const files = [0, 1, 2].map((at) => join(dir, `${at}.json`))
    const push = (index: typeof initial) => {
      index.list.push(1)
      return index
    }
    await Promise.all(files.map((file) => atomicIndexUpdate(file, push, { initial })))
    expect(initial).toEqual({ list: [] })
    expect(files.map(readJson)).toEqual(files.map(() => ({ list: [1] })))
  })

  test('is taken at the call: what happens to the object later does not matter', async ({ file }) => {
    const initial = { n: 1 }
    const update = atomicIndexUpdate(file, increment, { initial })
    initial.n = 100
    await update
    expect(readJson(file)).toEqual({ n: 2 })
  })

  const values: [unknown][] = [[null], [0], [false], [''], ['text'], [[1]]]
  test.for(values)('can be %j', async ([initial], { file }) => {
    let given: unknown
    await atomicIndexUpdate<any>(
      file,
      (index) => {
        given = index
        return {}
      },
      { initial },
    )
    expect(given).toEqual(initial)
  })

  test('is not written when fn fails', async ({ dir, file }) => {
    const fail = () => {
      throw new Error('no')
    }
    await rejection(atomicIndexUpdate(file, fail, { initial: {} }))
    expect(names(dir)).toEqual([])
  })
})

test('a folder is no index', async ({ dir, file }) => {
  mkdirSync(file)
  const error = await rejection(atomicIndexUpdate(file, () => ({})))
  expect(error).toMatchObject({ code: 'EISDIR', syscall: 'open', path: file })
  expect(error.errno).toBeLessThan(0)
  expect(error.message).toBe(`EISDIR: illegal operation on a directory, open '${file}'`)
  expect(names(dir)).toEqual(['index.json'])
  expect(existsSync(file)).toBe(true)
})
