// Of writers that create the same object with `flag: 'wx'` exactly one wins.

import { expect } from 'vitest'
import { eachStore } from './helpers/stores'

const RACES = 100
const RACERS = 8

eachStore((room) => {
  room.test(`${RACERS} creators race ${RACES} times: one wins each, and its content stays`, async () => {
    await room.clients(RACERS / 2, async (clients) => {
      const options = { endpoint: room.store.endpoint, flag: 'wx' }
      const race = async () => {
        const url = room.url('new.json')
        const racing = Array.from({ length: RACERS }, (_, racer) =>
          clients[racer % clients.length]!.ask('fail', 'atomicWrite', url, `{"winner":${racer}}`, options),
        )
        const outcomes = await Promise.all(racing)
        const winners = outcomes.flatMap((outcome, racer) => ('resolved' in outcome ? [racer] : []))
        expect(outcomes.filter(({ code }) => code === 'EEXIST')).toHaveLength(RACERS - 1)
        expect(await room.read(url)).toEqual({ winner: winners[0] })
      }
      for (let done = 0; done < RACES; done += 10) await Promise.all(Array.from({ length: 10 }, race))
    })
  })

  room.faultTest(
    'under faults at most one is told that it won, and the content is of one that may have',
    async () => {
      await room.through({ seed: 8, write: { lost: 0.2, late: 0.1 }, lateMs: 50 }, async (proxy) => {
        await room.clients(2, async (clients) => {
          const options = { endpoint: proxy.endpoint, flag: 'wx' }
          for (let race = 0; race < 20; race++) {
            const url = room.url('new.json')
            const racing = Array.from({ length: 4 }, (_, racer) =>
              clients[racer % 2]!.ask('fail', 'atomicWrite', url, `{"winner":${racer}}`, options),
            )
            const outcomes = await Promise.all(racing)
            await proxy.settled()
            const won = outcomes.flatMap((outcome, racer) => ('resolved' in outcome ? [racer] : []))
            const unknown = outcomes.flatMap(({ code }, racer) =>
              code === 'ERR_ATOMIC_UNKNOWN_OUTCOME' ? [racer] : [],
            )
            expect(won.length).toBeLessThanOrEqual(1)
            expect(won.length === 1 ? won : unknown).toContain((await room.read(url)).winner)
          }
        })
        expect(proxy.counts.lost).toBeGreaterThan(0)
      })
    },
  )
})
