// Patches that are called one right after the other are one call for the addon.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  acquireIndexLock,
  appendLines,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteSync,
  type IndexPatch,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { isDurable } from '../helpers/files'
import { enqueued, times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { jobsOf } from '../helpers/jobs'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'
import { random } from '../helpers/transaction-model'

const append = (file: string, item: unknown, options?: object) =>
  atomicIndexPatch(file, { append: { '/log': [item] } }, options)

test('two hundred take hardly more jobs than three, however their options are written; what differs is not gathered', async ({
  file,
}) => {
  writeJson(file, { n: 0, log: [] })
  const increment: IndexPatch = { increment: { '/n': 1 } }
  const same = (count: number) => () =>
    times(count, (at) =>
      atomicIndexPatch(
        file,
        increment,
        at % 2 ? { timeout: 60_000, flush: false } : { flush: false, timeout: 60_000 },
      ),
    )
  const few = await jobsOf(same(3))
  expect(await jobsOf(same(200))).toBeLessThan(few + 4)
  const others = () =>
    times(50, (at) => atomicIndexPatch(file, increment, { timeout: 60_000 + at, flush: false }))
  expect(await jobsOf(others)).toBeGreaterThan(50)
  expect(readJson(file)).toMatchObject({ n: 253 })
})

test('the order of all calls of the thread is that in which they were made', async ({ dir, file }) => {
  writeJson(file, { log: [] })
  const lines = join(dir, 'lines.jsonl')
  const calls = [
    append(file, 1),
    append(file, 2),
    append(file, 3),
    atomicIndexUpdate(file, ({ log }) => ({ log: [...log, 'fn'] })),
    append(file, 4),
    append(file, 5, { timeout: 50_000 }),
    append(file, 6),
    append(file, 7),
    appendLines(lines, ['x']),
    append(file, 8),
  ]
  await Promise.all(calls)
  expect(readJson(file)).toEqual({ log: [1, 2, 3, 'fn', 4, 5, 6, 7, 8] })
  // A write between them replaces what those before it have made, and is patched by those after it.
  const [lost, mixed] = [
    [append(file, 1), append(file, 2), append(file, 3)],
    [atomicWrite(file, '{"log":["new"]}'), append(file, 4), append(file, 5)],
  ]
  await Promise.all([...lost, ...mixed])
  expect(readJson(file)).toEqual({ log: ['new', 4, 5] })
  const before = [append(file, 6), append(file, 7), append(file, 8)]
  const lock = acquireIndexLock(file)
  const after = append(file, 9)
  const { log } = (await readIndexOf(await lock)) as { log: unknown[] }
  expect(log).toEqual(['new', 4, 5, 6, 7, 8])
  await (await lock).release()
  await Promise.all([...before, after])
})

const readIndexOf = async (lock: Awaited<ReturnType<typeof acquireIndexLock>>) => {
  let found: unknown
  await lock.update((index: unknown) => {
    found = structuredClone(index)
    return index as any
  })
  return found
}

test('one that fails does so alone, with an error that knows its caller', async ({ file }) => {
  writeJson(file, { n: 0, log: [] })
  const aCaller = async (patch: IndexPatch) => {
    await atomicIndexPatch(file, patch)
  }
  const calls = [
    ...times(3, () => aCaller({ increment: { '/n': 1 } })),
    aCaller({ set: { '/none/x': 1 } }),
    aCaller({ increment: { '/n': 1 }, append: { '/n': ['half'] } }),
    ...times(3, () => aCaller({ increment: { '/n': 1 } })),
    aCaller({ set: { '/n': new Map() } }),
    aCaller({ set: 1 } as any),
  ]
  const failed = (await Promise.allSettled(calls)).flatMap((call) =>
    call.status === 'rejected' ? [call.reason] : [],
  )
  expect(failed.map(({ code, pointer, reached }) => ({ code, pointer, reached }))).toEqual([
    { code: 'ERR_ATOMIC_PATCH', pointer: '/none/x', reached: '' },
    { code: 'ERR_ATOMIC_PATCH', pointer: '/n', reached: '/n' },
    { code: 'ERR_INVALID_ARG_VALUE', pointer: undefined, reached: undefined },
    { code: 'ERR_INVALID_ARG_TYPE', pointer: undefined, reached: undefined },
  ])
  for (const { stack } of failed.slice(0, 2)) expect(stack).toMatch(/at (async )?aCaller /)
  expect(readJson(file)).toEqual({ n: 6, log: [] })
})

test('what they fail with together each is told by itself', async ({ dir, file }) => {
  writeFileSync(file, '{"n": 0')
  const aCaller = async () => {
    await atomicIndexPatch(file, { increment: { '/n': 1 } })
  }
  const told = await Promise.allSettled(times(6, aCaller))
  const errors = told.map((call) => call.status === 'rejected' && call.reason)
  expect(new Set(errors).size).toBe(6)
  for (const error of errors) {
    expect(error).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: file,
    })
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe(errors[0].message)
    expect(error.stack).toMatch(/at (async )?aCaller /)
  }
  expect(readFileSync(file, 'utf8')).toBe('{"n": 0')
  // The lock of others is waited for as long as each has asked.
  const held = join(dir, 'held.json')
  writeJson(held, { n: 0 })
  const lock = await acquireIndexLock(held)
  const late = await Promise.allSettled(
    times(4, () => atomicIndexPatch(held, { increment: { '/n': 1 } }, { timeout: 50 })),
  )
  await lock.release()
  for (const call of late) expect(call).toMatchObject({ reason: { code: 'ERR_ATOMIC_LOCK_TIMEOUT' } })
  expect(readJson(held)).toEqual({ n: 0 })
})

test('where there is no text each is a call of its own: no index yet, one that functions have, another layout', async ({
  dir,
  file,
}) => {
  const increment: IndexPatch = { increment: { '/n': 1 } }
  const both = await Promise.allSettled([
    ...times(5, () => atomicIndexPatch(file, increment)),
    atomicIndexPatch(file, { set: { '/none/x': 1 } }),
    ...times(5, () => atomicIndexPatch(file, increment)),
  ])
  expect(both.filter(({ status }) => status === 'rejected')).toMatchObject([
    { reason: { pointer: '/none/x' } },
  ])
  expect(readJson(file)).toEqual({ n: 10 })
  const spaced = join(dir, 'spaced.json')
  writeFileSync(spaced, '{"n":0}')
  await Promise.all(times(5, () => atomicIndexPatch(spaced, increment, { space: 4 })))
  expect(readFileSync(spaced, 'utf8')).toBe('{\n    "n": 5\n}')
  // Behind a function in one group.
  const lock = await acquireIndexLock(file)
  const mixed = [
    atomicIndexUpdate(file, ({ n }) => ({ n: n * 2, list: [] })),
    ...times(4, () => atomicIndexPatch(file, { ...increment, append: { '/list': [1] } })),
  ]
  await enqueued(dir)
  await lock.release()
  const sizes = (await Promise.all(mixed)).map(({ batchSize }) => batchSize)
  expect(readJson(file)).toEqual({ n: 24, list: [1, 1, 1, 1] })
  expect(sizes).toEqual([5, 5, 5, 5, 5])
})

test('a commit is told of as that of all its patches', async ({ dir, file }) => {
  writeJson(file, { n: 0 })
  const lock = await acquireIndexLock(file)
  const calls = [
    ...times(20, () => atomicIndexPatch(file, { increment: { '/n': 1 } })),
    atomicIndexPatch(file, { remove: ['/none'] }),
  ]
  const told = Promise.allSettled(calls)
  await enqueued(dir)
  await lock.release()
  const results = (await told).flatMap((call) => (call.status === 'fulfilled' ? [call.value] : []))
  expect(results).toHaveLength(20)
  for (const result of results)
    expect(result).toMatchObject({ batchSize: 20, applied: true, durable: isDurable(dir), written: true })
  // No two callers share an object.
  expect(new Set(results).size).toBe(20)
})

test('a patch, its options and the directory are as they were at the call', async ({ dir, file }) => {
  writeJson(file, { log: [] })
  const item = { at: 0 }
  const patch: any = { append: { '/log': [item] } }
  const set: any = { set: { '/x': item } }
  const options: any = {}
  const calls = times(4, (at) => {
    item.at = at
    return [atomicIndexPatch(file, patch, options), atomicIndexPatch(file, set, options)]
  }).flat()
  item.at = 9
  patch.append = { '/none/x': [1] }
  options.flush = 'no such thing'
  await Promise.all(calls)
  expect(readJson(file)).toEqual({ log: times(4, (at) => ({ at })), x: { at: 3 } })
  await inProcess(elsewhere, [dir]).returned
  expect(['a', 'b'].map((name) => readJson(join(dir, name, 'index.json')))).toEqual([{ n: 3 }, { n: 3 }])
})

/** Calls with a relative path, in two directories. */
async function elsewhere({ atomicIndexPatch, require }: Remote, dir: string) {
  const { mkdirSync, writeFileSync } = require('node:fs')
  const calls = []
  for (const name of ['a', 'b']) {
    mkdirSync(`${dir}/${name}`)
    process.chdir(`${dir}/${name}`)
    writeFileSync('index.json', '{"n":0}')
    for (let n = 0; n < 3; n++) calls.push(atomicIndexPatch('index.json', { increment: { '/n': 1 } }))
  }
  process.chdir('/')
  await Promise.all(calls)
}

test('a call that blocks the thread is behind those that were made before it', async ({ file }) => {
  writeJson(file, { n: 0 })
  const calls = times(5, () => atomicIndexPatch(file, { increment: { '/n': 1 } }))
  atomicWriteSync(join(file, '..', 'other'), 'x')
  await Promise.all(calls)
  expect(readJson(file)).toEqual({ n: 5 })
})

const VALUES = [
  0, -0, 1.5, 1e21, 123456789012345680, 5e-324, 'x', '', 'a\0b', '\u2028"\\\n', '😀', 'ö', null, true, [], {},
  [1, [2]], { a: { b: [] } }, { toJSON: () => 'made' }, new Date(0), [undefined], { gone: undefined },
] // biome-ignore format: a table
const POINTERS = ['/a', '/b/c', '/b', '/~1', '/a/0', '/ö', '/none/x', '/b/-', '', '/', '/n']

function anyPatch(next: (below: number) => number): any {
  const value = () => VALUES[next(VALUES.length)]
  const pointer = () => POINTERS[next(POINTERS.length)] as string
  const pointers = (make: () => unknown) => Object.fromEntries(times(1 + next(2), () => [pointer(), make()]))
  const patch: any = {}
  if (next(2)) patch.set = pointers(value)
  if (next(3) === 0) patch.increment = pointers(() => next(5) - 2)
  if (next(4) === 0) patch.append = pointers(() => [value()])
  if (next(6) === 0) patch.remove = [pointer()]
  if (next(8) === 0) patch.upsert = { at: '/b', key: 'c', records: [{ c: value() }] }
  if (next(12) === 0) patch[next(2) ? 'set' : 'increment'] = null
  return next(10) === 0 ? { merge: { b: value() } } : patch
}

test('any patches leave the text and tell the callers what they do one by one', { timeout: 60_000 }, async ({
  dir,
}) => {
  for (const seed of times(60, (at) => at)) {
    const next = random(seed)
    const patches = times(12, () => anyPatch(next))
    const [one, many] = ['one', 'many'].map((name) => {
      mkdirSync(join(dir, `${name}${seed}`))
      const path = join(dir, `${name}${seed}`, 'index.json')
      writeFileSync(path, '{ "a": 1, "b": {"c": [ 2 ]}, "n": 3, "": 4 }')
      return path
    }) as [string, string]
    const told = (path: string, patch: any) =>
      atomicIndexPatch(path, patch, { flush: false }).then(
        () => 'done',
        ({ code, message }) => [code, message.replace(path, '')],
      )
    const expected: unknown[] = []
    for (const patch of patches) expected.push(await told(one, patch))
    expect(await Promise.all(patches.map((patch) => told(many, patch))), `seed ${seed}`).toEqual(expected)
    expect(readFileSync(many, 'utf8'), `seed ${seed}`).toBe(readFileSync(one, 'utf8'))
  }
})
