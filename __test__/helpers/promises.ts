// Looks at promises, and waits for events. Nothing here fails because a machine is slow.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { HANG_MS } from './hang'

/** Waits until `isSo`; `found` describes what there is instead if that never happens. */
export async function until(isSo: () => boolean, found: () => string = () => ''): Promise<void> {
  for (const end = Date.now() + HANG_MS; !isSo(); await sleep(2)) {
    if (Date.now() > end) expect.fail(`never came: ${isSo}, but ${found()}`)
  }
}

/** What a promise is rejected with; `undefined` can be it. */
export async function rejection(promise: Promise<unknown>): Promise<any> {
  const settled = await promise.then(
    (value) => ({ value }),
    (reason) => ({ reason }),
  )
  if ('value' in settled) expect.fail(`resolved with ${JSON.stringify(settled.value)}`)
  return settled.reason
}

/** What a call throws. */
export function thrown(call: () => unknown): any {
  try {
    call()
  } catch (error) {
    return error
  }
  expect.fail('nothing was thrown')
}

/** Whether a promise is still pending after `ms`; 0 where all has happened that could have settled it. */
export async function isPending(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise.catch(() => {}), sleep(ms, pending)])) === pending
}

/** A promise to be settled by hand. */
export function gate<T = void>() {
  let open!: (value: T) => void
  const opened = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** A few turns of the event loop: every promise that can be settled without an event from outside is settled then. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}
