// Updates of one index that are sure to wait at the same time: another one is held inside its function meanwhile.

import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate, atomicWrite, type UpdateResult } from '@pipeline/atomic'
import { onTestFinished } from 'vitest'
import type { Remote } from './processes'
import { gate } from './promises'

/** Resolves when all calls that this thread has made have joined their queues: a call joins after those before it. */
export async function enqueued(dir: string): Promise<void> {
  const last = join(dir, 'enqueued')
  await atomicWrite(last, '', { flush: false, verify: false })
  rmSync(last)
}

/** A group takes no more calls when its functions have had the index for so many milliseconds. */
export const GROUP_MS = 50

/** An update of `file` that is inside its function, and changes nothing when it is released. */
export async function held(file: string): Promise<{ release(): void }> {
  const { open: release, opened: released } = gate()
  const { open: enter, opened: entered } = gate()
  onTestFinished(() => release())
  const nothing = async () => {
    enter()
    // So long that no other call joins its group.
    await Promise.all([released, sleep(GROUP_MS + 10)])
    throw new Error('nothing was to be changed')
  }
  const update = atomicIndexUpdate(file, nothing)
  await Promise.race([entered, update])
  update.catch(() => {})
  return { release }
}

let released = 0
let settled: number | undefined

/** The calls that `make` makes while an update of `file` is held: they are returned when that is released. */
export async function together<T>(
  file: string,
  make: () => Promise<T>[],
  beforeRelease: (calls: Promise<T>[]) => unknown = () => {},
): Promise<Promise<T>[]> {
  const holder = await held(file)
  const calls = make()
  // The test looks at them later.
  for (const call of calls) call.catch(() => {})
  await enqueued(dirname(file))
  await beforeRelease(calls)
  released = performance.now()
  settled = undefined
  Promise.allSettled(calls).then(() => {
    settled = performance.now()
  })
  holder.release()
  return calls
}

/**
 * For tests that count the calls of a group. A machine that is too busy to run its functions in time makes two groups
 * of them, which says nothing: then, and only then, a failed test is run again.
 */
export const inTime = {
  retry: { count: 100, condition: () => (settled ?? performance.now()) - released > GROUP_MS },
}

export const batchSizes = (results: UpdateResult[]) => results.map(({ batchSize }) => batchSize)

export const times = <T>(howMany: number, make: (at: number) => T): T[] =>
  Array.from({ length: howMany }, (_, at) => make(at))

/** An update of an index that is a list: it appends `what`. */
export const append =
  (what: unknown) =>
  (index: any): unknown[] => {
    index.push(what)
    return index
  }

/** The outcome of a call of a group in another process. */
export interface Outcome {
  result?: UpdateResult
  error?: { code: string; syscall?: string; path?: string; committed?: boolean; stack: string }
}

/**
 * For another process: a group of `howMany` updates, each adding its number to the index, a list, with `pad` bytes
 * more. Nothing stays open in the folder of the index.
 */
export async function remoteGroup(
  { atomicIndexUpdate, atomicWrite, require, until, openBelow }: Remote,
  file: string,
  howMany: number,
  pad = 0,
): Promise<{ outcomes: Outcome[]; distinct: number }> {
  const fs = require('node:fs') as typeof import('node:fs')
  const dir = file.slice(0, file.lastIndexOf('/'))
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const entered = new Promise<void>((resolve) => {
    const hold = async () => {
      resolve()
      await Promise.all([released, new Promise((resolve) => setTimeout(resolve, 60))])
      throw new Error('nothing was to be changed')
    }
    atomicIndexUpdate(file, hold).catch(() => {})
  })
  await entered
  async function theCaller(at: number) {
    const add = (index: any) => [...index, { at, pad: 'x'.repeat(pad) }]
    return await atomicIndexUpdate(file, add)
  }
  const calls = Promise.allSettled(Array.from({ length: howMany }, (_, at) => theCaller(at)))
  // Without a flush and a read-back, which faults may be waiting for.
  await atomicWrite(`${dir}/enqueued`, '', { flush: false, verify: false }).catch(() => {})
  fs.rmSync(`${dir}/enqueued`, { force: true })
  release()
  const settled = await calls
  const outcomes = settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return { result: outcome.value }
    const { code, syscall, path, committed, stack } = outcome.reason
    return { error: { code, syscall, path, committed, stack } }
  })
  const distinct = new Set(settled.map((outcome) => 'reason' in outcome && outcome.reason)).size
  // A replaced file may be closed a moment after the answer.
  await until(() => openBelow(dir).length === 0)
  return { outcomes, distinct }
}

/** Which of five calls are to fail. */
export const places: [where: string, failing: number[]][] = [
  ['the first', [0]],
  ['one in the middle', [2]],
  ['the last', [4]],
  ['the first two', [0, 1]],
  ['every other one', [1, 3]],
  ['all but the last', [0, 1, 2, 3]],
]
