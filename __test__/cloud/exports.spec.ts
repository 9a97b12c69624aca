// The functions that were made for stores: what is handed to the peer, and what they do with files.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexPatch, atomicIndexUpdate, atomicWrite, readIndex, remove } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { test } from '../helpers/cloud'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'

buildRefuse()

const refused = needs('a C compiler')

test('all arguments for an object go to the peer', async ({ project }) => {
  project.installPeer()
  const seen = await project.run(async (atomic) => {
    const { fake } = atomic.require('@pipeline/atomic-cloud')
    const url = new URL('gs://b/k')
    const results: unknown[] = [
      await atomic.readIndex(url, { initial: 1 }),
      await atomic.remove(url, { ifVersion: 'v' }),
      await atomic.atomicIndexPatch(url, { set: { a: 1 } }, { wait: 'accepted' }),
      await atomic.atomicPublish(url, [{ path: 'p', data: '' }], { keep: 3 }),
      await atomic.readRelease(url, { endpoint: 'e' }),
    ]
    const listed = []
    for await (const object of atomic.list(url, { maxAttempts: 2 })) listed.push(object)
    return { results, listed, calls: fake.calls }
  })
  const url = 'gs://b/k'
  expect(seen).toEqual({
    results: ['readIndex', 'remove', 'atomicIndexPatch', 'atomicPublish', 'readRelease'].map((by) => ({
      by,
    })),
    listed: [{ path: 'gs://b/k/1' }],
    calls: [
      ['readIndex', url, { initial: 1 }],
      ['remove', url, { ifVersion: 'v' }],
      ['atomicIndexPatch', url, { set: { a: 1 } }, { wait: 'accepted' }],
      ['atomicPublish', url, [{ path: 'p', data: '' }], { keep: 3 }],
      ['readRelease', url, { endpoint: 'e' }],
      ['list', url, { maxAttempts: 2 }],
    ],
  })
})

test('what only stores have is refused for files, with what to do instead', async ({ project }) => {
  const seen = await project.run(async ({ atomicPublish, list, readRelease }) => {
    const calls: Promise<unknown>[] = [
      list('folder')[Symbol.asyncIterator]().next(),
      list('s3://b/')[Symbol.asyncIterator]().next(),
      atomicPublish('folder', []),
      readRelease('folder'),
    ]
    return Promise.all(calls.map((call) => call.catch(({ code, path, message }) => [code, path, message])))
  })
  const refused = (instead: string) => [
    'ERR_ATOMIC_UNSUPPORTED',
    'folder',
    `ERR_ATOMIC_UNSUPPORTED: ${instead}, 'folder'`,
  ]
  expect(seen).toEqual([
    refused('the files of a directory are listed by readdir of node:fs'),
    ['ERR_ATOMIC_NO_CLOUD', 's3://b/', expect.stringContaining('npm install @pipeline/atomic-cloud')],
    refused('in a file system atomicDirectory replaces a whole directory at once'),
    refused('a directory that atomicDirectory has replaced is read by its path'),
  ])
})

test('what only objects have is refused for files', async ({ dir }) => {
  const file = join(dir, 'file')
  for (const call of [
    atomicWrite(file, '', { ifVersion: 'v' }),
    atomicWrite(file, '', { backup: true }),
    remove(file, { ifVersion: 'v' }),
  ]) {
    expect(await rejection(call)).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('is only for objects in stores'),
    })
  }
  expect(names(dir)).toEqual([])
})

describe('readIndex of a file', () => {
  test('parses it, or says that it is not there', async ({ dir, file }) => {
    writeFileSync(file, '\ufeff{ "ü": [1] }\n')
    expect(await readIndex(file)).toEqual({ value: { ü: [1] }, source: 'file' })
    for (const path of [join(dir, 'none'), join(dir, 'none/none')]) {
      expect(await readIndex(path)).toEqual({ value: undefined, source: 'initial' })
      expect(await readIndex(path, { initial: { a: 1 } })).toEqual({ value: { a: 1 }, source: 'initial' })
    }
  })

  test('refuses one that is no index, and numbers as an update does', async ({ file }) => {
    writeFileSync(file, '{')
    expect(await rejection(readIndex(file))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
    writeFileSync(file, '[1161888007138312192]')
    expect(await rejection(readIndex(file))).toMatchObject({ code: 'ERR_ATOMIC_LOSSY_INDEX' })
    expect((await readIndex(file, { numbers: 'lossy' })).value).toEqual([1161888007138312200])
  })

  test('does not wait for an update that has the index', async ({ file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, async (index) => {
      expect((await readIndex(file)).value).toEqual({ n: 1 })
      return { n: index.n + 1 }
    })
    expect((await readIndex(file)).value).toEqual({ n: 2 })
  })
})

describe('remove of a file', () => {
  test('removes it, and says whether there was one', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    expect(await remove(file)).toMatchObject({ removed: true })
    for (const path of [file, join(dir, 'none/file')]) {
      expect(await remove(path)).toEqual({ removed: false, durable: false })
    }
    expect(names(dir)).toEqual([])
  })

  test('has its place among the writes of the file, in the order of the calls', async ({ dir }) => {
    const file = join(dir, 'file')
    const results = await Promise.all([
      atomicWrite(file, '1'),
      remove(file),
      remove(file),
      atomicWrite(file, '2'),
      remove(file),
      atomicIndexUpdate(file, (index) => [index === undefined]),
    ])
    const removed = results.flatMap((result) => ('removed' in result ? [result.removed] : []))
    expect(removed).toEqual([true, false, true])
    expect(readJson(file)).toEqual([true])
  })

  test('removes what a link leads to, and not a directory', async ({ dir }) => {
    mkdirSync(join(dir, 'folder'))
    writeFileSync(join(dir, 'file'), '')
    symlinkSync('file', join(dir, 'link'))
    expect(await remove(join(dir, 'link'))).toMatchObject({ removed: true })
    expect(await rejection(remove(join(dir, 'folder')))).toMatchObject({ code: 'EISDIR' })
    expect(names(dir)).toEqual(['folder', 'link'])
  })

  refused('flushes the directory, and says so if that fails: the file is gone', async ({ dir }) => {
    const file = join(dir, 'file')
    const removal = ({ remove }: typeof import('@pipeline/atomic'), file: string, options?: object) =>
      remove(file, options).catch(({ code, syscall, committed, path }) => ({
        code,
        syscall,
        committed,
        path,
      }))
    const options = { before: refusing({ fsync: 'EIO' }) }
    writeFileSync(file, '')
    const failed = await inProcess(removal, [file, {}], options).returned
    expect(failed).toEqual({ code: 'EIO', syscall: 'fsync', committed: true, path: file })
    expect(names(dir)).toEqual([])
    writeFileSync(file, '')
    const unflushed = await inProcess(removal, [file, { flush: false }], options).returned
    expect(unflushed).toEqual({ removed: true, durable: false })
  })

  test('is refused after an abort', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), '')
    const removal = remove(join(dir, 'file'), { signal: AbortSignal.abort('no') })
    expect(await rejection(removal)).toMatchObject({ code: 'ABORT_ERR', cause: 'no' })
    expect(names(dir)).toEqual(['file'])
  })
})

describe('atomicIndexPatch of a file', () => {
  test('deletes and sets keys, and begins with none', async ({ file }) => {
    const first = await atomicIndexPatch(file, { set: { a: 1, b: 2 } })
    expect(first).toMatchObject({ applied: true, written: true, batchSize: 1 })
    await atomicIndexPatch(file, { delete: ['a', 'none', 'c'], set: { c: { d: 3 } } }, { wait: 'accepted' })
    expect(readJson(file)).toEqual({ b: 2, c: { d: 3 } })
    expect(await atomicIndexPatch(file, { delete: ['none'] })).toMatchObject({ written: false })
  })

  test('takes every name for a key', async ({ file }) => {
    const set = JSON.parse('{ "__proto__": 1, "toString": 2 }')
    await atomicIndexPatch(file, { set })
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(set)
    await atomicIndexPatch(file, { delete: ['__proto__', 'toString'] })
    expect(readFileSync(file, 'utf8')).toBe('{}')
  })

  test('shares commits with updates, and loses none', async ({ file }) => {
    const patches = Array.from({ length: 50 }, (_, at) => atomicIndexPatch(file, { set: { [at]: at } }))
    const results = await Promise.all(patches)
    expect(Object.keys(readJson(file))).toHaveLength(50)
    expect(Math.max(...results.map(({ batchSize = 0 }) => batchSize))).toBeGreaterThan(1)
  })

  test('copies what is to be set during the call', async ({ file }) => {
    const set = { a: 1 }
    const patch = atomicIndexPatch(file, { set })
    set.a = 2
    await patch
    expect(readJson(file)).toEqual({ a: 1 })
  })

  test('that shares a commit with an index it cannot change runs again on what is stored', async ({
    dir,
  }) => {
    const closed = (index: object) => Object.defineProperty(index, 'x', { configurable: false })
    const withToJSON = (index: object) => ({ ...index, toJSON: () => ({ x: 1, made: true }) })
    for (const [at, change] of [Object.freeze, Object.seal, closed, withToJSON].entries()) {
      const file = join(dir, `${at}`)
      writeJson(file, { x: 1 })
      const [update, patch] = await Promise.all([
        atomicIndexUpdate(file, (index) => change({ ...index, a: 2 })),
        atomicIndexPatch(file, { set: { y: 3 }, delete: ['x'] }),
      ])
      expect(update).toMatchObject({ written: true })
      expect(patch).toMatchObject({ written: true, applied: true })
      expect(readJson(file)).toEqual(change === withToJSON ? { made: true, y: 3 } : { a: 2, y: 3 })
    }
  })

  test('refuses to set what JSON would lose, or makes no object of', async ({ file }) => {
    class Entries {
      toJSON = () => [1]
    }
    const circular: Record<string, unknown> = {}
    circular.own = circular
    for (const [set, code, message] of [
      [new Date(), 'ERR_INVALID_ARG_TYPE', '"patch.set" property must be of type Object'],
      [new Entries(), 'ERR_INVALID_ARG_TYPE', '"patch.set" property must be of type Object'],
      [
        new Map([[1, 2]]),
        'ERR_INVALID_ARG_VALUE',
        '"patch" has a Map at ["set"], of which JSON keeps nothing',
      ],
      [
        { a: [new Set([1])] },
        'ERR_INVALID_ARG_VALUE',
        '"patch.set" has a Set at ["a"][0], of which JSON keeps nothing. Put [...set] there',
      ],
      [circular, 'ERR_INVALID_ARG_VALUE', "'patch.set' must be a value that JSON.stringify can write"],
      [{ a: 1n }, 'ERR_INVALID_ARG_VALUE', "'patch.set' must be a value that JSON.stringify can write"],
    ] as [never, string, string][]) {
      expect(await rejection(atomicIndexPatch(file, { set }))).toMatchObject({
        code,
        message: expect.stringContaining(message),
      })
    }
    const update = atomicIndexUpdate(file, (index) => index, { initial: { a: new Map() } })
    expect(await rejection(update)).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('"options.initial" has a Map at ["a"]'),
    })
    expect(existsSync(file)).toBe(false)
  })

  test('of an object is checked in the same way, and hands over a copy', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexPatch, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const outcomes: unknown[] = []
      const list: any = { toJSON: () => [1] }
      for (const set of [{ a: new Map() }, { a: 1n }, list, [1]] as never[]) {
        outcomes.push(await atomicIndexPatch('s3://b/i', { set }).catch(({ code }) => code))
      }
      const inside = { n: 1 }
      const patch = atomicIndexPatch('s3://b/i', { set: { inside, when: new Date(0) }, delete: ['b'] })
      inside.n = 2
      await patch
      return [outcomes, fake.calls]
    })
    const [value, type] = ['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE']
    const patch = { set: { inside: { n: 1 }, when: '1970-01-01T00:00:00.000Z' }, delete: ['b'] }
    expect(seen).toEqual([[value, value, type, type], [['atomicIndexPatch', 's3://b/i', patch, null]]])
  })

  test('of an object carries keys, also by pointers and as records; what else there is is refused', async ({
    project,
  }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexPatch, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const outcomes: unknown[] = []
      const upsert = {
        at: '',
        key: 'slug',
        records: [{ slug: 'a' }, { slug: '__proto__' }],
        remove: ['b', 'x'],
      }
      for (const patch of [
        { set: { '/b': 1, '/c~1d': 2, '/x': 3 }, upsert },
        { set: { '/b/c': 1 } },
        { remove: ['/b'] },
        { merge: { a: 1 } },
        [{ op: 'add', path: '/a', value: 1 }],
      ] as never[]) {
        outcomes.push(await atomicIndexPatch('s3://b/i', patch).catch(({ message }) => message))
      }
      return [outcomes, JSON.stringify(fake.calls)]
    })
    const refused = expect.stringContaining(
      "pointers of one key in set, and upsert at ''; make another change with",
    )
    const carried = '{"set":{"c/d":2,"a":{"slug":"a"},"__proto__":{"slug":"__proto__"}},"delete":["b","x"]}'
    expect(seen).toEqual([
      [{ by: 'atomicIndexPatch' }, refused, refused, refused, refused],
      `[["atomicIndexPatch","s3://b/i",${carried},null]]`,
    ])
  })

  test('keeps the digits of raw numbers that it sets', async ({ file }) => {
    const { returned } = inProcess(
      async ({ atomicIndexPatch }, file) => {
        const { rawJSON } = JSON as never as { rawJSON(text: string): unknown }
        const big = rawJSON('1161888007138312192')
        await atomicIndexPatch(file, { set: { big } }, { numbers: 'exact' })
        await atomicIndexPatch(file, { set: { more: [big, 0.5] } }, { numbers: 'exact' })
      },
      [file],
      { execArgv: 'rawJSON' in JSON ? [] : ['--harmony-json-parse-with-source'] },
    )
    await returned
    const digits = readFileSync(file, 'utf8').match(/[\d.]+/g)
    expect(digits).toEqual(['1161888007138312192', '1161888007138312192', '0.5'])
  })

  test('refuses another form of patch, and an index that is an array', async ({ file }) => {
    const code = 'ERR_INVALID_ARG_TYPE'
    for (const patch of [undefined, 'a', { set: [] }, { set: 1 }, { delete: 'a' }]) {
      expect(await rejection(atomicIndexPatch(file, patch as never))).toMatchObject({ code })
    }
    writeJson(file, [1])
    expect(await rejection(atomicIndexPatch(file, { set: { a: 1 } }))).toMatchObject({ code })
    expect(await rejection(atomicIndexPatch(file, {}, { wait: 'soon' as never }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    })
    expect(readJson(file)).toEqual([1])
  })
})

test("lowdb's adapter hands the options for stores to reads as to writes", async ({ project }) => {
  project.installPeer()
  const calls = await project.run(async ({ require }) => {
    const { JSONFile } = require('@pipeline/atomic/compat/lowdb')
    const adapter = new JSONFile('s3://bucket/db.json', { endpoint: 'e', maxAttempts: 2 })
    await adapter.read()
    return require('@pipeline/atomic-cloud').fake.calls
  })
  expect(calls).toMatchObject([['readIndex', 's3://bucket/db.json', { endpoint: 'e', maxAttempts: 2 }]])
})
