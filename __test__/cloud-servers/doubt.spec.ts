// A writer that does not know whether its request has landed finds out, or says that it cannot, and asks at a pace that
// an overloaded store can bear.

import { expect } from 'vitest'
import type { Kind } from './helpers/fault-proxy'
import { eachStore } from './helpers/stores'

/** More commits than a store remembers. */
const MANY = 140

eachStore((room) => {
  const { endpoint } = room.store

  room.faultTest('a reply that is lost: the next look finds the commit', async () => {
    const url = room.url()
    const fates: (Kind | undefined)[] = ['lost']
    const decide = (isRead: boolean) => (isRead ? undefined : fates.shift())
    await room.through({ seed: 1 }, async (proxy) => {
      await room.clients(1, async ([client]) => {
        await client!.ask('update', { url, writer: 'a', times: 1, options: { endpoint: proxy.endpoint } })
        proxy.become({ seed: 1, decide })
        const more = { url, writer: 'a', from: 1, times: 1, options: { endpoint: proxy.endpoint } }
        expect(await client!.ask('update', more)).toMatchObject({ recovered: 1 })
      })
      expect(proxy.counts.lost).toBe(1)
    })
    expect(await room.read(url)).toEqual({ a: [0, 1] })
  })

  room.faultTest(
    `a reply that is lost, and ${MANY} commits before the next look: UNKNOWN_OUTCOME, and once in the index`,
    async () => {
      const url = room.url()
      await room.through({ seed: 1 }, async (proxy) => {
        await room.clients(2, async ([slow, quick]) => {
          const options = { endpoint: proxy.endpoint, timeout: 240_000 }
          await slow!.ask('update', { url, writer: 'slow', times: 1, options })
          let lost = false
          let others: Promise<unknown> | undefined
          const decide = async (isRead: boolean) => {
            if (!isRead) {
              const kind = lost ? undefined : 'lost'
              lost = true
              return kind
            }
            if (!lost) return
            others ??= quick!.ask('update', { url, writer: 'quick', times: MANY, options: { endpoint } })
            await others
          }
          proxy.become({ seed: 1, decide })
          await slow!.ask('update', { url, writer: 'slow', from: 1, times: 1, options })
          expect(slow!.unknown).toEqual([1])
        })
      })
      expect((await room.read(url)).slow).toEqual([0, 1])
    },
  )

  room.faultTest('a store that answers 503 is asked a few times a second, not in a loop', async () => {
    const url = room.url()
    await room.through({ seed: 1 }, async (proxy) => {
      await room.clients(1, async ([client]) => {
        await client!.ask('update', { url, writer: 'a', times: 1, options: { endpoint: proxy.endpoint } })
        proxy.become({ seed: 1, write: { unavailable: 1 } })
        const before = proxy.counts.requests
        const options = { endpoint: proxy.endpoint, timeout: 2000 }
        await client!.ask('update', { url, writer: 'a', from: 1, times: 1, options })
        expect(client!.unknown).toEqual([1])
        // Without a pause they are more than a thousand.
        expect(proxy.counts.requests - before).toBeLessThan(200)
      })
    })
    expect(await room.read(url)).toEqual({ a: [0] })
  })
})
