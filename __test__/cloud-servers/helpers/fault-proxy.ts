// A proxy between client and server that does what networks and overloaded servers do. Every request is first read
// whole, then its fate is drawn from a seeded generator: the same seed gives the same fates in the order of arrival.

import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Rates from 0 to 1; together at most 1. */
export interface Rates {
  /** The server carries the request out, and the client sees a reset or a 503. */
  lost?: number
  /** The client sees a reset or a 503, and the server gets the request later: by then the client may have gone on. */
  late?: number
  /** 429, and the server never sees the request. */
  refused?: number
  /** 503, and the server never sees the request. */
  unavailable?: number
  /** A reset, and the server never sees the request. */
  reset?: number
}

export interface Faults {
  seed: number
  /** For requests that write. */
  write?: Rates
  /** For GET and HEAD. */
  read?: Rates
  /** How long a late request is on its way at most, in milliseconds. */
  lateMs?: number
  /** What late requests wait for, instead of a time. */
  landing?: Promise<unknown>
  /** Decides instead of the rates; a request waits for its answer. */
  decide?: (isRead: boolean, request: Asked) => Kind | undefined | Promise<Kind | undefined>
  /** What every request takes longer, in milliseconds: from, to. */
  latencyMs?: [number, number]
}

export interface Asked {
  method: string
  path: string
}

const KINDS = ['lost', 'late', 'refused', 'unavailable', 'reset'] as const
export type Kind = (typeof KINDS)[number]

export interface FaultCounts extends Record<Kind, number> {
  requests: number
  /** Late requests that the server carried out. */
  landed: number
}

export interface FaultProxy {
  /** The server's endpoint, by way of the proxy. */
  endpoint: string
  counts: FaultCounts
  /** Waits until no late request is on its way. */
  settled(): Promise<void>
  /** From here on: other faults, none by default. */
  become(faults?: Faults): void
  stop(): Promise<void>
}

/** Numbers from 0 to 1, always the same for a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Reply {
  status: number
  headers: IncomingMessage['rawHeaders']
  body: Buffer
}

/** The key as it is: clients differ in what they encode. */
const pathOf = ({ url = '/' }: IncomingMessage) => decodeURIComponent(new URL(url, 'http://server').pathname)

async function read(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function startFaultProxy(endpoint: string, faults: Faults = { seed: 1 }): Promise<FaultProxy> {
  const target = new URL(endpoint)
  const agent = new Agent({ keepAlive: true })
  const counts: FaultCounts = {
    ...{ requests: 0, landed: 0 },
    ...{ lost: 0, late: 0, refused: 0, unavailable: 0, reset: 0 },
  }
  const underWay = new Set<Promise<unknown>>()
  const sockets = new Set<Socket>()
  let current = faults
  let random = seeded(faults.seed)

  async function forward(incoming: IncomingMessage, body: Buffer): Promise<Reply> {
    // The header `host` is part of the signature: it stays.
    const outgoing = request({
      ...{ agent, host: target.hostname, port: target.port },
      ...{ method: incoming.method, path: incoming.url, headers: incoming.rawHeaders as any },
    })
    outgoing.end(body)
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    return { status: answer.statusCode ?? 502, headers: answer.rawHeaders, body: await read(answer) }
  }

  function drawn(isRead: boolean): Kind | undefined {
    const rates = (isRead ? current.read : current.write) ?? {}
    let rest = random()
    return KINDS.find((kind) => {
      rest -= rates[kind] ?? 0
      return rest < 0
    })
  }

  const busy = (response: ServerResponse, status: number) =>
    response.writeHead(status, { 'content-length': 0, 'x-amz-request-id': 'of-the-proxy' }).end()

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(incoming)
    counts.requests++
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD'
    const { decide, landing } = current
    const asked = { method: incoming.method ?? '', path: pathOf(incoming) }
    const kind = decide ? await decide(isRead, asked) : drawn(isRead)
    // Drawn for every request, so that one fate does not change those after it.
    const [coin, delay, pause] = [random(), random(), random()]
    const [least, most] = current.latencyMs ?? [0, 0]
    if (most > 0) await sleep(least + pause * (most - least))
    const unheard = () => (coin < 0.5 ? busy(response, 503) : incoming.socket.destroy())
    if (kind) counts[kind]++
    switch (kind) {
      case 'refused':
        busy(response, 429)
        return
      case 'unavailable':
        busy(response, 503)
        return
      case 'reset':
        incoming.socket.destroy()
        return
      case 'late':
        unheard()
        await (landing ?? sleep(delay * (current.lateMs ?? 400)))
        if ((await forward(incoming, body)).status < 300) counts.landed++
        return
      case 'lost':
        await forward(incoming, body)
        unheard()
        return
    }
    const reply = await forward(incoming, body)
    response.writeHead(reply.status, reply.headers).end(reply.body)
  }

  const server = createServer((incoming, response) => {
    const handling = handle(incoming, response)
      // The server, or the client, is gone: so is this request.
      .catch(() => incoming.socket.destroy())
      .finally(() => underWay.delete(handling))
    underWay.add(handling)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const settled = async () => {
    while (underWay.size > 0) await Promise.all(underWay)
  }
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}${target.pathname.replace(/\/$/, '')}`,
    counts,
    settled,
    become(next = { seed: 1 }) {
      current = next
      random = seeded(next.seed)
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await settled()
      agent.destroy()
    },
  }
}
