// Without a step of the protocol updates are lost or doubled, so each step is needed, and these specs would notice. The
// addon that they run with can leave steps out; `ATOMIC_CLOUD_MUTANT` names one.

import { expect, inject } from 'vitest'
import {
  A_FEW_REQUESTS,
  killedBeforeRemoval,
  outrun,
  overloaded,
  overtaken,
  undone,
  unheard,
} from './helpers/doubt'
import { eachStore } from './helpers/stores'

eachStore(
  (room) => {
    const without = (mutant: string) => ({ ...room.store.env, ATOMIC_CLOUD_MUTANT: mutant })

    room.faultTest('without the condition an update is lost', async () => {
      expect(await overtaken(room, without('condition'))).toEqual({ slow: [0, 1] })
    })

    room.faultTest('without the ring of ids an update is doubled', async () => {
      expect(await unheard(room, without('ring'))).toEqual([0, 1, 1])
    })

    room.faultTest('without the look at how many commits there were an update is doubled', async () => {
      const { held } = await outrun(room, without('seq'))
      expect(held).toEqual([0, 1, 1])
    })

    // It has the time that a busy machine needs for so many; with the pause there are a few a second.
    room.faultTest('without the pause an overloaded store is asked in a loop', async () => {
      const { requests } = await overloaded(room, without('pause'), 20_000)
      expect(requests).toBeGreaterThan(A_FEW_REQUESTS)
    })

    room.faultTest('without the look at the ledger a patch is applied once more', async () => {
      expect((await killedBeforeRemoval(room, without('ledger'))).index).toEqual({ a: [], b: true })
    })

    room.faultTest(
      'without the nonce a late request lands when the index has its earlier content again',
      async () => {
        expect(await undone(room, without('nonce'))).toEqual({ landed: 1, n: 1 })
      },
    )
  },
  // The versions of the others are of a write, and not of its content.
  inject('stores').filter(({ scheme }) => scheme === 's3'),
)
