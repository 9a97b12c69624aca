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
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const increment: IndexPatch = { increment: { '/n': 1 } }
const options = { timeout: 5000 }
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

test('a call whose path makes one while its steps are published leaves the next one alone', async ({
  dir,
  file,
}) => {
  const other = join(dir, 'other.json')
  for (const index of [file, other]) writeJson(index, { n: 0 })
  const channel = tracingChannel('@pipeline/atomic:write')
  const subscriber = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} }
  channel.subscribe(subscriber)
  try {
    const calls: Promise<unknown>[] = patches(file)
    const url = pathToFileURL(join(dir, 'written'))
    const { href } = url
    Object.defineProperty(url, 'href', {
      get() {
        calls.push(atomicIndexPatch(file, { set: { key: 1 }, delete: [] }, { ...options }))
        return href
      },
    })
    calls.push(atomicWrite(url, 'x'))
    expect(calls.length).toBeGreaterThan(4)
    await Promise.all([...calls, ...patches(other)])
  } finally {
    channel.unsubscribe(subscriber)
  }
  expect(readJson(file)).toEqual({ n: 3, key: 1 })
  expect(readJson(other)).toEqual({ n: 3 })
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
