// Async functions in a group: each is awaited in its turn, and a slow one delays only those after it.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { append, batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { gate, isPending, rejection, until } from '../helpers/promises'
import { test } from '../helpers/test'

const nextTurn = () => new Promise(setImmediate)

describe('async functions of a group', inTime, () => {
  test('are awaited one after the other, in the order of the calls', async ({ file }) => {
    writeJson(file, [])
    let inside = 0
    const slowly = (at: number) => async (index: any) => {
      expect(++inside).toBe(1)
      for (let turn = at; turn < 5; turn++) await nextTurn()
      inside--
      return append(at)(index)
    }
    const calls = await together(file, () => times(5, (at) => atomicIndexUpdate(file, slowly(at))))
    expect(batchSizes(await Promise.all(calls))).toEqual([5, 5, 5, 5, 5])
    expect(readJson(file)).toEqual([0, 1, 2, 3, 4])
  })

  test('share a commit with others', async ({ file }) => {
    writeJson(file, [])
    const kind = (at: number) => (at % 2 ? append(at) : async (index: any) => append(at)(index))
    const calls = await together(file, () => times(10, (at) => atomicIndexUpdate(file, kind(at))))
    expect(batchSizes(await Promise.all(calls))).toEqual(times(10, () => 10))
    expect(readJson(file)).toEqual(times(10, (at) => at))
  })
})

describe('a slow function in the middle of a group', inTime, () => {
  /** Waits in each run until it may go on. */
  function slowOne() {
    const { open, opened } = gate()
    const runs: unknown[][] = []
    const fn = async (index: any) => {
      const given = [...index]
      runs.push(given)
      index.push('half')
      await opened
      return [...given, 'slow']
    }
    return { open, fn, runs }
  }

  test('does not delay those before it, and none of its changes is written with theirs', async ({ file }) => {
    writeJson(file, [])
    const slow = slowOne()
    const calls = await together(file, () =>
      [append(0), append(1), slow.fn, append(3)].map((fn) => atomicIndexUpdate(file, fn)),
    )
    expect(batchSizes(await Promise.all(calls.slice(0, 2)))).toEqual([2, 2])
    expect(readJson(file)).toEqual([0, 1])
    slow.open()
    await Promise.all(calls)
    expect(readJson(file)).toEqual([0, 1, 'slow', 3])
  })

  test('runs again on what those before it made', async ({ file }) => {
    writeJson(file, [])
    const slow = slowOne()
    const calls = await together(file, () => [append(0), slow.fn].map((fn) => atomicIndexUpdate(file, fn)))
    await calls[0]
    await until(() => slow.runs.length === 2)
    expect(await isPending(calls[1]!, 0)).toBe(true)
    slow.open()
    await calls[1]
    expect(slow.runs).toEqual([[0], [0]])
  })

  test('makes those after it wait', async ({ file }) => {
    writeJson(file, [])
    const slow = slowOne()
    const calls = await together(file, () =>
      [append(0), slow.fn, append(2)].map((fn) => atomicIndexUpdate(file, fn)),
    )
    await calls[0]
    await until(() => slow.runs.length === 2)
    expect(await isPending(calls[2]!, 0)).toBe(true)
    expect(readJson(file)).toEqual([0])
    slow.open()
    await calls[2]
    expect(readJson(file)).toEqual([0, 'slow', 2])
  })

  test('that fails when it runs again fails alone', async ({ file }) => {
    writeJson(file, [])
    const { open, opened } = gate()
    const reason = new Error('no')
    const fail = async (index: any) => {
      index.push('half')
      await opened
      throw reason
    }
    const calls = await together(file, () =>
      [append(0), fail, append(2)].map((fn) => atomicIndexUpdate(file, fn)),
    )
    await calls[0]
    open()
    expect(await rejection(calls[1]!)).toBe(reason)
    await calls[2]
    expect(readJson(file)).toEqual([0, 2])
  })

  test('counts by its last run: what an earlier run still does is ignored', async ({ file }) => {
    const child = inProcess(
      async ({ atomicIndexUpdate, require, until }, file) => {
        const { setTimeout: sleep } = require('node:timers/promises') as typeof import('node:timers/promises')
        const runs: (() => void)[] = []
        const stale: ((index: any) => Promise<string[]>)[] = [
          async (index) => [...index, 'of the first run'],
          async () => {
            throw new Error('of the first run')
          },
        ]
        const pushing = (what: string) => (index: any) => [...index, what]
        for (const first of stale) {
          runs.length = 0
          const twice = async (index: any) => {
            const run = runs.length
            await new Promise<void>((resolve) => runs.push(resolve))
            return run === 0 ? first(index) : [...index, 'of the second run']
          }
          const holding = atomicIndexUpdate(file, (index) => sleep(60, index), { initial: [] })
          const calls = [pushing('before'), twice].map((fn) => atomicIndexUpdate(file, fn))
          await holding
          await calls[0]
          await until(() => runs.length === 2)
          runs[0]?.()
          for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
          runs[1]?.()
          await calls[1]
        }
        return 'done'
      },
      [file],
    )
    expect(await child.returned).toBe('done')
    expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
    expect(readJson(file)).toEqual(times(2, () => ['before', 'of the second run']).flat())
  })
})

describe('a function that never settles', inTime, () => {
  const never = () => new Promise<never>(() => {})

  test('blocks those after it alone, until their time is over', async ({ file }) => {
    writeJson(file, [])
    const controller = new AbortController()
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, never, { signal: controller.signal }),
      atomicIndexUpdate(file, append('lost'), { timeout: 300 }),
    ])
    await calls[0]
    expect(readJson(file)).toEqual([0])
    expect(await rejection(calls[2]!)).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', path: file })
    controller.abort()
    expect(await rejection(calls[1]!)).toMatchObject({ code: 'ABORT_ERR' })
    await atomicIndexUpdate(file, append('after'), { timeout: 0 })
    expect(readJson(file)).toEqual([0, 'after'])
  })

  test('and is aborted lets those after it go on', async ({ dir, file }) => {
    writeJson(file, [])
    const controller = new AbortController()
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, never, { signal: controller.signal }),
      ...times(3, (at) => atomicIndexUpdate(file, append(2 + at))),
    ])
    await calls[0]
    controller.abort()
    await rejection(calls[1]!)
    expect(batchSizes(await Promise.all(calls.slice(2)))).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual([0, 2, 3, 4])
    expect(names(dir)).toEqual(['index.json'])
  })
})
