// Situations in which a writer does not know what has become of its request.

import type { Kind } from './fault-proxy'
import { deltasLeft } from './folders'
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

/** Resolves when `open` is called. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** For the first request that writes: this; for the others nothing. */
function firstWrite(fate: () => Kind | undefined | Promise<Kind | undefined>) {
  let isFirst = true
  return (isRead: boolean) => {
    if (isRead || !isFirst) return
    isFirst = false
    return fate()
  }
}

/** The reply to an update is lost. */
export async function unheard(room: Room, env = room.store.env) {
  const url = room.url()
  await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      1,
      async ([client]) => {
        const asked = { url, writer: 'a', times: 1, options: { endpoint: proxy.endpoint } }
        await client!.ask('update', asked)
        proxy.become({ seed: 1, decide: firstWrite(() => 'lost') })
        await client!.ask('update', { ...asked, from: 1 })
      },
      env,
    ),
  )
  return (await room.read(url)).a
}

/** Between the read of an update and its write another process commits. */
export async function overtaken(room: Room, env = room.store.env) {
  const url = room.url()
  await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      2,
      async ([slow, quick]) => {
        const asked = { url, writer: 'slow', times: 1, options: { endpoint: proxy.endpoint } }
        await slow!.ask('update', asked)
        const options = { endpoint: room.store.endpoint }
        const decide = firstWrite(() => quick!.ask('update', { url, writer: 'quick', times: 1, options }))
        proxy.become({ seed: 1, decide })
        await slow!.ask('update', { ...asked, from: 1 })
      },
      env,
    ),
  )
  return room.read(url)
}

/** A request comes late, when the index has the content again that it had before. */
export async function undone(room: Room, env = room.store.env) {
  const url = room.url()
  const landed = await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      1,
      async ([client]) => {
        const adjust = (...steps: number[]) =>
          client!.ask('adjust', { url, steps, options: { endpoint: proxy.endpoint } })
        await adjust(1, -1)
        const { opened, open } = gate()
        proxy.become({ seed: 1, decide: firstWrite(() => 'late'), landing: opened })
        try {
          await adjust(1, -1)
        } finally {
          open()
        }
        await proxy.settled()
        return proxy.counts.landed
      },
      env,
    ),
  )
  return { landed, n: (await room.read(url)).n }
}

/** A process folds its patch, and is killed before it removes the patch from the inbox. An update follows, and the next fold. */
export async function killedBeforeRemoval(room: Room, env = room.store.env) {
  const url = room.url()
  const direct = { endpoint: room.store.endpoint }
  const left = await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      2,
      async ([folder, other]) => {
        const [removing, killed] = [gate(), gate()]
        proxy.become({
          seed: 1,
          async decide(_, { method, path }) {
            if (method !== 'DELETE' || !path.includes('.inbox/')) return
            removing.open()
            await killed.opened
            return 'reset'
          },
        })
        try {
          const options = { endpoint: proxy.endpoint, wait: 'applied' }
          await folder!.ask('call', 'atomicIndexPatch', url, { set: { a: [] } }, options)
          await removing.opened
        } finally {
          await folder!.kill()
          killed.open()
        }
        await other!.ask('update', { url, writer: 'a', times: 1, options: direct })
        await other!.ask(
          'call',
          'atomicIndexPatch',
          url,
          { set: { b: true } },
          { ...direct, wait: 'applied' },
        )
        return deltasLeft(other!, url, direct)
      },
      env,
    ),
  )
  return { index: await room.read(url), left }
}

/** So many requests are no loop in which a store is asked. */
export const A_FEW_REQUESTS = 100

/** A store answers each write with 503, until the time of the call is over or there were more requests than a few. */
export async function overloaded(room: Room, env = room.store.env, timeout = 2000) {
  const url = room.url()
  const found = await room.through({ seed: 1 }, (proxy) =>
    room.clients(
      1,
      async ([client]) => {
        await client!.ask('update', { url, writer: 'a', times: 1, options: { endpoint: proxy.endpoint } })
        const before = proxy.counts.requests
        const requests = () => proxy.counts.requests - before
        const decide = (isRead: boolean) =>
          isRead || requests() > A_FEW_REQUESTS ? undefined : ('unavailable' as const)
        proxy.become({ seed: 1, decide })
        const options = { endpoint: proxy.endpoint, timeout }
        await client!.ask('update', { url, writer: 'a', from: 1, times: 1, options })
        return { unknown: client!.unknown, requests: requests() }
      },
      env,
    ),
  )
  return { ...found, held: (await room.read(url)).a }
}
