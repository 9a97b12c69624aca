// What a function returns and JSON would write as {} is refused, with what to return instead.

import { createContext, runInContext } from 'node:vm'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

class Store {
  #pages = new Map([['a', 1]])
  get pages() {
    return this.#pages
  }
}

const elsewhere = createContext({})

const lost: [what: string, value: object, received: string, instead: string][] = [
  ['a Map', new Map([['a', 1]]), 'a Map', 'Object.fromEntries(map)'],
  ['a Map with a property', Object.assign(new Map([['a', 1]]), { b: 2 }), 'a Map', 'Object.fromEntries(map)'],
  [
    'a Map of another realm',
    runInContext('new Map([[1, 2]])', elsewhere),
    'a Map',
    'Object.fromEntries(map)',
  ],
  [
    'a subclass of Map',
    new (class Pages extends Map<string, number> {})([['a', 1]]),
    'a Map',
    'Object.fromEntries(map)',
  ],
  ['a Set', new Set([1]), 'a Set', '[...set]'],
  ['an empty Set', new Set(), 'a Set', '[...set]'],
  ["a Map's values", new Map([['a', 1]]).values(), 'a Map Iterator', 'Array.from(iterator)'],
  [
    'a generator',
    (function* () {
      yield 1
    })(),
    'a Generator',
    'Array.from(iterator)',
  ],
  ['an Error', new Error('no'), 'an Error', 'toJSON'],
  ['a RegExp', /a/, 'a RegExp', 'toJSON'],
  ['an ArrayBuffer', new ArrayBuffer(8), 'an ArrayBuffer', 'toJSON'],
]

describe('an index of which JSON keeps nothing', () => {
  test.for([...lost, ['an instance of a class', new Store(), 'a Store', 'toJSON'] as const])(
    '%s',
    async ([, value, received, instead], { dir, file }) => {
      writeJson(file, { n: 1 })
      const before = state(file)
      const error = await rejection(atomicIndexUpdate(file, () => value))
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' })
      expect(error.message).toContain(`The function returned ${received}, of which JSON keeps nothing`)
      expect(error.message).toContain(instead)
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json'])
    },
  )

  test('promised', async ({ file }) => {
    const error = await rejection(atomicIndexUpdate(file, async () => new Map()))
    expect(error).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
  })
})

describe('something in an index of which JSON keeps nothing', () => {
  test.for([...lost, ['a promise', Promise.resolve(1), 'a Promise', 'await'] as const])(
    '%s',
    async ([, value, received, instead], { file }) => {
      // JSON keeps this property, and so there is nothing to find the loss by.
      if (Object.keys(value).length > 0) return
      writeJson(file, { documents: {}, lists: [{}] })
      const before = state(file)
      const error = await rejection(
        atomicIndexUpdate(file, (index) => ({ ...index, documents: { 'a b': [1, value] } })),
      )
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' })
      expect(error.message).toContain(`returned ${received} at index["documents"]["a b"][1], of which`)
      expect(error.message).toContain(instead)
      expect(state(file)).toEqual(before)
    },
  )

  test('in the place of an empty object', async ({ file }) => {
    writeJson(file, { tags: {} })
    const update = atomicIndexUpdate(file, (index) => Object.assign(index, { tags: new Map([['a', 1]]) }))
    expect(await rejection(update)).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
  })

  test('from one of a group: the others are written', async ({ file }) => {
    writeJson(file, [])
    const calls = await together(file, () =>
      times(5, (at) => atomicIndexUpdate(file, (index) => [...index, at === 3 ? new Set([1]) : at])),
    )
    expect(await rejection(calls[3]!)).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
    await Promise.all(calls.filter((_, at) => at !== 3))
    expect(readJson(file)).toEqual([0, 1, 2, 4])
  })
})

describe('what JSON keeps is written', () => {
  class Page {
    title?: string = undefined
    constructor(readonly slug: string) {}
  }
  const kept: [what: string, value: object, written: unknown][] = [
    ['an instance with properties', new Page('a'), { slug: 'a' }],
    ['a Map with a toJSON', Object.assign(new Map(), { toJSON: () => ({ a: 1 }) }), { a: 1 }],
    [
      'a plain object with a toJSON, beside an empty object',
      { a: {}, pages: { map: new Map(), toJSON: () => ({ n: 1 }) } },
      { a: {}, pages: { n: 1 } },
    ],
    [
      'an array with a toJSON, beside an empty object',
      { a: {}, pages: Object.assign([new Map()], { toJSON: () => [1] }) },
      { a: {}, pages: [1] },
    ],
    ['an object without a prototype', Object.create(null), {}],
    ['an empty object of another realm', runInContext('({})', elsewhere), {}],
    ['an array of another realm', runInContext('[{}]', elsewhere), [{}]],
    ['an empty object', {}, {}],
    ['empty objects in it', { a: {}, b: [{}, Object.create(null)] }, { a: {}, b: [{}, {}] }],
    ['a date beside an empty object', { at: new Date(0), a: {} }, { at: new Date(0).toJSON(), a: {} }],
    ['primitives in objects', { a: {}, n: Object(1), s: Object('s') }, { a: {}, n: 1, s: 's' }],
    ['a text that looks like one', { text: '{}' }, { text: '{}' }],
    ['an empty instance in it', { page: new (class Nothing {})() }, { page: {} }],
  ]
  test.for(kept)('%s', async ([, value, written], { file }) => {
    await atomicIndexUpdate(file, () => value)
    expect(readJson(file)).toEqual(written)
  })

  test('however deep, where JSON.stringify copes with it', async ({ file }) => {
    let index: object = {}
    for (let depth = 0; depth < 3000; depth++) index = { index }
    await atomicIndexUpdate(file, () => index, { space: 0 })
    expect(state(file).bytes).toBe(JSON.stringify(index))
  })
})

describe('what JSON refuses itself is refused with its reason, in one line', () => {
  const loop: { self?: unknown } = {}
  loop.self = loop
  const refused: [what: string, value: object, reason: string][] = [
    ['a bigint', { n: 1n }, 'Do not know how to serialize a BigInt'],
    ['a value that has itself in it', loop, 'Converting circular structure to JSON'],
    ['what its toJSON throws', { toJSON: thrown }, 'mine'],
    [
      'a toJSON that makes a number',
      { toJSON: () => 1 },
      'its toJSON makes neither an object nor an array of it',
    ],
  ]
  function thrown(): never {
    throw new Error('mine\nwith a second line')
  }
  test.for(refused)('%s', async ([, value, reason], { file }) => {
    const error = await rejection(atomicIndexUpdate(file, () => value))
    expect(error).toMatchObject({
      code: 'ERR_INVALID_RETURN_VALUE',
      message: `The new index cannot be written as JSON: ${reason}`,
    })
  })

  test('also where there is none', async ({ file }) => {
    for (const reason of [undefined, 'text', { message: 5 }, new Error('')]) {
      const value = {
        toJSON() {
          throw reason
        },
      }
      const error = await rejection(atomicIndexUpdate(file, () => value))
      expect(error.message).toBe('The new index cannot be written as JSON')
    }
  })
})
