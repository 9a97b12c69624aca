// A writer that does not know whether its request has landed finds out, or says that it cannot, and asks at a pace that
// an overloaded store can bear.

import { expect } from 'vitest'
import {
  A_FEW_REQUESTS,
  killedBeforeRemoval,
  MANY,
  outrun,
  overloaded,
  overtaken,
  undone,
} from './helpers/doubt'
import type { Kind } from './helpers/fault-proxy'
import { withHolding } from './helpers/holding'
import { eachStore } from './helpers/stores'

eachStore((room) => {
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
      expect(await outrun(room)).toEqual({ unknown: [1], held: [0, 1] })
    },
  )

  room.faultTest(
    'a write that is under way when the time of one call is over goes on for the other',
    async () => {
      const url = room.url('held')
      await withHolding(room.store.endpoint, 'held', ({ endpoint, goOn }) =>
        room.clients(1, async ([client]) => {
          // The probe, so that nothing but the write takes time.
          await client!.ask('update', {
            url: room.url('other'),
            writer: 'a',
            from: 9,
            times: 1,
            options: { endpoint },
          })
          const update = (writer: string, timeout: number) =>
            client!.ask('update', { url, writer, times: 1, options: { endpoint, timeout } })
          const [short, long] = [update('short', 2000), update('long', 60_000)]
          await short
          expect([client!.unknown, client!.acknowledged]).toEqual([[0], [9]])
          goOn()
          expect(await long).toMatchObject({ attempts: 1, recovered: 0 })
          expect(await room.read(url)).toEqual({ short: [0], long: [0] })
        }),
      )
    },
  )

  room.faultTest(
    'an update whose write comes after one of another process: both are in the index',
    async () => {
      expect(await overtaken(room)).toEqual({ slow: [0, 1], quick: [0] })
    },
  )

  room.faultTest(
    'a write that comes late does not land, though the index has its earlier content again',
    async () => {
      expect(await undone(room)).toEqual({ landed: 0, n: 0 })
    },
  )

  room.faultTest(
    'a patch that its folder could not remove from the inbox is not applied once more',
    async () => {
      expect(await killedBeforeRemoval(room)).toEqual({ index: { a: [0], b: true }, left: [] })
    },
  )

  room.faultTest('a store that answers 503 is asked a few times a second, not in a loop', async () => {
    const { requests, ...outcome } = await overloaded(room)
    expect(outcome).toEqual({ unknown: [1], held: [0] })
    expect(requests).toBeLessThan(A_FEW_REQUESTS)
  })
})
