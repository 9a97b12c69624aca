// The work of the codecs that keep comments grows with the text, and not with its square. It is counted: a clock would tell of the machine.

import { createRequire } from 'node:module'
import { jsonc } from '@pipeline/atomic/jsonc'
import { expect, onTestFinished, test, vi } from 'vitest'

const { align, isSame, textOf } = createRequire(import.meta.url)('../../codecs/diff.js')

test('items of two lists are looked through once each, and not once for each pair', () => {
  let looks = 0
  const item = (n: number) => ({
    get n() {
      looks++
      return n
    },
  })
  const before = Array.from({ length: 200 }, (_, n) => item(n))
  const after = Array.from({ length: 200 }, (_, n) => item(n % 2 === 0 ? 1000 + n : n))
  expect(align(before, after).filter(([one, other]: number[]) => one === other)).toHaveLength(200)
  expect(looks).toBeLessThan(2000)
})

test.for<[string, number, number, number]>([
  ['to an empty list', 0, 1000, 0],
  ['all of a list', 1000, 0, 0],
  // From the start, and from the end.
  ['one for another', 1, 1, 2],
  ['a few for others', 4, 4, 2 + 2 * 16],
])('items are not looked through where that says nothing: %s', ([, old, next, comparisons]) => {
  let [looks, ids] = [0, 0]
  const item = (id: number) => ({
    get id() {
      ids++
      return id
    },
    get large() {
      looks++
      return id
    },
  })
  const [before, after] = [old, next].map((length, side) =>
    Array.from({ length }, (_, n) => item(2 * n + side)),
  )
  expect(align(before, after)).toHaveLength(Math.max(old, next))
  expect(looks).toBe(0)
  expect(ids).toBeLessThanOrEqual(2 * comparisons)
})

test('items have one text if, and only if, they are the same', () => {
  const values = [
    ...[
      0,
      -0,
      1,
      '1',
      '0',
      '-0',
      1n,
      true,
      'true',
      null,
      'null',
      undefined,
      'undefined',
      Number.NaN,
      'number 1',
    ],
    ...['', 'a', 'a"', '"a"', 'a,b', '[]', '{}', 'date null', '{"a":number 1}'],
    ...[[], [[]], [''], ['a', 'b'], ['a,b'], ['a","b'], [1, 2], [[1], 2], [[1, 2]], [1], [1, null]],
    ...[
      {},
      { a: 1 },
      { a: '1' },
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { 'a":1,"b': 2 },
      { 'a,b': 1 },
      { '': 1 },
      { a: {} },
      { a: [] },
    ],
    ...[{ 'a:b': 'c' }, { a: 'b:c' }, { 'a:number 1,b': 2 }],
    ...[
      new Date(0),
      new Date(1),
      new Date(Number.NaN),
      '1970-01-01T00:00:00.000Z',
      'date 1970-01-01T00:00:00.000Z',
    ],
  ]
  for (const one of values) {
    for (const other of [...values, structuredClone(one)]) {
      expect([one, other, textOf(one) === textOf(other)]).toEqual([one, other, isSame(one, other)])
    }
  }
  const holes: unknown[] = []
  holes.length = 2
  expect(textOf(holes)).toBe(textOf([undefined, undefined]))
})

test('in a text of one line, changes all over it do not look back to its start', () => {
  const index = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, { n }]))
  const text = JSON.stringify(index)
  for (const value of Object.values(index)) value.n++
  const look = vi.spyOn(String.prototype, 'lastIndexOf')
  onTestFinished(() => look.mockRestore())
  const changed = jsonc.stringify(index, text)
  const looked = look.mock.contexts.map((one, at) =>
    Math.min(look.mock.calls[at]?.[1] ?? Number.POSITIVE_INFINITY, String(one).length),
  )
  expect(changed).toBe(JSON.stringify(index))
  expect(looked.reduce((sum, length) => sum + length, 0)).toBeLessThan(3 * text.length)
})
