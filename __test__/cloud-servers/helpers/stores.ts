// A spec file's stores: each with its tests, or with the reason why they are skipped.

import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, inject, test } from 'vitest'
import type { Store } from '../servers/stores'
import { type Client, withClients } from './clients'
import { type FaultProxy, type Faults, startFaultProxy } from './fault-proxy'

type Package = typeof import('@pipeline/atomic')

export interface Room {
  store: Store
  /** A URL that no other test has. */
  url(name?: string): string
  clients<T>(count: number, body: (clients: Client[], another: () => Client) => Promise<T>): Promise<T>
  /** Runs `body` with a proxy before the server, which has ended its requests when this returns. */
  through<T>(faults: Faults, body: (proxy: FaultProxy) => Promise<T>): Promise<T>
  /** What an index is now, read without a proxy. */
  read(url: string): Promise<any>
  test(title: string, body: () => Promise<void>): void
}

/** Declares tests for each of `stores`. */
export function eachStore(body: (room: Room) => void, stores: Store[] = inject('stores')): void {
  for (const store of stores) {
    describe(store.name, () => {
      body({
        store,
        url: (name = 'index.json') => `${store.scheme}://${store.bucket}/${randomUUID()}/${name}`,
        clients: (count, use) => withClients(inject('addon'), store.env, count, use),
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
        test: (title, run) =>
          store.missing ? test.skip(`${title} (needs ${store.name}: ${store.missing})`) : test(title, run),
      })
    })
  }
}

/** The package in this process, which has the credentials of all stores. */
function load({ env }: Store): any {
  Object.assign(process.env, env)
  return createRequire(import.meta.url)(inject('addon')) as Package
}
