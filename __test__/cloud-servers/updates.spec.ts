// No update is lost and none is done twice, whatever happens between the writers and the store.

import { expect } from 'vitest'
import { type Account, account } from './helpers/exact'
import type { Faults } from './helpers/fault-proxy'
import { eachStore, type Room } from './helpers/stores'

const TIMES = 200

/** Patient, so that no writer gives up: then all are acknowledged, except those whose outcome is unknown. */
const patient = { timeout: 120_000, maxAttempts: 10_000 }

const faults: Faults = {
  seed: 20,
  write: { lost: 0.05, refused: 0.03, late: 0.02, unavailable: 0.01, reset: 0.01 },
  read: { unavailable: 0.01, reset: 0.01 },
  lateMs: 400,
}

eachStore((room) => {
  for (const [processes, parallel] of [
    [4, 4],
    [16, 20],
  ] as const) {
    room.test(`${processes} processes × ${TIMES} updates: all are counted`, async () => {
      const { sums } = await count(room, processes, parallel, room.store.endpoint)
      expect(sums).toMatchObject({ acknowledged: processes * TIMES, unheard: 0, lost: [], doubled: [] })
    })

    room.faultTest(
      `${processes} processes × ${TIMES} updates under faults: none is lost, none doubled`,
      async () => {
        await room.through(faults, async (proxy) => {
          const { sums, unknown } = await count(room, processes, parallel, proxy.endpoint, proxy.settled)
          expect(sums).toMatchObject({ lost: [], doubled: [] })
          expect(sums.acknowledged + unknown).toBe(processes * TIMES)
          expect(sums.unheard).toBeLessThanOrEqual(unknown)
          expect(proxy.counts.lost).toBeGreaterThan(0)
          expect(proxy.counts.late).toBeGreaterThan(0)
        })
      },
    )
  }

  room.faultTest(
    '±1 with 15 % late requests, so that the index returns to earlier content: exact',
    async () => {
      const url = room.url()
      await room.through({ seed: 15, write: { late: 0.15 }, lateMs: 400 }, async (proxy) => {
        const options = { endpoint: proxy.endpoint, ...patient }
        const steps = Array.from({ length: TIMES }, (_, i) => (i % 2 === 0 ? 1 : -1))
        const outcomes = await room.clients(2, (clients) =>
          Promise.all(clients.map((client) => client.ask('adjust', { url, steps, options }))),
        )
        await proxy.settled()
        const { n } = await room.read(url)
        const [sum, unknown] = outcomes.reduce(([a, b], { sum, unknown }) => [a + sum, b + unknown], [0, 0])
        expect(Math.abs(n - sum)).toBeLessThanOrEqual(unknown)
        // Of 128 commits that the store remembers none was too long ago.
        expect(unknown).toBe(0)
        expect(proxy.counts.late).toBeGreaterThan(20)
      })
    },
  )
})

async function count(
  room: Room,
  processes: number,
  parallel: number,
  endpoint: string,
  settled = async () => {},
): Promise<{ sums: Account; unknown: number }> {
  const url = room.url()
  const options = { endpoint, ...patient }
  return room.clients(processes, async (clients) => {
    const names = clients.map((_, i) => `w${i}`)
    await Promise.all(
      clients.map((client, i) =>
        client.ask('update', { url, writer: names[i], times: TIMES, parallel, options }),
      ),
    )
    await settled()
    const told = clients.map(({ acknowledged }, i) => ({ writer: names[i]!, acknowledged }))
    const unknown = clients.reduce((sum, { unknown }) => sum + unknown.length, 0)
    return { sums: account(await room.read(url), told), unknown }
  })
}
