// Parts of an index, read without parsing the rest.

import { writeFileSync } from 'node:fs'
import {
  atomicIndexPatch,
  atomicIndexUpdate,
  readIndexAt,
  readIndexKeys,
  readIndexRecords,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { writeJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

async function all(records: AsyncIterable<unknown>): Promise<unknown[]> {
  const given: unknown[] = []
  for await (const record of records) given.push(record)
  return given
}

const index = {
  posts: { hello: { n: 1 }, 'a/b~c': [null, 'x', { deep: true }], ü: 'ä"\\' },
  list: [1, { a: [] }, 'three'],
  10: 'ten',
  __proto__: { not: 'own' },
}

test.for([['of a file that another program has written'], ['of the text that this process keeps']] as const)(
  'values, keys and records %s',
  async ([which], { file }) => {
    const isKept = which.includes('keeps')
    if (isKept) await atomicIndexUpdate(file, () => index)
    else writeFileSync(file, `\ufeff ${JSON.stringify(index, null, '\t')}\r\n`)
    // More than once: what is kept stays kept, and is right.
    for (let time = 0; time < 2; time++) {
      expect(await readIndexAt(file, '')).toEqual(index)
      expect(await readIndexAt(file, '/posts/hello')).toEqual({ n: 1 })
      expect(await readIndexAt(file, '/posts/a~1b~0c/2/deep')).toBe(true)
      expect(await readIndexAt(file, '/posts/a~1b~0c/0')).toBe(null)
      expect(await readIndexAt(file, '/posts/ü')).toBe('ä"\\')
      const nowhere = [
        '/x',
        '/list/3',
        '/list/-',
        '/list/01',
        '/list/length',
        '/10/0',
        '/__proto__',
        '/constructor',
      ]
      for (const pointer of nowhere) expect(await readIndexAt(file, pointer), pointer).toBe(undefined)
      expect(await readIndexKeys(file)).toEqual(['10', 'posts', 'list'])
      expect(await readIndexKeys(file, '/posts')).toEqual(['hello', 'a/b~c', 'ü'])
      expect(await readIndexKeys(file, '/list')).toEqual(['0', '1', '2'])
      expect([await readIndexKeys(file, '/10'), await readIndexKeys(file, '/x')]).toEqual([
        undefined,
        undefined,
      ])
      expect(await all(readIndexRecords(file, '/list'))).toEqual(index.list)
      expect(await all(readIndexRecords(file, '/posts'))).toEqual(Object.entries(index.posts))
      expect(await all(readIndexRecords(file, '/list/1/a'))).toEqual([])
      expect([await all(readIndexRecords(file, '/x')), await all(readIndexRecords(file, '/10'))]).toEqual([
        [],
        [],
      ])
    }
    await atomicIndexPatch(file, { set: { '/posts/hello': 'new' } })
    expect(await readIndexAt(file, '/posts/hello')).toBe('new')
    writeJson(file, { posts: { hello: 'by another' } })
    expect(await readIndexAt(file, '/posts/hello')).toBe('by another')
  },
)

test('records come piece by piece, all of one version, and a loop may be left', async ({ file }) => {
  const record = (n: number) => ({ n, text: 'é'.repeat(500) })
  const many = Array.from({ length: 2000 }, (_, n) => record(n))
  await atomicIndexUpdate(file, () => ({
    many,
    by: Object.fromEntries(many.map((one) => [`k${one.n}`, one])),
  }))
  const records = readIndexRecords<{ n: number }>(file, '/many')
  let n = 0
  for await (const one of records) {
    expect(one.n).toBe(n++)
    if (n === 1) await atomicIndexPatch(file, { set: { '/many': [] } })
  }
  expect(n).toBe(2000)
  expect(await all(readIndexRecords(file, '/many'))).toEqual([])
  expect(await all(readIndexRecords(file, '/by'))).toEqual(many.map((one) => [`k${one.n}`, one]))
  for await (const [key] of readIndexRecords<[string, unknown]>(file, '/by')) {
    expect(key).toBe('k0')
    break
  }
  // Nothing holds the file or its text.
  await atomicIndexUpdate(file, () => ({}))
})

describe('what is wrong', () => {
  test('is told as readIndex tells it', async ({ dir, file }) => {
    const missing = `${dir}/missing`
    expect(await readIndexAt(missing, '/a')).toBe(undefined)
    expect(await readIndexKeys(missing)).toBe(undefined)
    expect(await all(readIndexRecords(missing))).toEqual([])
    writeFileSync(file, '{"a": 1,\n "b": x}')
    const corrupt = { code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file, offset: 15, line: 2, column: 7 }
    expect(await rejection(readIndexAt(file, '/a'))).toMatchObject(corrupt)
    expect(await rejection(readIndexKeys(file))).toMatchObject(corrupt)
    expect(await rejection(readIndexRecords(file).next())).toMatchObject(corrupt)
    writeJson(`${file}.backup`, { a: 'old' })
    expect(await readIndexAt(file, '/a', { fallback: 'backup' })).toBe('old')
    expect(await readIndexKeys(file, null, { fallback: 'backup' })).toEqual(['a'])
    expect(await readIndexAt(missing, '/a', { fallback: 'backup' })).toBe(undefined)
    expect(await rejection(readIndexAt(dir, '/a'))).toMatchObject({ code: 'EISDIR' })
  })

  test('numbers that JavaScript would change, of what is returned alone', async ({ file }) => {
    writeFileSync(file, '{"n": 1,\n "big": 12345678901234567890, "list": [1, 12345678901234567890]}')
    expect(await readIndexAt(file, '/n')).toBe(1)
    const lossy = { code: 'ERR_ATOMIC_LOSSY_INDEX', literal: '12345678901234567890', line: 2 }
    expect(await rejection(readIndexAt(file, '/big'))).toMatchObject({ ...lossy, offset: 17, column: 9 })
    expect(await rejection(readIndexRecords(file, '/list').next())).toMatchObject({ ...lossy, offset: 51 })
    expect(await readIndexAt(file, '/list', { numbers: 'lossy' })).toEqual([
      1,
      Number('12345678901234567890'),
    ])
    // The last of equal keys counts, as for JSON.parse.
    writeFileSync(file, '{"a": {"x": 1}, "\\u0061": {"y": 2}}')
    expect([await readIndexAt(file, '/a/x'), await readIndexAt(file, '/a')]).toEqual([undefined, { y: 2 }])
    expect(await readIndexKeys(file)).toEqual(['a'])
  })

  test('arguments, and what needs the whole index', async ({ file }) => {
    writeJson(file, {})
    const wrong: [Promise<unknown>, string, string][] = [
      [readIndexAt(file, 'a'), 'ERR_INVALID_ARG_VALUE', "'pointer' must be a JSON pointer"],
      [readIndexAt(file, '/0'.repeat(1001)), 'ERR_INVALID_ARG_VALUE', 'with at most 1000 keys'],
      [readIndexAt(file, '/~'), 'ERR_INVALID_ARG_VALUE', 'must be a JSON pointer'],
      [
        readIndexAt(file, undefined as never),
        'ERR_INVALID_ARG_TYPE',
        '"pointer" argument must be of type string',
      ],
      [readIndexKeys(file, 1 as never), 'ERR_INVALID_ARG_TYPE', '"pointer"'],
      [
        readIndexAt(file, '', { initial: {} } as never),
        'ERR_INVALID_ARG_VALUE',
        "'options.initial' needs the whole index",
      ],
      [
        readIndexKeys(file, '', { onCorrupt: 'recover' } as never),
        'ERR_INVALID_ARG_VALUE',
        "'options.onCorrupt' needs",
      ],
      [
        readIndexRecords(file, '', { fallback: 'backup' } as never).next(),
        'ERR_INVALID_ARG_VALUE',
        'options.fallback',
      ],
      [
        readIndexAt('s3://b/i', '/a'),
        'ERR_ATOMIC_UNSUPPORTED',
        'call readIndex, and take the part from its value',
      ],
      [readIndexRecords('s3://b/i').next(), 'ERR_ATOMIC_UNSUPPORTED', 'read as a whole'],
    ]
    for (const [call, code, message] of wrong) {
      expect(await rejection(call)).toMatchObject({ code, message: expect.stringContaining(message) })
    }
  })
})

/** How many bytes of memory a process takes more at once for a look into a file. */
async function peak({ readIndexAt }: Remote, file: string, pointer: string) {
  const before = process.resourceUsage().maxRSS
  const value = await readIndexAt(file, pointer)
  return { value, growth: (process.resourceUsage().maxRSS - before) * 1024 }
}

test('a value in a file is found without all of it in memory; its last byte counts all the same', async ({
  file,
}) => {
  const size = 48 << 20
  const records = Array.from({ length: 200_000 }, (_, id) => ({ id, text: 'é'.repeat(120) }))
  const text = JSON.stringify({ records, last: [1, 'end'] })
  writeFileSync(file, text)
  expect(Buffer.byteLength(text)).toBeGreaterThan(size)
  const look = (pointer: string) => inProcess(peak, [file, pointer]).returned
  const [found, last, none] = [await look('/records/150000/id'), await look('/last/1'), await look('/x/y')]
  expect([found.value, last.value, none.value]).toEqual([150_000, 'end', undefined])
  for (const { growth } of [found, last, none]) expect(growth).toBeLessThan(size / 2)
  // Behind the value: one that takes its place, and damage.
  writeFileSync(file, `${text.slice(0, -1)},"records":[{"id":"later"}]}`)
  expect(await readIndexAt(file, '/records/0/id')).toBe('later')
  expect(await readIndexAt(file, '/records/1/id')).toBe(undefined)
  writeFileSync(file, `${text.slice(0, -1)},`)
  expect(await rejection(readIndexAt(file, '/records/0/id'))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    offset: Buffer.byteLength(text) - 1,
  })
})
