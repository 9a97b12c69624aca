// What a function is told of its run, and a function that does not come to an end.

import { acquireIndexLock, atomicIndexUpdate, withIndexLock } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const never = () => new Promise<any>(() => {})

describe('the second argument of fn', () => {
  test('is given to functions that declare one, and counts their runs', async ({ file }) => {
    const seen: unknown[] = []
    await atomicIndexUpdate(file, (...all: any[]) => {
      seen.push(all.length)
      return {}
    })
    const attempts: number[] = []
    await atomicIndexUpdate(file, (index, run) => {
      attempts.push(run.attempt)
      expect(run.signal).toBeInstanceOf(AbortSignal)
      expect(run.signal.aborted).toBe(false)
      // A program without the lock comes first.
      if (run.attempt === 1) writeJson(file, { other: true })
      return { ...index, n: 1 }
    })
    await withIndexLock(file, (lock) =>
      lock.update((index, { attempt }) => {
        attempts.push(attempt)
        return index
      }),
    )
    expect([seen, attempts]).toEqual([[1], [1, 2, 1]])
    expect(readJson(file)).toEqual({ other: true, n: 1 })
  })

  test('has a signal that is aborted with that of the call, for its reason', async ({ file }) => {
    const aborting = new AbortController()
    const [entered, heard] = [gate<AbortSignal>(), gate<unknown>()]
    const call = atomicIndexUpdate(
      file,
      (_, { signal }) => {
        signal.addEventListener('abort', () => heard.open(signal.reason))
        entered.open(signal)
        return never()
      },
      { signal: aborting.signal },
    )
    await entered.opened
    aborting.abort('enough')
    expect(await rejection(call)).toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(await heard.opened).toBe('enough')
  })

  test('has a signal that is aborted when others are not kept waiting, and a new one in the next run', async ({
    file,
  }) => {
    writeJson(file, { n: 0 })
    const signals: AbortSignal[] = []
    const lock = await acquireIndexLock(file)
    const first = atomicIndexUpdate(file, increment)
    const slow = atomicIndexUpdate(file, async (index, { signal, attempt }) => {
      signals.push(signal)
      if (attempt === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return increment(index)
    })
    // It gives up when it is in the queue, behind both: they share a commit.
    expect(await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))).toMatchObject({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
    })
    await lock.release()
    await Promise.all([first, slow])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

describe('a function that does not settle within fnTimeout', () => {
  test('is given up: its signal is aborted, nothing is written, and the lock is free', async ({
    dir,
    file,
  }) => {
    writeJson(file, { n: 1 })
    let aborted: AbortSignal | undefined
    let index: any
    const call = atomicIndexUpdate(
      file,
      (given, { signal }) => {
        ;[index, aborted] = [given, signal]
        given.n = 'changed'
        return never()
      },
      { fnTimeout: 20 },
    )
    const error = await rejection(call)
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_FN_TIMEOUT', path: file })
    expect(error.message).toContain('within 20 ms')
    expect(error.stack).toContain('run.spec.ts')
    expect(aborted?.reason).toBe(error)
    expect(names(dir)).toEqual(['index.json'])
    // What it still does has no effect, and does not wait for itself.
    index.n = 'late'
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('in the middle of a group, of which all others are written', async ({ file }) => {
    writeJson(file, { n: 0 })
    let runs = 0
    const hang = (index: any) => {
      runs++
      index.n = 'changed'
      return never()
    }
    const calls = [increment, increment, hang, increment, increment].map((fn) =>
      atomicIndexUpdate(file, fn as typeof increment, { fnTimeout: 20 }),
    )
    const settled = await Promise.allSettled(calls)
    expect(settled.map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.code))).toEqual([
      'done',
      'done',
      'ERR_ATOMIC_FN_TIMEOUT',
      'done',
      'done',
    ])
    // On a machine that stands still meanwhile the others go on without it first.
    expect(runs).toBeLessThan(3)
    expect(readJson(file)).toEqual({ n: 4 })
  })

  test('does not keep its lock, nor the release of one that it has', async ({ dir, file }) => {
    const lock = await acquireIndexLock(file)
    const late = rejection(lock.update(never, { fnTimeout: 20 }))
    const written = lock.write({ n: 1 })
    await lock.release()
    expect((await late).code).toBe('ERR_ATOMIC_FN_TIMEOUT')
    expect((await written).written).toBe(true)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('is none if it settles in time, or fails', async ({ file }) => {
    const slow = async () => {
      await new Promise(setImmediate)
      return { n: 1 }
    }
    await atomicIndexUpdate(file, slow, { fnTimeout: 60_000 })
    const error = new Error('its own')
    const fail = async () => Promise.reject(error)
    expect(await rejection(atomicIndexUpdate(file, fail, { fnTimeout: 60_000 }))).toBe(error)
    for (const fnTimeout of [-1, Number.NaN]) {
      const wrong = atomicIndexUpdate(file, increment, { fnTimeout })
      expect((await rejection(wrong)).code).toBe('ERR_INVALID_ARG_VALUE')
    }
  })
})
