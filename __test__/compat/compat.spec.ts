// Doors from other packages: each behaves as the package does whose signature it has.

import fs, { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import * as door from '@pipeline/atomic/compat/lowdb'
import { Writer } from '@pipeline/atomic/compat/steno'
import writeFile from '@pipeline/atomic/compat/write-file-atomic'
import { Low, LowSync } from 'lowdb'
import * as presets from 'lowdb/node'
import { describe, expect, onTestFinished, vi } from 'vitest'
import theirWriteFile from 'write-file-atomic'
import { runNode } from '../../scripts/tools.mjs'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const text = (file: string) => readFileSync(file, 'utf8')

test.for(['lowdb', 'proper-lockfile', 'steno', 'write-file-atomic'])(
  'every name of %s can be imported by name in plain node',
  async (door) => {
    const names = Object.keys(createRequire(import.meta.url)(`../../compat/${door}.js`))
    expect(names).not.toEqual([])
    const code = `import { ${names.join(', ')} } from '@pipeline/atomic/compat/${door}'`
    const { code: status, output } = await runNode(['--input-type=module', '-e', code], { quiet: true })
    expect(status, output).toBe(0)
  },
)

describe('write-file-atomic', () => {
  const data: [name: string, data: any, options?: any][] = [
    ['a string', '42'],
    ['an encoding', 'foo', 'utf16le'],
    ['options', 'ff', { encoding: 'hex' }],
    ['a lone surrogate', 'a\ud800'],
    ['a buffer', Buffer.from('42')],
    ['a part of a typed array', new Uint16Array([1, 2, 3]).subarray(1)],
    ['nothing', undefined],
    ['null', null],
    ['a number', 42],
    ['an empty string, not flushed', '', { fsync: false, chown: false }],
  ]
  test.for(data)('%s is written as there', async ([, data, options], { dir }) => {
    const [expected, file, blocking] = ['a', 'b', 'c'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    // What is no buffer of bytes is cut short there.
    const isCut = data instanceof Uint16Array
    await theirWriteFile(expected, isCut ? Buffer.from([2, 0, 3, 0]) : data, options)
    expect(await writeFile(file, data, options)).toBeUndefined()
    expect(writeFile.sync(blocking, data, options)).toBeUndefined()
    for (const path of [file, blocking]) expect(readFileSync(path)).toEqual(readFileSync(expected))
    expect(names(dir)).toHaveLength(3)
  })

  test('a mode is exact, is kept, and links stay links', async ({ dir }) => {
    const [file, link] = [join(dir, 'file'), join(dir, 'link')]
    await writeFile(file, '42', { mode: 0o741 })
    symlinkSync(file, link)
    await writeFile(link, '43')
    writeFile.sync(link, `${text(file)}44`, {})
    expect([text(file), statSync(file).mode & 0o777]).toEqual(['4344', 0o741])
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    writeFile.sync(file, '', { mode: 0o100640 })
    expect(statSync(file).mode & 0o7777).toBe(0o640)
  })

  test('with a callback there is no promise, and it hears of errors', async ({ dir }) => {
    const heard = await new Promise((resolve) => {
      expect(writeFile(join(dir, 'file'), 'a', (...args) => resolve(args))).toBeUndefined()
    })
    expect(heard).toEqual([])
    const failed = await new Promise<unknown>((resolve) =>
      writeFile(join(dir, 'none', 'file'), 'a', 'utf8', resolve),
    )
    expect(failed).toMatchObject({ code: 'ENOENT' })
    expect(await rejection(writeFile(dir, ''))).toMatchObject({ code: 'EISDIR' })
    expect(() => writeFile.sync(join(dir, 'none', 'file'), '')).toThrow('ENOENT')
    expect(await rejection(writeFile(1 as never, ''))).toBeInstanceOf(TypeError)
  })

  test('calls for one file come in their order, whatever each does', async ({ dir }) => {
    const file = join(dir, 'file')
    const seen: string[] = []
    const { open, opened } = gate()
    const calls = [
      writeFile(file, 'first'),
      writeFile(file, 'second', { tmpfileCreated: (name) => opened.then(() => seen.push(name)) }),
      writeFile(file, 'third', { tmpfileCreated: () => seen.push(text(file)) }),
      writeFile(file, 'last'),
    ]
    await calls[0]
    expect(text(file)).toBe('first')
    open()
    await Promise.all(calls)
    expect(text(file)).toBe('last')
    expect(seen).toEqual([expect.stringContaining(join(dir, '.file.')), 'second'])
    const failed = writeFile(file, 'never', { tmpfileCreated: () => Promise.reject(new RangeError('mine')) })
    const after = writeFile(file, 'after')
    expect(await rejection(failed)).toMatchObject({ message: 'mine' })
    await after
    expect(text(file)).toBe('after')
  })

  needs('root')('an owner is set, and kept', async ({ dir }) => {
    const file = join(dir, 'file')
    await writeFile(file, 'a', { chown: { uid: 42, gid: 43 }, mode: 0o4755 })
    await writeFile(file, 'b')
    expect(statSync(file)).toMatchObject({ uid: 42, gid: 43 })
    expect(statSync(file).mode & 0o7777).toBe(0o4755)
    writeFile.sync(file, 'c', { chown: { uid: 0, gid: 0 } })
    expect(statSync(file)).toMatchObject({ uid: 0, gid: 0 })
    expect(statSync(file).mode & 0o7777).toBe(0o4755)
    // Set-id bits are about an owner, so none are there before that one is.
    const seen: number[] = []
    const see =
      <A extends unknown[], R>(chown: (...args: A) => R) =>
      (...args: A) => {
        seen.push(statSync(file).mode & 0o7777)
        return chown(...args)
      }
    const [chown, chownSync] = [see(fs.promises.chown), see(fs.chownSync)]
    vi.spyOn(fs.promises, 'chown').mockImplementation(chown)
    vi.spyOn(fs, 'chownSync').mockImplementation(chownSync)
    onTestFinished(() => void vi.restoreAllMocks())
    for (const options of [{}, { mode: 0o6755 }]) {
      await writeFile(file, 'd', { ...options, chown: { uid: 42, gid: 43 } })
      writeFile.sync(file, 'e', { ...options, chown: { uid: 0, gid: 0 } })
    }
    expect(seen).toEqual([0o755, 0o755, 0o755, 0o755])
    expect(statSync(file).mode & 0o7777).toBe(0o6755)
    // Where giving away is refused, as without the right to it, the owner is not the one that the bits are about.
    const refused = () => {
      throw Object.assign(new Error('refused'), { code: 'ENOSYS' })
    }
    vi.spyOn(fs.promises, 'chown').mockImplementation(async () => refused())
    vi.spyOn(fs, 'chownSync').mockImplementation(refused)
    const options = { mode: 0o4751, chown: { uid: 44, gid: 45 } }
    await writeFile(file, 'f', options)
    expect(statSync(file).mode & 0o7777).toBe(0o751)
    writeFile.sync(file, 'g', { ...options, mode: 0o4711 })
    expect(statSync(file).mode & 0o7777).toBe(0o711)
    // Nothing is known of a file that cannot be looked at, so it is not replaced.
    const unseen = () => {
      throw Object.assign(new Error('unseen'), { code: 'EACCES' })
    }
    vi.spyOn(fs.promises, 'stat').mockImplementation(async () => unseen())
    vi.spyOn(fs, 'statSync').mockImplementation(unseen)
    expect(await rejection(writeFile(file, 'h', options))).toMatchObject({ code: 'EACCES' })
    expect(() => writeFile.sync(file, 'h', options)).toThrow('unseen')
    expect(text(file)).toBe('g')
  })
})

describe('steno', () => {
  test('writes the first and the newest of what comes at once', async ({ dir }) => {
    const file = join(dir, 'file')
    const writer = new Writer(file)
    const order: number[] = []
    const calls = [1, 2, 3, 4].map((n) => writer.write(`${n}`).then(() => order.push(n)))
    await calls[0]
    expect(['1', '4']).toContain(text(file))
    await Promise.all(calls)
    expect([text(file), order]).toEqual(['4', [1, 2, 3, 4]])
    await writer.write(Buffer.from('5'))
    expect(text(file)).toBe('5')
  })

  test('each call hears of its own failure, and the next one goes on', async ({ dir }) => {
    const writer = new Writer(join(dir, 'none', 'file'))
    const failed = [1, 2, 3].map((n) => rejection(writer.write(`${n}`)))
    expect(await Promise.all(failed)).toMatchObject([1, 2, 3].map(() => ({ code: 'ENOENT' })))
    expect(await rejection(writer.write('4'))).toMatchObject({ code: 'ENOENT' })
    expect(await rejection(writer.write(1 as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })
})

const { atomicAdapter, JSONFileSync } = door

function messageOf(call: () => unknown): string {
  try {
    call()
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('lowdb', () => {
  /** What a program that uses presets finds and leaves. */
  async function usePresets(
    { JSONFilePreset, JSONFileSyncPreset }: Pick<typeof door, 'JSONFilePreset' | 'JSONFileSyncPreset'>,
    dir: string,
  ) {
    mkdirSync(dir)
    const file = join(dir, 'db.json')
    const db = await JSONFilePreset<{ posts: string[] }>(file, { posts: [] })
    const begun = names(dir)
    await db.update(({ posts }) => posts.push('a'))
    db.data.posts.push('b')
    await db.write()
    const sync = JSONFileSyncPreset<{ posts: string[] }>(file, { posts: ['default'] })
    const found = [...sync.data.posts]
    sync.update(({ posts }) => posts.push('c'))
    await db.read()
    return [begun, found, db.data, names(dir), names(dir).map((name) => readJson(join(dir, name)))]
  }

  test('the presets do as those of lowdb, in tests in memory', async ({ dir }) => {
    const inTests = await usePresets(presets, join(dir, 'theirs in tests'))
    expect(await usePresets(door, join(dir, 'in tests'))).toEqual(inTests)
    expect(inTests[3]).toEqual([])
    vi.stubEnv('NODE_ENV', 'production')
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const theirs = await usePresets(presets, join(dir, 'theirs'))
    expect(await usePresets(door, join(dir, 'ours'))).toEqual(theirs)
    expect(theirs[1]).toEqual(['a', 'b'])
    const file = join(dir, 'kept.json')
    const kept = await door.JSONFilePreset<{ n: number }>(file, { n: 0 }, { backup: true })
    for (const _ of '12') await kept.update((data) => data.n++)
    expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
  })

  test('Low and LowSync refuse what those of lowdb refuse', ({ dir }) => {
    const adapter = atomicAdapter<object>(join(dir, 'a'))
    const reasonsOf = (...given: unknown[]) => {
      const make = (Class: new (...given: never[]) => object) => () => Reflect.construct(Class, given)
      return [Low, LowSync, door.Low, door.LowSync].map((Class) => messageOf(make(Class)))
    }
    for (const given of [[], [undefined, {}], [adapter], [adapter, undefined]]) {
      const reasons = reasonsOf(...given)
      expect(reasons[0]).toContain('lowdb: missing')
      expect(new Set(reasons).size).toBe(1)
    }
    expect(new Set(reasonsOf(null, {}))).toEqual(new Set(['']))
  })

  test('what presets give is a Low of lowdb for the compiler, and their adapter one in tests too', async ({
    dir,
  }) => {
    interface Posts {
      posts: string[]
    }
    const db: Low<Posts> = await door.JSONFilePreset(join(dir, 'a'), { posts: [] as string[] })
    const sync: LowSync<Posts> = door.JSONFileSyncPreset(join(dir, 'a'), { posts: [] as string[] })
    const ofAny = <T>(data: T): Promise<Low<T>> => door.JSONFilePreset(join(dir, 'a'), data)
    await db.update(({ posts }) => posts.push('a'))
    expect(await db.adapter.read().then((data) => data)).toEqual({ posts: ['a'] })
    expect([sync.adapter.read(), (await ofAny('text')).data]).toEqual([null, 'text'])
  })

  test('options are none, or mean something; no directory is made unless it is asked for', async ({
    dir,
  }) => {
    for (const onCorrupt of ['bogus', 'Reject', null, 1]) {
      const options = { onCorrupt: onCorrupt as 'reject' }
      expect(() => atomicAdapter(join(dir, 'a'), options)).toThrow(
        expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' }),
      )
    }
    const path = join(dir, 'none', 'a')
    for (const options of [undefined, null, {}, { mkdir: undefined }, { mkdir: false }]) {
      const adapter = new door.JSONFile<object>(path, options)
      expect(await adapter.read()).toBe(null)
      expect(await rejection(adapter.write({}))).toMatchObject({ code: 'ENOENT' })
    }
    await new door.JSONFile<object>(path, { mkdir: true, onCorrupt: undefined }).write({ n: 1 })
    expect(readJson(path)).toEqual({ n: 1 })
  })

  test('data that JSON would lose, and such as is no index, is refused; the synchronous one takes any JSON', async ({
    dir,
  }) => {
    const path = join(dir, 'a')
    const adapter = new door.JSONFile<unknown>(path)
    const loop: { self?: unknown } = {}
    loop.self = loop
    const reasons: [data: unknown, message: RegExp | string][] = [
      ['text', 'The data must be an object or an array. Received type string'],
      [1, 'The data must be an object or an array. Received type number (1)'],
      [new Map([[1, 2]]), /^The data is a Map, of .* Write Object\.fromEntries\(map\)$/],
      [{ map: new Map() }, /^The data has a Map at data\["map"\], of /],
      [{ big: 1n }, 'The data cannot be written as JSON: Do not know how to serialize a BigInt'],
      [loop, /^The data cannot be written as JSON: Converting circular structure to JSON$/],
      [{ toJSON: () => 1 }, 'The data cannot be written as JSON: its toJSON makes neither'],
    ]
    for (const [data, message] of reasons) {
      const error = await rejection(adapter.write(data))
      expect(error.message).toMatch(message)
      expect(error.stack).toContain(error.message)
    }
    const stringify = () => {
      throw new Error('no')
    }
    const codec = { parse: JSON.parse, stringify }
    const own = new door.JSONFile<unknown>(path, { codec })
    expect((await rejection(own.write({}))).message).toMatch(/^The data cannot be written by options\.codec/)
    expect(names(dir)).toEqual([])
    new JSONFileSync<unknown>(path).write('text')
    expect(readJson(path)).toBe('text')
  })

  test('Low reads, updates and writes', async ({ dir }) => {
    const file = join(dir, 'db.json')
    const db = new Low(atomicAdapter<{ posts: string[] }>(file, { backup: true }), { posts: [] })
    await db.read()
    expect(db.data).toEqual({ posts: [] })
    await db.update(({ posts }) => posts.push('a'))
    await db.update(({ posts }) => posts.push('b'))
    expect(text(file)).toBe('{\n  "posts": [\n    "a",\n    "b"\n  ]\n}')
    expect(readJson(`${file}.backup`)).toEqual({ posts: ['a'] })
    const again = new Low(atomicAdapter<{ posts: string[] }>(file), { posts: [] })
    await again.read()
    expect(again.data.posts).toEqual(['a', 'b'])
  })

  test('LowSync reads and writes', ({ file }) => {
    const db = new LowSync(new JSONFileSync<{ n: number }>(file), { n: 0 })
    db.read()
    db.update((data) => data.n++)
    expect(readJson(file)).toEqual({ n: 1 })
    const again = new LowSync(new JSONFileSync<{ n: number }>(file), { n: 0 })
    again.read()
    expect(again.data).toEqual({ n: 1 })
  })

  test('a broken file is not overwritten, and is recovered by a read only', async ({ dir, file }) => {
    writeFileSync(file, '{"a":')
    const corrupt = { code: 'ERR_ATOMIC_CORRUPT_INDEX' }
    const db = new Low<object>(atomicAdapter(file), {})
    expect(await rejection(db.read())).toMatchObject(corrupt)
    expect(await rejection(db.write())).toMatchObject(corrupt)
    const options = { backup: true, onCorrupt: 'recover' } as const
    const recovering = new Low<{ posts: string[] }>(atomicAdapter(file, options), { posts: [] })
    expect(await rejection(recovering.read())).toMatchObject(corrupt)
    writeJson(`${file}.backup`, { posts: ['a', 'b'] })
    expect(await rejection(recovering.write())).toMatchObject(corrupt)
    expect(text(file)).toBe('{"a":')
    await recovering.read()
    await recovering.update(({ posts }) => posts.push('c'))
    expect(readJson(file)).toEqual({ posts: ['a', 'b', 'c'] })
    const rebuilt = join(dir, 'rebuilt.json')
    writeFileSync(rebuilt, '[')
    const adapter = atomicAdapter<{ n: number }>(rebuilt, { onCorrupt: () => ({ n: 1 }) })
    expect([await adapter.read(), readJson(rebuilt)]).toEqual([{ n: 1 }, { n: 1 }])
  })
})
