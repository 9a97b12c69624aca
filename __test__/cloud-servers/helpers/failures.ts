// How calls fail, and what is seen of it.

import { expect } from 'vitest'
import type { Room } from './stores'

/** Calls that read, and calls that write. */
const CALLS = ['readIndex', 'atomicWrite', 'remove'] as const

/** What each of them rejects with. */
export async function failures(
  room: Room,
  url: string,
  { env, ...options }: { endpoint?: string; timeout?: number; env?: Record<string, string> },
): Promise<any[]> {
  const all = { endpoint: room.store.endpoint, ...options }
  return room.clients(
    1,
    async ([client]) => {
      const args = { readIndex: [all], atomicWrite: ['{}', all], remove: [all] }
      const found = []
      for (const name of CALLS) found.push(await client!.ask('fail', name, url, ...args[name]))
      const updating = client!.ask('update', { url, writer: 'a', times: 1, options: all })
      found.push(await updating.catch((error) => error))
      return found
    },
    env,
  )
}

/** Nothing that is printed or logged of an error may hold a credential. */
export function expectNoSecret(errors: any[], secrets: string[]) {
  for (const { seen, message } of errors) {
    for (const secret of secrets) expect(`${seen}\n${message}`).not.toContain(secret)
  }
}
