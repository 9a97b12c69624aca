// An update that changes nothing leaves the bytes alone, however the file is formatted.

import { writeFileSync } from 'node:fs'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { times, together } from '../helpers/group'
import { test } from '../helpers/test'

const same = (index: any) => index

async function expectAlone(file: string, text: string, options?: UpdateOptions) {
  writeFileSync(file, text)
  const before = state(file)
  const result = await atomicIndexUpdate(file, same, options)
  expect(result).toMatchObject({ written: false, bytes: Buffer.byteLength(text) })
  expect(state(file)).toEqual(before)
}

const formats: [what: string, text: string][] = [
  ['lines that end in CR and LF', '{\r\n  "a": [\r\n    1\r\n  ]\r\n}\r\n'],
  ['a byte order mark', '\ufeff{"a":"ü"}'],
  ['as an editor saves it', '\ufeff{\r\n\t"a": 1\r\n}\r\n'],
  ['spaces on one line', '{ "a": 1, "b": [1, 2, { }] }\n'],
  ['arrays on one line', '{\n  "a": [1, 2, 3],\n  "b": { "c": [] }\n}\n'],
  ['an indent of 12', `{\n${' '.repeat(12)}"a": 1\n}`],
  ['lines that end differently', '{\r\n  "a": 1,\n  "b": 2\r\n}\n'],
  ['blank lines', '{\n\n  "a": 1,\n\n  "b": 2\n\n}\n\n'],
  ['escapes', '{"\\u0061":"\\u00e9\\/\\ud83d\\ude00 \\uD800 \\u000a\\t"}'],
  ['numbers spelled otherwise', '[1.0,1e2,1E+2,0.10,-0,100e-2,0.30000000000000004]'],
  ['decimals with more digits than a double', '[0.1234567890123456789,1e-400]'],
  ['as written by JSON.stringify', JSON.stringify({ a: 1 }, null, 2)],
]

describe('a function that changes nothing writes nothing', () => {
  test.for(formats)('%s', async ([, text], { file }) => {
    await expectAlone(file, text)
  })

  test.for([
    [4, '[\n    1, 2\n]'],
    ['\t', '{\r\n\t"a": [1]\r\n}'],
    [0, '{ "a": 1 }'],
  ] as const)('with the space %j that the file has', async ([space, text], { file }) => {
    await expectAlone(file, text, { space })
  })

  test('but another space than the file has is a change', async ({ file }) => {
    writeFileSync(file, '{\r\n  "a": 1\r\n}')
    expect(await atomicIndexUpdate(file, same, { space: 4 })).toMatchObject({ written: true })
    expect(state(file).bytes).toBe('{\r\n    "a": 1\r\n}')
    expect(await atomicIndexUpdate(file, same, { space: 4 })).toMatchObject({ written: false })
  })

  test('an index of more than 16 MiB, of which no second text is kept', async ({ file }) => {
    const records = Array.from({ length: 4000 }, (_, id) => ({ id, pad: 'ü'.repeat(2500) }))
    const text = `[\r\n${records.map((record) => JSON.stringify(record)).join(',\r\n')}\r\n]`
    expect(text.length).toBeGreaterThan(9e6)
    await expectAlone(file, text)
    const [, last] = await Promise.all([
      atomicIndexUpdate(file, same),
      atomicIndexUpdate(file, (index) => {
        index[3999].id = 'changed'
        return index
      }),
    ])
    expect(last).toMatchObject({ written: true })
  })

  test('a group of them', async ({ dir, file }) => {
    writeFileSync(file, '{ "a": 1 }\r\n')
    const before = state(file)
    const calls = await together(file, () => times(5, () => atomicIndexUpdate(file, same, { backup: true })))
    expect(await Promise.all(calls)).toMatchObject(times(5, () => ({ written: false })))
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('functions of a group that undo each other', async ({ file }) => {
    writeFileSync(file, '{ "a": 1 }\r\n')
    const before = state(file)
    const fns = [() => ({ a: 2 }), (index: any) => ({ a: index.a - 1 })]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn)))
    await Promise.all(calls)
    expect(state(file)).toEqual(before)
  })
})

describe('a change is written, however small', () => {
  const changes: [what: string, text: string, next: unknown][] = [
    ['a space in a string', '{ "a": "b c" }', { a: 'bc' }],
    ['a number that becomes a string', '[ 1 ]', ['1']],
    ['the order of two keys', '{ "a": 1, "b": 2 }', { b: 2, a: 1 }],
    ['one more at the end', '[ 1 ]', [1, 2]],
    ['one less at the end', '[ 1, 2 ]', [1]],
    ['an escape that is none', '["\\\\u0061"]', ['a']],
  ]
  test.for(changes)('%s', async ([, text, next], { file }) => {
    writeFileSync(file, text)
    expect(await atomicIndexUpdate(file, () => next as object)).toMatchObject({ written: true })
    expect(JSON.parse(state(file).bytes)).toEqual(next)
  })
})

test('the text of the last commit, laid out by us, is what the next update starts from', async ({ file }) => {
  writeFileSync(file, '\ufeff{\r\n"n": 1\r\n}\r\n')
  for (const _ of [1, 2, 3]) await atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }))
  expect(state(file).bytes).toBe(Buffer.from('\ufeff{\r\n"n": 4\r\n}\r\n').toString('latin1'))
})
