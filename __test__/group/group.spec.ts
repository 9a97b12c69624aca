// Group commit: updates of one index that wait at the same time are applied together and written once.

import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inside, names, state } from '../helpers/files'
import { append, batchSizes, enqueued, inTime, remoteGroup, times, together } from '../helpers/group'
import { holderOf, increment, readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

describe('updates that wait for the same index', inTime, () => {
  test('share one commit, and each result says how many did', async ({ dir, file }) => {
    writeJson(file, { n: 0 })
    const calls = await together(file, () => times(100, () => atomicIndexUpdate(file, increment)))
    expect(batchSizes(await Promise.all(calls))).toEqual(times(100, () => 100))
    expect(readJson(file)).toEqual({ n: 100 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('have the same result of that commit', async ({ file }) => {
    writeJson(file, [])
    const calls = await together(file, () => times(3, (at) => atomicIndexUpdate(file, append(at))))
    const [first, ...others] = (await Promise.all(calls)).map(({ lockWaitMs, ...rest }) => rest)
    expect(first).toMatchObject({ written: true, bytes: statSync(file).size, verified: 'cache' })
    expect(others).toEqual([first, first])
  })

  test('have results that say how long each waited', async ({ file }) => {
    writeJson(file, [])
    const calls = await together(file, () => times(3, (at) => atomicIndexUpdate(file, append(at))))
    for (const { lockWaitMs } of await Promise.all(calls)) {
      expect(Number.isFinite(lockWaitMs)).toBe(true)
      expect(lockWaitMs).toBeGreaterThanOrEqual(0)
    }
  })

  test('have their functions called in the order of the calls', async ({ file }) => {
    writeJson(file, [])
    await Promise.all(await together(file, () => times(20, (at) => atomicIndexUpdate(file, append(at)))))
    expect(readJson(file)).toEqual(times(20, (at) => at))
  })

  test('have each function called once', async ({ file }) => {
    writeJson(file, [])
    const called: number[] = []
    const note = (at: number) => (index: any) => {
      called.push(at)
      return index
    }
    await Promise.all(await together(file, () => times(5, (at) => atomicIndexUpdate(file, note(at)))))
    expect(called).toEqual([0, 1, 2, 3, 4])
  })

  test('are each given what the one before it returned', async ({ file }) => {
    writeJson(file, { by: 'none' })
    const given: unknown[] = []
    const replace = (by: string) => (index: unknown) => {
      given.push(index)
      return { by }
    }
    const by = ['one', 'two', 'three']
    await Promise.all(await together(file, () => by.map((by) => atomicIndexUpdate(file, replace(by)))))
    expect(given).toEqual([{ by: 'none' }, { by: 'one' }, { by: 'two' }])
    expect(readJson(file)).toEqual({ by: 'three' })
  })

  test('are one group under every name of the index', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    writeJson(file, [])
    await inside(dir, async () => {
      const paths = [
        file,
        link,
        relative(dir, file),
        `./x/../link.json`,
        Buffer.from(link),
        pathToFileURL(file),
      ]
      const calls = await together(file, () => paths.map((path, at) => atomicIndexUpdate(path, append(at))))
      expect(batchSizes(await Promise.all(calls))).toEqual(paths.map(() => paths.length))
    })
    expect(readJson(file)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('are groups of their own for each index', async ({ dir, file }) => {
    const other = join(dir, 'other.json')
    for (const index of [file, other]) writeJson(index, [])
    const calls = await together(file, () =>
      times(10, (at) => atomicIndexUpdate(at % 2 ? other : file, append(at))),
    )
    await Promise.all(calls)
    expect(readJson(file)).toEqual([0, 2, 4, 6, 8])
    expect(readJson(other)).toEqual([1, 3, 5, 7, 9])
  })

  test('for another process to release it share commits, too', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const calls = times(20, () => atomicIndexUpdate(file, increment))
    await enqueued(dir)
    holder.send('go on')
    await holder.returned
    const sizes = batchSizes(await Promise.all(calls))
    expect(Math.max(...sizes)).toBeGreaterThan(1)
    expect(readJson(file)).toEqual({ n: 21 })
  })

  test('that come while one has a function that takes long are the next group', async ({ dir, file }) => {
    writeJson(file, [])
    const first = atomicIndexUpdate(file, (index) => sleep(60, append('first')(index)))
    const calls = times(3, (at) => atomicIndexUpdate(file, append(at)))
    expect(batchSizes(await Promise.all([first, ...calls]))).toEqual([1, 3, 3, 3])
    expect(readJson(file)).toEqual(['first', 0, 1, 2])
    expect(names(dir)).toEqual(['index.json'])
  })

  test('that change nothing leave the file alone, and their results say so', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const before = state(file)
    const calls = await together(file, () => times(3, () => atomicIndexUpdate(file, (index) => index)))
    for (const result of await Promise.all(calls)) {
      expect(result).toMatchObject({ written: false, bytes: Number(before.size), batchSize: 3 })
    }
    expect(state(file)).toEqual(before)
  })

  test('that undo one another leave the file alone', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const before = state(file)
    const add = (by: number) => atomicIndexUpdate(file, ({ n }) => ({ n: n + by }))
    const calls = await together(file, () => [add(1), add(-1)])
    expect(await Promise.all(calls)).toMatchObject([{ written: false }, { written: false }])
    expect(state(file)).toEqual(before)
  })

  test('keep as their backup the version before them all', async ({ dir, file }) => {
    writeJson(file, [])
    const update = (at: number) => atomicIndexUpdate(file, append(at), { backup: true })
    const calls = await together(file, () => times(3, update))
    expect(batchSizes(await Promise.all(calls))).toEqual([3, 3, 3])
    expect(readJson(`${file}.backup`)).toEqual([])
    expect(readJson(file)).toEqual([0, 1, 2])
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('resolve in their order', async ({ file }) => {
    writeJson(file, [])
    const order: number[] = []
    const calls = await together(file, () =>
      times(10, (at) => atomicIndexUpdate(file, append(at)).then(() => order.push(at))),
    )
    await Promise.all(calls)
    expect(order).toEqual(times(10, (at) => at))
  })
})

test('an update resolves only when the file holds its change', async ({ file }) => {
  writeJson(file, [])
  const missing: number[] = []
  // In groups as they come, and each with its own moment to be looked at.
  const update = async (at: number) => {
    await atomicIndexUpdate(file, append(at), { flush: false })
    if (!JSON.parse(readFileSync(file, 'utf8')).includes(at)) missing.push(at)
  }
  const calls: Promise<void>[] = []
  for (let at = 0; at < 300; at++) {
    calls.push(update(at))
    if (at % 7 === 0) await new Promise(setImmediate)
  }
  await Promise.all(calls)
  expect(missing).toEqual([])
  expect(readJson(file)).toHaveLength(300)
})

needs('strace that may attach')('a group is read once, flushed once and renamed once', async ({ dir }) => {
  const file = join(dir, 'index.json')
  writeJson(file, [])
  const { returned, calls } = await systemCalls(remoteGroup, [file, 50], { trace: ['fsync', 'renameat'] })
  expect(returned.outcomes).toHaveLength(50)
  expect(readJson(file)).toHaveLength(50)
  const flushed = calls.filter(({ name }) => name === 'fsync').map(({ args }) => args.endsWith(`<${dir}>`))
  const named = calls.filter(({ name, args }) => name === 'renameat' && args.endsWith('"index.json"'))
  // A group ends after 50 ms, which a busy machine may take for some of the functions.
  expect(named.length).toBeLessThan(10)
  expect(flushed).toEqual(named.flatMap(() => [false, true]))
})

test('calls at once share a commit also of an index that takes long to parse', async ({ file }) => {
  const records = Array.from({ length: 120_000 }, (_, at) => ({
    at,
    text: `record ${at} ${'x'.repeat(120)}`,
  }))
  writeFileSync(file, JSON.stringify({ records, made: [] }))
  const results = await Promise.all(
    times(20, (at) =>
      atomicIndexUpdate(file, (index) => {
        index.made.push(at)
        return index
      }),
    ),
  )
  // The first may be alone; all others had joined the queue when it was parsed.
  expect(Math.max(...batchSizes(results))).toBeGreaterThan(5)
  expect(readJson(file).made).toHaveLength(20)
})
