// A patch joins those that are gathered without a way through the addon, which alone knows what a call is made inside of: so it is not asked while that may be
// something.

import { tracingChannel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  acquireIndexLock,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicWrite,
  type IndexPatch,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { times } from '../helpers/group'
import { HANG_MS } from '../helpers/hang'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const increment: IndexPatch = { increment: { '/n': 1 } }
/** One that is not refused would wait for itself. */
const options = { timeout: HANG_MS }
const patches = (file: string) => times(3, () => atomicIndexPatch(file, increment, { ...options }))

// By its source a function is known to return what it has returned before.
for (const known of ['a value', 'a promise']) {
  test(`one that a function waits for which has returned ${known} before is refused, and those made outside of it right before are not`, async ({
    dir,
    file,
  }) => {
    let enter = () => {}
    const outer = ({ n }: any) => {
      enter()
      return { n: n + 100 }
    }
    let act = (index: any) => (known === 'a value' ? index : Promise.resolve(index))
    const nested = (index: any) => act(index)
    const other = join(dir, 'other.json')
    writeJson(other, { n: 0 })
    for (const fn of [outer, nested]) await atomicIndexUpdate(other, fn)

    let inner: unknown
    act = async ({ n }) => {
      inner = await rejection(atomicIndexPatch(file, increment, { ...options }))
      return { n: n + 100 }
    }
    writeJson(file, { n: 0 })
    const entered = new Promise<void>((resolve) => {
      enter = resolve
    })
    // In the turn of promises that the first function resolves, before the second one runs in the same.
    const outside = entered.then(() => Promise.all(patches(file)))
    const lock = await acquireIndexLock(file)
    const updates = [outer, nested].map((fn) => atomicIndexUpdate(file, fn, { ...options }))
    await lock.release()
    await Promise.all([...updates, outside])
    expect(inner).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT' })
    expect(readJson(file)).toEqual({ n: 203 })
  })
}

test('a call whose path makes one while its steps are published leaves the next one alone, whose options are looked at', async ({
  dir,
  file,
}) => {
  writeJson(file, { n: 0 })
  const channel = tracingChannel('@pipeline/atomic:write')
  const subscriber = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} }
  channel.subscribe(subscriber)
  const odd: IndexPatch = { set: { '/odd': 1 }, append: { '/list': [1] } }
  const changed = { ...options }
  const calls: Promise<unknown>[] = patches(file)
  try {
    const url = pathToFileURL(join(dir, 'written'))
    const { href } = url
    Object.defineProperty(url, 'href', {
      get() {
        if (calls.length === 3) calls.push(atomicIndexPatch(file, odd, changed))
        return href
      },
    })
    calls.push(atomicWrite(url, 'x'))
  } finally {
    channel.unsubscribe(subscriber)
  }
  expect(calls).toHaveLength(5)
  changed.timeout = -1
  const refused = await rejection(atomicIndexPatch(file, odd, changed))
  await Promise.all(calls)
  expect(refused).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  expect(readJson(file)).toEqual({ n: 3, odd: 1, list: [1] })
})

// As test runners do that give each file modules of its own.
test('one that a function of another copy of the package waits for is refused', async ({ dir, file }) => {
  const other = join(dir, 'other.json')
  for (const index of [file, other]) writeJson(index, { n: 0 })
  const inner = await inProcess(
    async ({ require, addon }, file, other, timeout) => {
      const load = () => {
        for (const name of Object.keys(require.cache)) delete require.cache[name]
        return require(addon) as typeof import('@pipeline/atomic')
      }
      const [one, two] = [load(), load()]
      const patch = ({ atomicIndexPatch }: typeof one, path: string) =>
        atomicIndexPatch(path, { increment: { '/n': 1 } }, { timeout })
      let enter = () => {}
      let act = (index: any): unknown => index
      const outer = (index: any) => {
        enter()
        return { n: index.n + 100 }
      }
      const nested = (index: any) => act(index)
      for (const fn of [outer, nested]) await one.atomicIndexUpdate(other, fn)

      let inner: unknown[] = []
      act = async ({ n }) => {
        const settled = await Promise.allSettled([one, two].map((copy) => patch(copy, file)))
        inner = settled.map((one) => (one.status === 'rejected' ? one.reason.code : one.status))
        return { n: n + 100 }
      }
      const entered = new Promise<void>((resolve) => {
        enter = resolve
      })
      const outside = entered.then(() =>
        Promise.all([one, one, one, two, two, two].map((copy) => patch(copy, copy === one ? file : other))),
      )
      const lock = await one.acquireIndexLock(file)
      const updates = [outer, nested].map((fn) => one.atomicIndexUpdate(file, fn))
      await lock.release()
      await Promise.all([...updates, outside])
      return inner
    },
    [file, other, HANG_MS],
  ).returned
  expect(inner).toEqual(['ERR_ATOMIC_REENTRANT', 'ERR_ATOMIC_REENTRANT'])
  expect(readJson(file)).toEqual({ n: 203 })
})

test('what a program adds to the prototype of objects is not asked', async ({ file }) => {
  const prototype = Object.prototype as { join?: unknown }
  prototype.join = () => 'joined'
  let write: unknown
  try {
    write = atomicWrite(file, '{ "n": 0 }')
  } finally {
    Reflect.deleteProperty(prototype, 'join')
  }
  expect(await write).toMatchObject({ bytes: 10 })
})

test('the getters of one that takes a closer look run as often whichever way it comes', async ({ file }) => {
  writeJson(file, { n: 0 })
  const reads = [0, 0, 0]
  const odd = (at: number): any => ({
    get set() {
      reads[at] = (reads[at] ?? 0) + 1
      return { '/odd': at }
    },
    append: { '/list': [at] },
  })
  await Promise.all(
    [increment, odd(0), odd(1), increment].map((patch) => atomicIndexPatch(file, patch, { ...options })),
  )
  expect(reads[1]).toBe(reads[0])
  expect(readJson(file)).toEqual({ n: 2, odd: 1, list: [0, 1] })
})
