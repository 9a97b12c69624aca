// A spec file's stores: each with its tests, or with the reason why they are skipped.

import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, inject, test } from 'vitest'
import type { Store } from '../servers/stores'
import { type Client, withClients } from './clients'
import { type FaultProxy, type Faults, startFaultProxy } from './fault-proxy'

type Package = typeof import('../../..')

export interface Room {
  store: Store
  /** A URL that no other test has. */
  url(name?: string): string
  /** Processes with the store's environment, or with another one. */
  clients<T>(
    count: number,
    body: (clients: Client[], another: () => Client) => Promise<T>,
    env?: Record<string, string>,
  ): Promise<T>
  /** Runs `body` with a proxy before the server, which has ended its requests when this returns. */
  through<T>(faults: Faults, body: (proxy: FaultProxy) => Promise<T>): Promise<T>
  /** What an index is now, read without a proxy. */
  read(url: string): Promise<any>
  test(title: string, body: () => Promise<void>): void
  /** A test with a proxy before the server. */
  faultTest(title: string, body: () => Promise<void>): void
}

/** Declares tests for each of `stores`. A run against one given store may have none of the kind that a file is about. */
export function eachStore(body: (room: Room) => void, stores: Store[] = inject('stores')): void {
  if (stores.length === 0) test.skip('needs another kind of store than the one that was given')
  for (const store of stores) {
    describe(store.name, () => {
      const declare: Room['test'] = (title, run) =>
        store.missing ? test.skip(`${title} (needs ${store.name}: ${store.missing})`) : test(title, run)
      body({
        store,
        url: (name = 'index.json') =>
          `${store.scheme}://${store.bucket}/atomic-specs/${randomUUID()}/${name}`,
        clients: (count, use, env = store.env) => withClients(inject('addon'), env, count, use),
        async through(faults, use) {
          const proxy = await startFaultProxy(store.endpoint, faults)
          try {
            const result = await use(proxy)
            await proxy.settled()
            return result
          } finally {
            await proxy.stop()
          }
        },
        read: async (url) => (await load(store).readIndex(url, { endpoint: store.endpoint })).value,
        test: declare,
        faultTest: (title, run) =>
          isPlain(store) ? declare(title, run) : test.skip(`${title} (needs an endpoint with http:)`),
      })
    })
  }
}

/** Whether a proxy can stand in between: an encrypted connection has none, and a cloud signs the name of its own host. */
const isPlain = ({ endpoint, missing }: Store) => missing !== undefined || endpoint.startsWith('http:')

/** The package in this process, which has the credentials of all stores. */
function load({ env }: Store): any {
  Object.assign(process.env, env)
  return createRequire(import.meta.url)(inject('addon')) as Package
}
