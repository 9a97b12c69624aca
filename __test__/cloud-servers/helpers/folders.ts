// Processes that patch an index and fold its inbox, and are killed in the middle of that.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './clients'
import { type Faults, seeded } from './fault-proxy'
import type { Room } from './stores'

const faults: Faults = {
  seed: 11,
  write: { lost: 0.05, late: 0.1, unavailable: 0.02, refused: 0.02, reset: 0.02 },
  read: { unavailable: 0.02, reset: 0.01 },
  // Long enough for a patch to be folded meanwhile and its object to be removed.
  lateMs: 1500,
  // Slow, so that a kill meets a fold at every stage.
  latencyMs: [1, 10],
}

export interface Folded {
  acknowledged: number
  /** What the index holds that it should not hold, or lacks. */
  wrong: string[]
  /** Patches that are in the inbox still. */
  left: string[]
}

/** `folders` processes at a time, each of which is killed `lives` times, and what is there in the end. */
export async function killFolders(room: Room, folders: number, lives: number): Promise<Folded> {
  const url = room.url()
  const random = seeded(11)
  const told = new Map<string, number[]>()
  await room.through(faults, async (proxy) => {
    const options = { endpoint: proxy.endpoint, timeout: 120_000, wait: 'applied' }
    await room.clients(0, async (_, another) => {
      const live = async (writer: string) => {
        const client = another()
        told.set(writer, client.acknowledged)
        const patching = client.ask('patch', { url, writer, parallel: 3, options })
        patching.catch(() => {})
        const until = 1 + Math.floor(random() * 6)
        while (client.acknowledged.length < until) {
          await Promise.race([client.nextAcknowledged(), patching])
        }
        // Somewhere within the next fold.
        const requests = proxy.counts.requests + Math.floor(random() * 30)
        while (proxy.counts.requests < requests) await Promise.race([sleep(1), patching])
        await client.kill()
      }
      const place = async (folder: number) => {
        for (let life = 0; life < lives; life++) await live(`f${folder}.${life}`)
      }
      await Promise.all(Array.from({ length: folders }, (_, folder) => place(folder)))
    })
  })
  // What the dead have left in the inbox, any other process folds.
  const left = await room.clients(1, async ([client]) => {
    const options = { endpoint: room.store.endpoint }
    await client!.ask('call', 'atomicIndexPatch', url, { set: { last: true } }, options)
    return deltasLeft(client!, url, options)
  })
  const index = await room.read(url)
  return {
    acknowledged: [...told.values()].reduce((sum, { length }) => sum + length, 0),
    wrong: [...told].flatMap(([writer, acknowledged]) => faultOf(index, writer, acknowledged)),
    left,
  }
}

/** What is not removed from an inbox some seconds after the last patch: that is done beside the calls. */
export async function deltasLeft(client: Client, index: string, options: object): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const all: string[] = await client.ask('list', { url: `${index}.inbox/`, options })
    const deltas = all.filter((path) => !path.includes('.ledger-'))
    if (deltas.length === 0 || tries === 100) return deltas
    await sleep(100)
  }
}

/** The one key of a writer is that of its last patch, which it may not have heard of any more. */
function faultOf(index: Record<string, number>, writer: string, acknowledged: number[]): string[] {
  const held = Object.keys(index).filter((key) => key.startsWith(`${writer}:`))
  const last = Math.max(...acknowledged)
  const isRight = held.length === 1 && index[held[0]!]! >= last
  return isRight ? [] : [`${writer} heard of ${last}, and the index has ${held.join(', ') || 'nothing'}`]
}
