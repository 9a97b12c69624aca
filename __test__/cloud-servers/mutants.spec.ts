// Without a step of the protocol updates are lost or doubled, so each step is needed, and these specs would notice. The
// addon that they run with can leave steps out; `ATOMIC_CLOUD_MUTANT` names one.

import { expect, inject } from 'vitest'
import { A_FEW_REQUESTS, outrun, overloaded } from './helpers/doubt'
import { account } from './helpers/exact'
import { killFolders } from './helpers/folders'
import { eachStore, type Room } from './helpers/stores'

const patient = { timeout: 120_000, maxAttempts: 10_000 }

/** Updates of four processes, and what became of them. */
async function count(room: Room, mutant: string, endpoint: string) {
  const url = room.url()
  const env = { ...room.store.env, ATOMIC_CLOUD_MUTANT: mutant }
  const told = await room.clients(
    4,
    async (clients) => {
      const asked = { url, times: 50, options: { endpoint, ...patient } }
      await Promise.all(clients.map((client, i) => client.ask('update', { ...asked, writer: `w${i}` })))
      return clients.map(({ acknowledged }, i) => ({ writer: `w${i}`, acknowledged }))
    },
    env,
  )
  return account(await room.read(url), told)
}

eachStore(
  (room) => {
    room.test('without the condition updates are lost', async () => {
      expect((await count(room, 'condition', room.store.endpoint)).lost).not.toEqual([])
    })

    room.faultTest('without the ring of ids updates are doubled', async () => {
      await room.through({ seed: 1, write: { lost: 0.2 } }, async (proxy) => {
        expect((await count(room, 'ring', proxy.endpoint)).doubled).not.toEqual([])
      })
    })

    room.faultTest('without the look at how many commits there were an update is doubled', async () => {
      const { held } = await outrun(room, { ...room.store.env, ATOMIC_CLOUD_MUTANT: 'seq' })
      expect(held).toEqual([0, 1, 1])
    })

    room.faultTest('without the pause an overloaded store is asked in a loop', async () => {
      const { requests } = await overloaded(room, { ...room.store.env, ATOMIC_CLOUD_MUTANT: 'pause' })
      expect(requests).toBeGreaterThan(A_FEW_REQUESTS)
    })

    room.faultTest(
      'without the look at the ledger patches are applied once more, after later ones',
      async () => {
        const env = { ...room.store.env, ATOMIC_CLOUD_MUTANT: 'ledger' }
        expect((await killFolders(room, 3, 6, env)).wrong).not.toEqual([])
      },
    )

    room.faultTest(
      'without the nonce a late request lands when the index has its earlier content again',
      async () => {
        const url = room.url()
        await room.through({ seed: 15, write: { late: 0.3 }, lateMs: 400 }, async (proxy) => {
          const options = { endpoint: proxy.endpoint, ...patient }
          const steps = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 1 : -1))
          const env = { ...room.store.env, ATOMIC_CLOUD_MUTANT: 'nonce' }
          const ask = { url, steps, options }
          const outcomes = await room.clients(
            2,
            (clients) => Promise.allSettled(clients.map((client) => client.ask('adjust', ask))),
            env,
          )
          await proxy.settled()
          const { n } = await room.read(url)
          const told = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
          const sum = told.reduce((total, one) => total + one.sum, 0)
          const unknown = told.reduce((total, one) => total + one.unknown, 0)
          // The ring has gone back with the index: a sum is wrong, an outcome unknown, or a commit reads back as another.
          expect(told.length < 2 || unknown > 0 || n !== sum).toBe(true)
        })
      },
    )
  },
  // The versions of the others are of a write, and not of its content.
  inject('stores').filter(({ scheme }) => scheme === 's3'),
)
