// Patches of the text of an index, by themselves and beside functions.

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { acquireIndexLock, atomicIndexPatch, atomicIndexUpdate, type IndexPatch } from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { enqueued, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { isHere } from '../helpers/needs'
import { patched } from '../helpers/patched'
import { test } from '../helpers/test'

test('the text that no patch touches stays as it is, also where functions share the commit with others', async ({
  file,
}) => {
  const odd =
    '\ufeff{ "big":  1.50,\r\n\t"n":1, "9": [ ], "1":{}, "n": 2,\r\n\t"log": [ "\\u0061" ] }\r\n\r\n'
  writeFileSync(file, odd)
  const increment = { increment: { '/n': 1 } }
  const patches = await Promise.all([
    ...(await together(file, () => [
      ...times(20, () => atomicIndexPatch(file, increment)),
      atomicIndexPatch(file, { set: { '/none/x': 1 } }).catch(() => ({ batchSize: 0 })),
      ...times(20, () => atomicIndexPatch(file, increment)),
    ])),
  ])
  expect(Math.max(...patches.map(({ batchSize = 0 }) => batchSize))).toBeGreaterThan(10)
  expect(readFileSync(file, 'utf8')).toBe(odd.replace('"n": 2', '"n": 42'))
  // Nothing to write.
  const same = await atomicIndexPatch(file, { set: { '/n': 42, '/1': {} } })
  expect([same.written, readFileSync(file, 'utf8')]).toEqual([false, odd.replace('"n": 2', '"n": 42')])
  // A function has what patches before it have made, and patches after it what it has made.
  const fns = await together<{ batchSize?: number }>(file, () => [
    atomicIndexPatch(file, increment),
    atomicIndexPatch(file, { append: { '/log': ['patch'] } }),
    atomicIndexUpdate(file, ({ n, log }) => ({ n: n * 2, log: [...log, 'fn'] })),
    atomicIndexUpdate(file, () => {
      throw new Error('fails by itself')
    }),
    atomicIndexPatch(file, { ...increment, append: { '/log': ['last'] } }),
    // A schema and an indent are for values, and no other call shares a commit with these.
    atomicIndexPatch(file, increment, { schema: z.any() }),
    atomicIndexPatch(file, { set: { '/done': true } }, { space: 1 }),
  ])
  const settled = await Promise.allSettled(fns)
  expect(settled.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  const index = { n: 88, log: ['a', 'patch', 'fn', 'last'], done: true }
  expect(readFileSync(file, 'utf8')).toBe(
    `\ufeff${JSON.stringify(index, null, 1).replaceAll('\n', '\r\n')}\r\n\r\n`,
  )
})

// A machine that is too busy to apply seven patches in 50 ms makes two groups of them.
// The tables go with the text that is kept: elsewhere none is.
const testKept = test.skipIf(!isHere('a temporary folder on ext4, xfs or btrfs'))
testKept(
  'a patch leads a commit of its own if a large part of the text is to be taken apart for it, which is once',
  {
    retry: 2,
  },
  async ({ file }) => {
    const part = Object.fromEntries(times(30_000, (at) => [`key ${at}`, { title: `the value ${at}`, n: 0 }]))
    const list = times(30_000, (id) => ({ id, title: `the item ${id}` }))
    writeFileSync(file, JSON.stringify({ a: part, b: part, list }))
    const records = { at: '/list', key: 'id', records: [{ id: 7 }] }
    const patches: IndexPatch[] = [
      { increment: { '/a/key 1/n': 1 } },
      { increment: { '/a/key 2/n': 1, '/list/0/id': 0 } },
      { increment: { '/b/key 1/n': 1 } },
      { merge: { b: { 'key 2': { n: 1 } } } },
      { upsert: records },
      { upsert: { ...records, records: [{ id: 8 }] }, remove: ['/a/key 3'] },
      { set: { '/a/key 3': { n: 0 } } },
    ]
    // With different options: those with the same are one call.
    const calls = () => patches.map((patch, at) => atomicIndexPatch(file, patch, { timeout: 30_000 + at }))
    const sizes = async () => {
      // Not with a function, which would end the tables.
      const lock = await acquireIndexLock(file)
      const made = calls()
      await enqueued(dirname(file))
      await lock.release()
      return (await Promise.all(made)).map(({ batchSize }) => batchSize)
    }
    expect(await sizes()).toEqual([1, 1, 2, 2, 3, 3, 3])
    expect(await sizes()).toEqual([7, 7, 7, 7, 7, 7, 7])
    const { a, b, list: items } = readJson(file) as any
    expect([a['key 1'].n, a['key 2'].n, a['key 3'], b['key 1'].n, b['key 2'].n]).toEqual([
      2,
      2,
      { n: 0 },
      2,
      1,
    ])
    expect(items.slice(6, 9)).toEqual([{ id: 6, title: 'the item 6' }, { id: 7 }, { id: 8 }])
  },
)

test('patches and functions share commits, in the order of the calls; one that fails does so by itself', async ({
  file,
}) => {
  writeJson(file, { log: [], n: 0 })
  const record = { slug: 'x' }
  const make = () => [
    atomicIndexPatch(file, { append: { '/log': [record] }, increment: { '/n': 1 } }),
    atomicIndexUpdate(file, (index) => ({ ...index, when: new Date(0), log: [...index.log, 'fn'] })),
    // What JSON makes of a date is a string, and no place for keys.
    atomicIndexPatch(file, { set: { '/when/x': 1 } }),
    atomicIndexPatch(file, { append: { '/log': ['half'] }, upsert: { at: '/none', key: 'slug' } }),
    atomicIndexUpdate(file, (index) => Object.freeze({ ...index, log: Object.freeze([...index.log]) })),
    atomicIndexPatch(file, [{ op: 'test', path: '/when', value: '1970-01-01T00:00:00.000Z' }]),
    atomicIndexPatch(file, { append: { '/log': ['patch'] }, increment: { '/n': 1 } }),
    atomicIndexPatch(file, { merge: { log: null } }),
  ]
  const calls = await together<{ batchSize?: number }>(file, make, () => {
    record.slug = 'changed'
  })
  const outcomes = await Promise.allSettled(calls.slice(0, -1))
  expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'done' : outcome.reason))).toEqual([
    'done',
    'done',
    expect.objectContaining({ code: 'ERR_ATOMIC_PATCH', pointer: '/when/x', reached: '/when' }),
    expect.objectContaining({ code: 'ERR_ATOMIC_PATCH', pointer: '/none' }),
    'done',
    'done',
    'done',
  ])
  const done = await Promise.all(calls.filter((_, at) => outcomes[at]?.status !== 'rejected'))
  expect(Math.max(...done.map(({ batchSize = 0 }) => batchSize))).toBeGreaterThan(1)
  expect(readJson(file)).toEqual({ n: 2, when: '1970-01-01T00:00:00.000Z' })
})

test('random patches make the same of a text as of what it says, or fail in the same way', async ({
  file,
}) => {
  let seed = 16
  const below = (most: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % most
  }
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T
  const names = ['a', 'b', 'k', '0', '1', '-', '', '__proto__', '~/', 'ü"']
  const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')
  const pointer = () => times(below(4), () => `/${escaped(one(names))}`).join('')
  const value = (depth = 0): any => {
    const kind = below(depth > 2 ? 5 : 9)
    if (kind < 5) return one([1, -2.5, 'x\n"', null, true, 1e21, 0, 'k'])
    if (kind < 7) return times(below(4), () => value(depth + 1))
    return Object.fromEntries(times(below(4), () => [one(names), value(depth + 1)]))
  }
  const record = () => ({ k: one(['x', 'y', 1, '__proto__']), v: value(1) })
  const operation = () =>
    one([
      () => ({ op: one(['add', 'replace', 'test'] as const), path: pointer(), value: value() }),
      () => ({ op: 'remove' as const, path: pointer() }),
      () => ({ op: one(['move', 'copy'] as const), from: pointer(), path: pointer() }),
    ])()
  const patches: (() => IndexPatch)[] = [
    () => times(1 + below(3), operation),
    () => ({ merge: value() ?? {} }),
    () => ({ set: { [`/${escaped(one(names))}${pointer()}`]: value() }, append: { [pointer()]: [value()] } }),
    () => ({ remove: [pointer()], increment: { [pointer()]: one([1, 0.5, -3]) } }),
    () => ({ upsert: { at: pointer(), key: 'k', records: times(below(3), record), remove: ['x', 1] } }),
  ]
  let done = 0
  for (let round = 0; round < 250; round++) {
    const before = one([
      value,
      () => times(3, record),
      () => ({ a: value(), k: times(2, record), b: { 0: value() } }),
    ])()
    if (typeof before !== 'object' || before === null) continue
    const after = await patched(file, before, one(patches)())
    if (!Object.hasOwn(after as object, 'message')) done++
  }
  expect(done).toBeGreaterThan(25)
})
