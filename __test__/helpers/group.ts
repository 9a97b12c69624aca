// Updates of one index that are sure to wait at the same time: another one is held inside its function meanwhile.

import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate, atomicWrite, type UpdateResult } from '@pipeline/atomic'
import { onTestFinished } from 'vitest'
import type { There } from './elsewhere'
import { gate } from './index-file'

/** Resolves when all calls that this thread has made have their place: one gets it only after those before it. */
export async function inLine(dir: string): Promise<void> {
  const last = join(dir, 'in-line')
  await atomicWrite(last, '', { flush: false, verify: false })
  rmSync(last)
}

/** An update that has had the index for so many milliseconds is not joined by others: they are the next group. */
const ON_ITS_OWN = 60

/** An update of `file` that is inside its function, and changes nothing when it is let go. */
export async function held(file: string): Promise<{ letGo(): void }> {
  const { open: letGo, opened } = gate()
  const { open: enter, opened: entered } = gate()
  onTestFinished(() => letGo())
  const nothing = async () => {
    enter()
    await Promise.all([opened, sleep(ON_ITS_OWN)])
    throw new Error('nothing was to be changed')
  }
  atomicIndexUpdate(file, nothing).catch(() => {})
  await entered
  return { letGo }
}

/** The calls that `make` makes while an update of `file` is held: they are returned when it is let go. */
export async function together<T>(
  file: string,
  make: () => Promise<T>[],
  beforeTheyGo: (calls: Promise<T>[]) => unknown = () => {},
): Promise<Promise<T>[]> {
  const holder = await held(file)
  const calls = make()
  // Whoever looks at them does so later.
  for (const call of calls) call.catch(() => {})
  await inLine(dirname(file))
  await beforeTheyGo(calls)
  holder.letGo()
  return calls
}

/** A group closes after 50 ms: on a machine that is too busy for that, a test of who shares a commit is run again. */
export const inTime = { retry: 3 }

export const batchSizes = (results: UpdateResult[]) => results.map(({ batchSize }) => batchSize)

export const times = <T>(howMany: number, make: (at: number) => T): T[] =>
  Array.from({ length: howMany }, (_, at) => make(at))

/** An index that is a list, and what appends to it. */
export const append =
  (what: unknown) =>
  (index: any): unknown[] => {
    index.push(what)
    return index
  }

/** What a call of a group in another process came to. */
export interface Outcome {
  result?: UpdateResult
  error?: { code: string; syscall?: string; path?: string; committed?: boolean; stack: string }
}

/**
 * For another process: a group of `howMany` updates, each adding its number to the index, a list, with `pad` bytes
 * more. `open` is what the process has open beside the index afterwards.
 */
export async function groupThere(
  { atomicIndexUpdate, atomicWrite, require }: There,
  file: string,
  howMany: number,
  pad = 0,
): Promise<{ outcomes: Outcome[]; distinct: number; open: string[] }> {
  const fs = require('node:fs') as typeof import('node:fs')
  const dir = file.slice(0, file.lastIndexOf('/'))
  let letGo = () => {}
  const opened = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const entered = new Promise<void>((resolve) => {
    const hold = async () => {
      resolve()
      await Promise.all([opened, new Promise((resolve) => setTimeout(resolve, 60))])
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
  await atomicWrite(`${dir}/in-line`, '', { flush: false, verify: false }).catch(() => {})
  fs.rmSync(`${dir}/in-line`, { force: true })
  letGo()
  const settled = await calls
  const outcomes = settled.map((outcome) => {
    if (outcome.status === 'fulfilled') return { result: outcome.value }
    const { code, syscall, path, committed, stack } = outcome.reason
    return { error: { code, syscall, path, committed, stack } }
  })
  const distinct = new Set(settled.map((outcome) => 'reason' in outcome && outcome.reason)).size
  const openHere = () =>
    fs.readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const path = fs.readlinkSync(`/proc/self/fd/${fd}`)
        return path.startsWith(`${dir}/`) ? [path] : []
      } catch {
        // The descriptor that this listing was read through.
        return []
      }
    })
  // A replaced file may be let go of a moment after the answer.
  for (let look = 0; look < 500 && openHere().length > 0; look++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return { outcomes, distinct, open: openHere() }
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
