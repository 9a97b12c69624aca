import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const never = () => expect.fail('fn was called')

const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)))

describe('an index that is not JSON is refused and left as it is', () => {
  const damaged: [what: string, content: Buffer, place: { offset: number; line: number; column: number }][] =
    [
      ['an empty file', bytes(''), { offset: 0, line: 1, column: 1 }],
      ['NUL bytes only', Buffer.alloc(4096), { offset: 0, line: 1, column: 1 }],
      ['NUL bytes at the end', bytes('{}', [0, 0]), { offset: 2, line: 1, column: 3 }],
      ['invalid UTF-8 in a string', bytes('{\n"a": "', [0xff], '"}'), { offset: 8, line: 2, column: 7 }],
      ['a cut character', bytes('["', [0xe6, 0xbc]), { offset: 2, line: 1, column: 3 }],
      ['a surrogate in UTF-8', bytes('["', [0xed, 0xa0, 0x80], '"]'), { offset: 2, line: 1, column: 3 }],
      ['damage after a byte order mark', bytes('\ufeff{\n"a"}'), { offset: 8, line: 2, column: 4 }],
      ['two byte order marks', bytes('\ufeff\ufeff{}'), { offset: 3, line: 1, column: 4 }],
      ['UTF-16', Buffer.from('{}', 'utf16le'), { offset: 0, line: 1, column: 1 }],
      ['something after the end', bytes('{} {}'), { offset: 3, line: 1, column: 4 }],
      ['a comment', bytes('{\n  // no\n}'), { offset: 4, line: 2, column: 3 }],
      ['a trailing comma', bytes('[1,]'), { offset: 3, line: 1, column: 4 }],
      ['single quotes', bytes("{'a':1}"), { offset: 1, line: 1, column: 2 }],
      ['a wrong word in line 3', bytes('{\n  "a": 1,\n  "b": yes\n}'), { offset: 19, line: 3, column: 8 }],
      ['NaN', bytes('[NaN]'), { offset: 1, line: 1, column: 2 }],
      ['a leading zero', bytes('[01]'), { offset: 2, line: 1, column: 3 }],
      ['a newline in a string', bytes('["a\nb"]'), { offset: 3, line: 1, column: 4 }],
      ['a conflict that git left', bytes('<<<<<<< HEAD\n{}\n'), { offset: 0, line: 1, column: 1 }],
    ]

  test.for(damaged)('%s', async ([, content, place], { dir, file }) => {
    writeFileSync(file, content)
    const before = state(file)
    const error = await rejection(atomicIndexUpdate(file, never))
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
    expect(error.offset).toBe(place.offset)
    expect(error.message).toContain(file)
    expect(error.message).toContain(`line ${error.line}`)
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test.for(damaged)('%s: line and column', async ([, content, { line, column }], { file }) => {
    writeFileSync(file, content)
    expect(await rejection(atomicIndexUpdate(file, never))).toMatchObject({ line, column })
  })

  const called: [what: string, content: Buffer, reason: string, advice: string][] = [
    ['a file of NUL bytes', Buffer.alloc(4096), 'is filled with NUL bytes', 'recoverIndex'],
    [
      'NUL bytes at the end',
      bytes('{"a": "', [0, 0, 0]),
      'there are NUL bytes at byte 7',
      'recoverIndex, or by the option onCorrupt',
    ],
    ['UTF-16', Buffer.from('{"a": 1}\n', 'utf16le'), 'is UTF-16', 'save it as UTF-8'],
    ['UTF-16 with its mark', Buffer.from('\ufeff{}', 'utf16le'), 'is UTF-16', 'save it as UTF-8'],
    ['UTF-16, big end first', Buffer.from('\ufeff{}', 'utf16le').swap16(), 'is UTF-16', 'save it as UTF-8'],
    ['an empty file', bytes(''), 'is empty', 'recoverIndex'],
  ]
  test.for(called)('%s is called what it is', async ([, content, reason, advice], { file }) => {
    writeFileSync(file, content)
    const { message } = await rejection(atomicIndexUpdate(file, never))
    expect(message).toContain(reason)
    expect(message).toContain(advice)
  })

  test('one that was cut, after whichever byte', async ({ file }) => {
    const whole = Buffer.from('{\n  "ü": [1.5e3, "\\u00e9 \\" 漢", true, null],\n  "b": {}\n}')
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.subarray(0, length)
      writeFileSync(file, cut)
      const error = await rejection(atomicIndexUpdate(file, never))
      expect(error, `cut after ${length} bytes`).toMatchObject({
        code: 'ERR_ATOMIC_CORRUPT_INDEX',
        path: file,
      })
      expect(error.offset, `cut after ${length} bytes`).toBeLessThanOrEqual(length)
      expect(readFileSync(file).equals(cut)).toBe(true)
    }
  })

  test('with a backup wanted, the backup from before is not touched either', async ({ dir, file }) => {
    writeFileSync(file, '{"n":')
    writeFileSync(`${file}.backup`, '{"n":1}')
    const before = state(`${file}.backup`)
    expect(await rejection(atomicIndexUpdate(file, never, { backup: true }))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
    })
    expect(state(`${file}.backup`)).toEqual(before)
    expect(readFileSync(file, 'utf8')).toBe('{"n":')
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('an initial index does not take its place', async ({ file }) => {
    writeFileSync(file, '')
    const update = atomicIndexUpdate(file, never, { initial: {} })
    expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX' })
    expect(readFileSync(file, 'utf8')).toBe('')
  })

  test('one that a program destroys while fn runs is refused, too', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const destroy = (index: unknown) => {
      writeFileSync(file, 'destroyed')
      return index
    }
    const error = await rejection(atomicIndexUpdate(file, (index) => ({ ...destroy(index)!, n: 2 })))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', offset: 0 })
    expect(readFileSync(file, 'utf8')).toBe('destroyed')
    expect(names(dir)).toEqual(['index.json'])
  })

  test('the next update succeeds once it is repaired', async ({ file }) => {
    writeFileSync(file, '{')
    await rejection(atomicIndexUpdate(file, never))
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }))
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

describe('an index that is JSON is read, however odd', () => {
  const odd: [what: string, text: string][] = [
    ['duplicate keys: the last one counts', '{"a":1,"a":2}'],
    ['lone surrogates in escapes', '{"a":"\\ud800","b":"\\udc00\\ud800"}'],
    ['numbers beyond the range of a double', '{"a":1e999,"b":-1e999,"c":1e-999}'],
    ['digits beyond the precision of a double', '{"a":12345678901234567890,"b":0.1234567890123456789}'],
    ['minus zero', '{"a":-0}'],
    ['an empty key', '{"":{"":0}}'],
    ['space everywhere', ' \t\r\n{ "a" :\t[ 1 , 2 ]\r\n}\n\n'],
    ['escapes of all kinds', '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u2028"}'],
    ['the last character of Unicode', '{"a":"\u{10ffff}"}'],
    ['a number', '1'],
    ['a string', '"text"'],
    ['null', 'null'],
  ]
  test.for(odd)('%s', async ([, text], { file }) => {
    writeFileSync(file, text)
    let given: unknown
    await atomicIndexUpdate(
      file,
      (index) => {
        given = structuredClone(index)
        return { read: true }
      },
      { numbers: 'lossy' },
    )
    expect(given).toEqual(JSON.parse(text))
    expect(readJson(file)).toEqual({ read: true })
  })

  test('a key __proto__ is a key like any other, on the way in and out', async ({ file }) => {
    writeFileSync(file, '{"__proto__":{"polluted":true}}')
    await atomicIndexUpdate(file, (index) => {
      expect(Object.getPrototypeOf(index)).toBe(Object.prototype)
      expect(Object.keys(index)).toEqual(['__proto__'])
      return Object.defineProperty(index, 'n', { value: 1, enumerable: true })
    })
    expect(readFileSync(file, 'utf8')).toBe('{"__proto__":{"polluted":true},"n":1}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('lone surrogates are written as escapes, so that the file stays UTF-8', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ a: '\ud800' }), { space: 0 })
    expect(readFileSync(file, 'utf8')).toBe('{"a":"\\ud800"}')
  })

  const DEPTH = 100_000
  const deep = '['.repeat(DEPTH) + ']'.repeat(DEPTH)

  test('a depth that JSON.parse copes with is read', async ({ file }) => {
    writeFileSync(file, deep)
    await atomicIndexUpdate(file, (index) => ({ wasArray: Array.isArray(index) }))
    expect(readJson(file)).toEqual({ wasArray: true })
  })

  test('a depth that JSON.stringify does not cope with is no result', async ({ file }) => {
    writeFileSync(file, deep)
    const error = await rejection(atomicIndexUpdate(file, (index) => index))
    expect(error).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE', cause: expect.any(RangeError) })
    expect(readFileSync(file, 'utf8') === deep).toBe(true)
  })

  test('a depth without an end is corrupt and does not overflow anything', async ({ file }) => {
    writeFileSync(file, '[{"a":'.repeat(1_000_000))
    expect(await rejection(atomicIndexUpdate(file, never))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      line: 1,
    })
  })

  test('30 MB of it are read, changed and written', async ({ file }) => {
    const records = Array.from({ length: 150_000 }, (_, id) => ({
      id,
      title: `Ünique title ${id}`,
      tags: ['a', 'b'],
      pad: 'x'.repeat(140),
    }))
    await atomicIndexUpdate(file, () => records, { space: 0 })
    const { bytes } = await atomicIndexUpdate<typeof records>(file, (index = []) => {
      index.push({ ...index[0]!, id: index.length })
      return index
    })
    expect(bytes).toBeGreaterThan(30e6)
    const now = readJson(file)
    expect(now).toHaveLength(150_001)
    expect(now.at(-1).id).toBe(150_000)
  })
})
