// A program that changes an index without the lock while the function of an update runs: its change is not lost.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names } from '../helpers/files'
import { readJson, untilClockTicks, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('when a program changes the file without the lock while fn runs', () => {
  /** Runs `meddle` in the first call of fn only. */
  function once(meddle: () => void, fn: (index: any) => any = (index) => ({ ...index, ours: true })) {
    let calls = 0
    const meddled = (index: any) => {
      if (calls++ === 0) meddle()
      return fn(index)
    }
    return { meddled, calls: () => calls }
  }

  for (const [kind, wrap] of [
    ['a sync fn', (fn: (index: any) => any) => fn],
    [
      'an async fn',
      (fn: (index: any) => any) => async (index: any) => {
        await nextTurn()
        return fn(index)
      },
    ],
  ] as const) {
    test(`${kind} runs again and both changes are kept`, async ({ dir, file }) => {
      writeJson(file, { n: 1 })
      const { meddled, calls } = once(() => writeJson(file, { n: 1, theirs: true }))
      await atomicIndexUpdate(file, wrap(meddled))
      expect(readJson(file)).toEqual({ n: 1, theirs: true, ours: true })
      expect(calls()).toBe(2)
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  test('of the same length: it is noticed', async ({ file }) => {
    writeJson(file, { theirs: 1 })
    await untilClockTicks(file)
    const { meddled } = once(() => writeJson(file, { theirs: 2 }))
    await atomicIndexUpdate(file, meddled)
    expect(readJson(file)).toEqual({ theirs: 2, ours: true })
  })

  test('and fn would leave it as it was: the change is kept', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const { meddled, calls } = once(
      () => writeJson(file, { theirs: true }),
      (index) => index,
    )
    await atomicIndexUpdate(file, meddled)
    expect(readJson(file)).toEqual({ theirs: true })
    expect(calls()).toBe(2)
  })

  test('deletes it: fn runs again with the initial index', async ({ file }) => {
    writeJson(file, { n: 1 })
    const { meddled } = once(() => rmSync(file))
    await atomicIndexUpdate(file, meddled, { initial: { initial: true } })
    expect(readJson(file)).toEqual({ initial: true, ours: true })
  })

  test('makes it where there was none: fn runs again with what is in it', async ({ file }) => {
    const { meddled } = once(() => writeJson(file, { theirs: true }))
    await atomicIndexUpdate(file, meddled)
    expect(readJson(file)).toEqual({ theirs: true, ours: true })
  })

  test('the backup is the version that was really replaced', async ({ file }) => {
    writeJson(file, { n: 1 })
    const { meddled } = once(() => writeJson(file, { n: 2 }))
    await atomicIndexUpdate(file, meddled, { backup: true })
    expect(readJson(`${file}.backup`)).toEqual({ n: 2 })
  })

  /**
   * Changes the file when the next version is staged already, and lets fn do `again` from then on. A busy machine may give this
   * thread no time between the start and the rename: then all begins anew.
   */
  async function meddleLate(dir: string, again: (index: any) => any, options?: UpdateOptions) {
    const file = join(dir, 'index.json')
    // Long enough in the writing that there is a while between them.
    const pad = 'x'.repeat(50_000_000)
    const isStaged = () => openBelow(dir).some((path) => / \(deleted\)$|\.atomic-tmp$/.test(path))
    for (;;) {
      writeJson(file, { n: 1 })
      writeJson(`${file}.backup`, { n: 0 })
      let calls = 0
      let isOver = false
      const update = atomicIndexUpdate(file, (index) => (calls++ === 0 ? { pad } : again(index)), options)
      const settled = update.then(
        () => 'resolved',
        (error) => error,
      )
      settled.then(() => {
        isOver = true
      })
      while (!isOver && !isStaged()) await new Promise(setImmediate)
      if (isOver) continue
      writeJson(file, { theirs: true })
      const outcome = await settled
      if (calls > 1) return outcome
    }
  }

  needs('linux')('while the next version is being written: it is noticed', async ({ dir }) => {
    expect(await meddleLate(dir, (index) => ({ ...index, ours: true }))).toBe('resolved')
    expect(readJson(join(dir, 'index.json'))).toEqual({ theirs: true, ours: true })
  })

  needs('linux')('and fn then fails: no backup was made for nothing', async ({ dir }) => {
    const file = join(dir, 'index.json')
    const error = new Error('no')
    const fail = () => {
      throw error
    }
    expect(await meddleLate(dir, fail, { backup: true })).toBe(error)
    expect(readJson(file)).toEqual({ theirs: true })
    expect(readJson(`${file}.backup`)).toEqual({ n: 0 })
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('again and again: the update gives up after its timeout', async ({ dir, file }) => {
    writeJson(file, { n: 0 })
    let calls = 0
    const meddle = (index: any) => {
      writeJson(file, { n: ++calls, longer: 'x'.repeat(calls) })
      return { ...index, ours: true }
    }
    expect(await rejection(atomicIndexUpdate(file, meddle, { timeout: 200 }))).toMatchObject({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
      path: file,
    })
    expect(readJson(file)).toEqual({ n: calls, longer: 'x'.repeat(calls) })
    expect(calls).toBeGreaterThan(1)
    expect(names(dir)).toEqual(['index.json'])
  })
})
