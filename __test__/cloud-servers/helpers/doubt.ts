// Situations in which a writer does not know what has become of its request.

import type { Room } from './stores'

/** More commits than a store remembers. */
export const MANY = 140

/** A reply is lost, and others commit `MANY` times before the writer's next look. */
export async function outrun(room: Room, env = room.store.env) {
  const url = room.url()
  const unknown = await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      2,
      async ([slow, quick]) => {
        const options = { endpoint: proxy.endpoint, timeout: 240_000 }
        await slow!.ask('update', { url, writer: 'slow', times: 1, options })
        let lost = false
        let others: Promise<unknown> | undefined
        const direct = { endpoint: room.store.endpoint }
        const decide = async (isRead: boolean) => {
          if (!isRead) {
            const kind = lost ? undefined : 'lost'
            lost = true
            return kind
          }
          if (!lost) return
          others ??= quick!.ask('update', { url, writer: 'quick', times: MANY, options: direct })
          await others
        }
        proxy.become({ seed: 1, decide })
        await slow!.ask('update', { url, writer: 'slow', from: 1, times: 1, options })
        return slow!.unknown
      },
      env,
    ),
  )
  return { unknown, held: (await room.read(url)).slow }
}

/** A store answers each write with 503 for two seconds. */
export async function overloaded(room: Room, env = room.store.env) {
  const url = room.url()
  const found = await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      1,
      async ([client]) => {
        await client!.ask('update', { url, writer: 'a', times: 1, options: { endpoint: proxy.endpoint } })
        proxy.become({ seed: 1, write: { unavailable: 1 } })
        const before = proxy.counts.requests
        const options = { endpoint: proxy.endpoint, timeout: 2000 }
        await client!.ask('update', { url, writer: 'a', from: 1, times: 1, options })
        return { unknown: client!.unknown, requests: proxy.counts.requests - before }
      },
      env,
    ),
  )
  return { ...found, held: (await room.read(url)).a }
}

/** Without a pause there are more than a thousand on an idle machine. */
export const A_FEW_REQUESTS = 100
