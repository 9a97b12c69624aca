// With `keep: 'value'` calls have the outcomes that they have without: also with what JSON has no name or no number for, what tells something else
// each time, what is nested deep, and schemas.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicTransaction, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inTime, times, together } from '../helpers/group'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

type Fn = (index: any, run?: any) => unknown

const keep = { keep: 'value' } as const
const sloppy = (body: string): Fn => new Function('index', body) as Fn

/** What comes of a call, whatever the file is called. */
const told = (call: Promise<{ written: boolean }>) =>
  call.then(
    ({ written }) => written,
    ({ name, code, message }) => [name, code, message.replace(/'[^']*'$/, '')],
  )

/** An index that is updated by these functions one after the other: what each was given, what came of it, and the text then. */
async function oneByOne(file: string, text: string, fns: Fn[], options: UpdateOptions): Promise<unknown[]> {
  writeFileSync(file, text)
  const seen: unknown[] = []
  for (const fn of fns) {
    let given: unknown
    const look = (index: any) => {
      // A function that changes nothing runs twice.
      given ??= show(index)
      return fn(index)
    }
    const outcome = await told(atomicIndexUpdate(file, look, { ...options, flush: false }))
    seen.push([given, outcome, readFileSync(file, 'utf8')])
  }
  return seen
}

/** Also of numbers that JSON does not have, and whatever the depth. */
function show(index: any): unknown {
  if (JSON.stringify(index).length > 1000) return 'large'
  return JSON.stringify(index, (_, value) =>
    Object.is(value, -0) || Math.abs(value) === 1 / 0 ? `${1 / value}` : value,
  )
}

/** The same of all updates in one commit. */
async function atOnce(file: string, text: string, fns: Fn[], options: UpdateOptions): Promise<unknown[]> {
  writeFileSync(file, text)
  const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn, options)))
  const outcomes = await Promise.all(calls.map(told))
  return [outcomes, readFileSync(file, 'utf8')]
}

const set =
  (more: object): Fn =>
  (index) => ({ ...index, ...more })
const count: Fn = (index) => ({ ...index, a: index.a + 1 })
const without =
  (name: string): Fn =>
  ({ x: { [name]: _, ...x }, ...index }) => ({ x, ...index })
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

const cases: [what: string, text: string, fns: Fn[], options?: UpdateOptions][] = [
  [
    'a member goes of which the name is no Unicode',
    '{"x":{"\\ud800":1,"\ufffd":2},"a":5}',
    [count, count, without('\ud800'), count],
  ],
  [
    'a member goes of which the name is the one that other names become',
    '{"x":{"\\ud800":1,"\ufffd":2},"a":5}',
    [count, count, without('\ufffd'), count],
  ],
  ['a number is too large', '{"n":1e400,"a":1}', [count, count, count], { numbers: 'lossy' }],
  ['a number is -0', '{"n":-0,"list":[-0],"a":1}', [count, count, count]],
  ['what is put there is -0 or no number', '{"a":1}', [count, set({ b: [-0, NaN, -1 / 0] }), count, count]],
  [
    'there are more changes than are told',
    '{"a":1}',
    [
      count,
      set({ list: times(500, (id) => ({ id })) }),
      (index) => ({ ...index, list: index.list.map(({ id }: any) => ({ id: id + 1 })) }),
      count,
    ],
  ],
  [
    'all items move up',
    `{"list":${JSON.stringify(times(300, (id) => ({ id })))},"a":1}`,
    [count, count, (index) => ({ ...index, list: [...index.list.slice(1), { id: -1 }] }), count],
  ],
  [
    'some items change places',
    `{"list":${JSON.stringify(times(300, (id) => ({ id })))},"a":1}`,
    [
      count,
      count,
      (index) => ({ ...index, list: index.list.with(3, index.list[90]).with(90, index.list[3]) }),
      count,
    ],
  ],
  [
    'members of a large object change, go and come',
    `{"a":1,"by":${JSON.stringify(Object.fromEntries(times(50, (id) => [`k${id}`, { id }])))}}`,
    [
      count,
      count,
      ({ by: { k7, k30, ...by }, ...index }) => ({
        ...index,
        by: { ...by, k9: k7, new: [k30], __proto__: null },
      }),
      count,
    ],
  ],
  ['nothing is changed of many levels', nested(2500), [(index) => index, (index) => index]],
  [
    'something is changed of many levels',
    `[0,${nested(2500)}]`,
    [([n, deep]) => [n + 1, deep], ([n, deep]) => [n + 1, deep]],
  ],
  ['levels are too many to be written', nested(9000), [(index) => index]],
]

describe('the outcomes are those without the option:', () => {
  for (const [what, text, fns, options = {}] of cases) {
    test(what, async ({ file }) => {
      const plain = await oneByOne(file, text, fns, options)
      expect(await oneByOne(file, text, fns, { ...options, ...keep })).toEqual(plain)
    })
  }

  for (const space of [undefined, 2]) {
    test(`what tells something else each time, with space ${space}`, async ({ file }) => {
      let n = 0
      const told = { toJSON: () => ++n }
      const got = {
        get n() {
          return ++n
        },
      }
      writeFileSync(file, '{ "a": 1 }')
      for (const _ of [1, 2]) {
        for (const fn of [set({ told, got }), set({ more: { told } })]) {
          await atomicIndexUpdate(file, fn as any, { ...keep, ...(space && { space }) })
          const text = readFileSync(file, 'utf8')
          let seen: unknown
          const look = (index: any) => {
            seen = index
            return count(index) as any
          }
          await atomicIndexUpdate(file, look, keep)
          expect(seen).toEqual(JSON.parse(text))
          expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(count(JSON.parse(text)))
        }
      }
    })
  }

  const validate = (index: any) =>
    typeof index.n === 'number' ? { value: index } : { issues: [{ message: 'no number' }] }
  const schema = { '~standard': { version: 1, vendor: 'test', validate } } as const
  const bad = set({ n: 'bad' })
  const same: Fn = (index) => index
  const groups: [what: string, text: string, fns: Fn[], migrates?: boolean][] = [
    ['one of a commit does not pass the schema', '{"n":1}', [set({ a: 1 }), bad, set({ b: 1 })]],
    [
      'one of a commit does not pass, and others could be read',
      '{"n":1}',
      [set({ a: 1 }), bad, set({ b: 1 })],
      true,
    ],
    ['one mends what the one before it has made', '{"n":1}', [bad, set({ n: 2 })]],
    ['one leaves what the one before it has made', '{"n":1}', [bad, same, set({ n: 2 })], true],
    ['what is read is migrated', '{"v":1}', [set({ a: 1 }), same, set({ b: 1 })], true],
    ['many share a commit', '{"n":1}', times(30, (at) => (at % 7 === 3 ? bad : set({ [`k${at}`]: at })))],
  ]
  for (const [what, text, fns, migrates] of groups) {
    test(what, inTime, async ({ file }) => {
      const options = {
        schema,
        ...(migrates && { migrate: (index: any) => ({ ...index, n: 0, migrated: true }) }),
      }
      const plain = await atOnce(file, text, fns, options)
      expect(await atOnce(file, text, fns, { ...options, ...keep })).toEqual(plain)
    })
  }

  test('migrate changes the index in place', async ({ file }) => {
    for (const mode of ["'use strict'; ", '']) {
      const migrate = sloppy(`${mode}index.n = 1; index.list[0].seen = true; return index`)
      const text = '{"list":[{"id":1161}]}'
      const options = { schema, migrate } as any
      const plain = await oneByOne(
        file,
        text,
        [set({ b: 1 }), set({ b: 2 })].map((fn) => (index) => fn(index)),
        options,
      )
      const seen = await oneByOne(file, text, [set({ b: 1 }), set({ b: 2 })], { ...options, ...keep })
      expect(seen).toEqual(plain)
    }
  })
})

describe('a change in place of what is frozen', () => {
  const bodies = [
    'index.z = 1n; return index',
    'index.z = index; return index',
    'for (const item of index.list) item.id++; return index',
  ]
  for (const body of bodies) {
    test(`has a code, whatever it is: ${body}`, async ({ file }) => {
      writeFileSync(file, JSON.stringify({ list: times(1500, (id) => ({ id })) }))
      for (const _ of [1, 2]) {
        const error = await rejection(atomicIndexUpdate(file, sloppy(body) as any, keep))
        expect(error).toMatchObject({
          code: 'ERR_INVALID_RETURN_VALUE',
          message: expect.stringMatching(/in place/),
        })
        await atomicIndexUpdate(file, set({ n: 1 }) as any, keep)
      }
    })
  }

  test('is looked for in the same attempt', async ({ file }) => {
    writeFileSync(file, '{"a":1}')
    const attempts: number[] = []
    const look = (index: any, run: { attempt: number }) => {
      attempts.push(run.attempt)
      return index
    }
    await atomicIndexUpdate(file, look, keep)
    expect(attempts).toEqual([1, 1])
  })
})

test('long names and many levels hold nobody up: then all is printed', async ({ file }) => {
  const name = 'k'.repeat(32 << 10)
  const text = JSON.stringify({ [name]: times(90, (id) => ({ id })), a: 1 })
  const raise: Fn = (index) => ({ ...index, [name]: index[name].map(({ id }: any) => ({ id: id + 1 })) })
  const plain = await oneByOne(file, text, [raise, raise, raise], {})
  expect(await oneByOne(file, text, [raise, raise, raise], keep)).toEqual(plain)
})

test('a transaction refuses another word than these too', async ({ file, dir }) => {
  writeFileSync(file, '{}')
  const update = (word: string) =>
    atomicTransaction(dir, (tx) => {
      tx.update(join(dir, 'index.json'), (index: any) => index, { keep: word, initial: {} } as object)
    })
  expect(await rejection(update('values'))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  await update('value')
})
