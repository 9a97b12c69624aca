// Patches that are gathered do, and fail with, what each of them would by itself.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  acquireIndexLock,
  appendLines,
  atomicIndexPatch,
  atomicIndexUpdate,
  type IndexPatch,
  stats,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { state } from '../helpers/files'
import { times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

const increment: IndexPatch = { increment: { '/n': 1 } }

/** A call that no other one joins. */
const alone = (file: string, patch: any) =>
  atomicIndexPatch(file, patch, { signal: new AbortController().signal })

test('a patch whose values make patches of another index stays one of its own', async ({ dir, file }) => {
  const other = join(dir, 'other.json')
  for (const index of [file, other]) writeJson(index, { n: 0 })
  const calls: Promise<unknown>[] = []
  const patchOther = () => {
    for (const _ of times(3, () => 0)) calls.push(atomicIndexPatch(other, increment))
    return 'made'
  }
  const odd: IndexPatch = { set: { '/deep': { item: { toJSON: patchOther } as any } } }
  const getter = {
    get set() {
      patchOther()
      return { '/got': 1 }
    },
  } as any
  calls.push(...[increment, odd, increment, getter, increment].map((patch) => atomicIndexPatch(file, patch)))
  await Promise.all(calls)
  const made = calls.length - 5
  expect(readJson(file)).toEqual({ n: 3, deep: { item: 'made' }, got: 1 })
  expect(readJson(other)).toEqual({ n: made })
})

test('those made outside of a function may be started ahead of a call that it makes', async ({
  dir,
  file,
}) => {
  writeJson(file, { n: 0 })
  const lines = join(dir, 'lines.jsonl')
  let enter = () => {}
  const entered = new Promise<void>((resolve) => {
    enter = resolve
  })
  // In the turn of promises that the first function resolves, before the second one runs in the same.
  const outside = entered.then(() => Promise.all(times(3, () => atomicIndexPatch(file, increment))))
  const lock = await acquireIndexLock(file)
  const first = atomicIndexUpdate(file, ({ n }) => {
    enter()
    return { n: n + 100 }
  })
  const second = atomicIndexUpdate(file, async ({ n }) => {
    await appendLines(lines, ['x'])
    return { n: n + 100 }
  })
  await lock.release()
  await Promise.all([first, second, outside])
  expect(readJson(file)).toEqual({ n: 203 })
})

test('what is odd about one is nothing to its neighbours, and is told as it is of one alone', async ({
  file,
}) => {
  const cycle: any = {}
  cycle.cycle = cycle
  const mine = new Error('mine')
  const fails = () => {
    throw mine
  }
  const odd: any[] = [
    null,
    { merge: { toJSON() {} } },
    { set: { '/a': { big: 1n } } },
    { set: { '/a': cycle } },
    { set: { '/a': { deep: { toJSON: fails } } } },
    { set: new Proxy({}, { ownKeys: fails }) },
    Object.defineProperty({}, 'set', { get: fails, enumerable: true }),
  ]
  for (const patch of odd) {
    writeJson(file, { n: 0 })
    const told = ({ code, name, message }: any) => ({ code, name, message })
    const expected = told(await alone(file, patch).catch((error) => error))
    expect(expected.message).toBeDefined()
    const calls = await Promise.allSettled(
      [increment, increment, patch, increment].map((one) => atomicIndexPatch(file, one)),
    )
    expect(calls.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect(told((calls[2] as PromiseRejectedResult).reason)).toEqual(expected)
    expect(readJson(file)).toEqual({ n: 3 })
  }
})

test('a patch that cannot be gathered is read once all the same', async ({ file }) => {
  writeJson(file, { n: 0 })
  let read = 0
  const keys = () => ({ set: { key: { toJSON: () => ++read } as any }, delete: [] })
  await alone(file, keys())
  const once = read
  await Promise.all([increment, increment, keys()].map((patch) => atomicIndexPatch(file, patch as any)))
  expect(read).toBe(2 * once)
  expect(readJson(file)).toEqual({ n: 2, key: read })
})

test('where none can be applied nothing is written, and where the commit fails the others are still told of theirs', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  const before = state(file)
  const calls = await Promise.allSettled(
    times(6, (at) => atomicIndexPatch(file, { set: { [`/none/${at}`]: 1 } })),
  )
  const told = calls.map((call) => call.status === 'rejected' && call.reason.pointer)
  expect(told).toEqual(times(6, (at) => `/none/${at}`))
  expect(state(file)).toEqual(before)
  const there = await inProcess(tooLarge, [file], { before: 'ulimit -f 100' }).returned
  expect(there).toEqual(['EFBIG', 'EFBIG', 'ERR_ATOMIC_PATCH', 'EFBIG', 'ERR_ATOMIC_PATCH'])
  expect(readJson(file)).toEqual({ n: 0 })
})

/** Patches that make more than the file may be, and two that lead nowhere. */
async function tooLarge({ atomicIndexPatch }: Remote, file: string) {
  const large = { set: { '/x': 'x'.repeat(300_000) } }
  const patches = [large, large, { set: { '/none/x': 1 } }, large, { set: { '/none/y': 1 } }]
  const calls = await Promise.allSettled(patches.map((patch) => atomicIndexPatch(file, patch)))
  return calls.map((call) => (call.status === 'rejected' ? call.reason.code : 'done'))
}

test('those that take too long together have several commits, in their order', async ({ file }) => {
  const list = times(20_000, (id) => ({ id, title: `the item ${id}` }))
  writeJson(file, { n: 0, list })
  const copy = (at: number): any => [
    { op: 'copy', from: '/list', path: '/copy' },
    { op: 'add', path: '/last', value: at },
  ]
  const patches = () => times(120, (at) => atomicIndexPatch(file, copy(at), { flush: false }))
  const sizes = (await Promise.all(patches())).map(({ batchSize }) => batchSize ?? 0)
  expect(Math.max(...sizes)).toBeLessThan(119)
  expect(readJson(file)).toEqual({ n: 0, list, copy: list, last: 119 })
  const [first, ...behind] = await Promise.all([
    atomicIndexUpdate(file, (index) => ({ ...index, n: 1, last: -1 }), { flush: false }),
    ...patches(),
  ])
  expect(first.batchSize).toBeGreaterThan(0)
  expect(Math.max(...behind.map(({ batchSize }) => batchSize ?? 0))).toBeLessThan(120)
  expect(readJson(file)).toMatchObject({ n: 1, last: 119 })
})

test('statistics count each of them', async ({ file }) => {
  writeJson(file, { n: 0 })
  const count = () => ({
    waits: stats().lockWaits.count,
    corrupt: stats().failures.ERR_ATOMIC_CORRUPT_INDEX ?? 0,
  })
  const before = count()
  await Promise.all(times(10, () => atomicIndexPatch(file, increment)))
  expect(count()).toEqual({ ...before, waits: before.waits + 10 })
  writeFileSync(file, '{"n')
  await Promise.allSettled(times(10, () => atomicIndexPatch(file, increment)))
  expect(count().corrupt).toBe(before.corrupt + 10)
})
