// Locks of several indexes in a process with few descriptors, which may not hold many at once.

import { join } from 'node:path'
import { expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { holderOf, untilLockIsWaitedFor } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

/** 32 of them are for locks, and 16 of these for locks that are kept. */
const FEW_DESCRIPTORS = { before: 'ulimit -n 256' }

/** Two indexes are locked, of which another process has the second, while a transaction needs all locks that there may be. */
async function beside(
  { acquireIndexLock, atomicIndexUpdate, atomicTransaction, send, receive }: Remote,
  dir: string,
  two: string[],
) {
  const told = (call: Promise<unknown>) =>
    call.then(
      () => 'done',
      ({ code }) => code,
    )
  const locks = acquireIndexLock(two, { timeout: 20_000 })
  const locked = told(locks.then((locks) => Promise.all(locks.map((lock) => lock.release()))))
  await receive()
  let isAsked = false
  const transaction = told(
    atomicTransaction(
      dir,
      (tx) => {
        isAsked = true
        for (let at = 0; at < 32; at++) tx.update(`${at}.json`, () => ({}))
      },
      { flush: false, timeout: 20_000 },
    ),
  )
  // It finds its files, and then waits for the right to as many locks: from then on there is none for another call.
  const isRefused = () =>
    atomicIndexUpdate(`${dir}/other`, () => ({}), { flush: false, timeout: 0 }).then(
      () => false,
      ({ message }) => message.includes('it holds as many as it may'),
    )
  while (!isAsked || !(await isRefused())) {}
  send('both wait')
  return Promise.all([locked, transaction])
}

needs('linux')(
  'one call that has a part of them does not wait for one that waits for it',
  async ({ dir }) => {
    const two = ['a', 'b'].map((name) => join(makeDir(dir, 'two'), name))
    const holder = await holderOf(two[1] as string)
    const calls = inProcess(beside, [dir, two], FEW_DESCRIPTORS)
    await untilLockIsWaitedFor(two[1] as string)
    calls.send('go on')
    await calls.next()
    holder.send('go on')
    await holder.returned
    expect(await calls.returned).toEqual(['done', 'done'])
  },
)

/** Some rounds of calls, all at once, that each lock so many indexes. */
async function rounds({ acquireIndexLock }: Remote, dir: string, calls: number, indexes: number) {
  const one = async (call: number) => {
    const files = Array.from({ length: indexes }, (_, at) => `${dir}/${call}-${at}.json`)
    const locks = await acquireIndexLock(files, { timeout: 60_000 })
    await Promise.all(locks.map((lock) => lock.update(() => ({}), { flush: false })))
    await Promise.all(locks.map((lock) => lock.release()))
  }
  for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: calls }, (_, at) => one(at)))
}

for (const [calls, indexes] of [
  [6, 9],
  [4, 16],
] as const)
  needs('linux')(
    `${calls} calls of ${indexes} each come to their locks one after the other`,
    async ({ dir }) => {
      await inProcess(rounds, [dir, calls, indexes], FEW_DESCRIPTORS).returned
      expect(names(dir)).toHaveLength(calls * indexes)
    },
  )

needs('linux')('a call that needs more than there are says so', async ({ dir }) => {
  const refused = async ({ acquireIndexLock }: Remote, dir: string) =>
    acquireIndexLock(Array.from({ length: 17 }, (_, at) => `${dir}/${at}`)).catch(({ code }) => code)
  expect(await inProcess(refused, [dir], FEW_DESCRIPTORS).returned).toBe('EMFILE')
  expect(names(dir)).toEqual([])
})
