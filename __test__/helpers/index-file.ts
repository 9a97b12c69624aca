// What the specs of atomicIndexUpdate share: looks at an index, and waits for what others do with it.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { expect } from 'vitest'
import { inProcess, type ProcessOptions, type RunningProcess } from './processes'
import { rejection, until } from './promises'

export interface Counter {
  n: number
}

/** The plainest update. */
export function increment(index: any): Counter {
  index.n++
  return index
}

export function readJson(file: string): any {
  return JSON.parse(readFileSync(file, 'utf8'))
}

export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value))
}

export const lockOf = (file: string) => join(dirname(file), `.${basename(file)}.lock`)

/** The lock file says who has it, in so many bytes at most. */
const LONGEST_RECORD = 255

/** Waits until a call of any process has found the lock of `file` taken: it makes the lock file longer than its record can be. */
export const untilLockIsWaitedFor = (file: string): Promise<void> =>
  until(() => (statSync(lockOf(file), { throwIfNoEntry: false })?.size ?? 0) > LONGEST_RECORD)

/** Waits until a call of this process has its turn with `file`: another one then cannot have it at once. */
export async function untilTurnIsTaken(file: string): Promise<void> {
  const free = new Error('nobody has the turn')
  const probe = () =>
    atomicIndexUpdate(
      file,
      () => {
        throw free
      },
      { timeout: 0 },
    )
  let reason = free
  while (reason === free) reason = await rejection(probe())
  expect(reason).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
}

/** Waits until a change of a file gets another time than `file` has: before Linux 6.13 a clock tick has only one. */
export async function untilClockTicks(file: string): Promise<void> {
  const probe = `${file}.probe`
  const { ctimeMs } = statSync(file)
  await until(() => {
    writeFileSync(probe, '')
    return statSync(probe).ctimeMs > ctimeMs
  })
  rmSync(probe)
}

/** Another process in the middle of an update of `file`, which adds 1 to `n` when it is sent a message. */
export async function holderOf(file: string): Promise<RunningProcess> {
  const holder = inProcess(
    ({ atomicIndexUpdate, send, receive }, file) =>
      atomicIndexUpdate(
        file,
        async (index) => {
          const goOn = receive()
          send('inside')
          await goOn
          return { ...index, n: index.n + 1 }
        },
        { initial: { n: 0 } },
      ),
    [file],
  )
  await holder.next()
  return holder
}

/** One update in a process of its own: `'resolved'`, or the properties of its error. */
export function outcomeElsewhere(file: string, options?: ProcessOptions): Promise<any> {
  return inProcess(
    ({ atomicIndexUpdate }, file) =>
      atomicIndexUpdate(file, () => ({ changed: true })).then(
        () => 'resolved',
        ({ code, errno, syscall, path, message }) => ({ code, errno, syscall, path, message }),
      ),
    [file],
    options,
  ).returned
}
