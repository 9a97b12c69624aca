// The faults that the other specs rely on happen, as often as asked for, and do to client and server what they say.

import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type FaultProxy, type Faults, startFaultProxy } from './helpers/fault-proxy'

const stub = inject('stub')
let key: string
let proxies: FaultProxy[] = []
beforeAll(() => {
  key = `${stub.bucket}/proxy-${process.pid}`
})
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.stop()))
  proxies = []
})

async function proxied(faults: Faults) {
  const proxy = await startFaultProxy(stub.endpoint, faults)
  proxies.push(proxy)
  return proxy
}

/** The status, or what became of the connection. */
const ask = (endpoint: string, path: string, init?: RequestInit) =>
  fetch(`${endpoint}/${path}`, init).then(
    async (answer) => `${answer.status} ${await answer.text()}`.trim(),
    () => 'reset',
  )
const put = (endpoint: string, name: string, body = 'x') =>
  ask(endpoint, `${key}-${name}`, { method: 'PUT', body })
const get = (name: string) => ask(stub.endpoint, `${key}-${name}`)

test('without faults every request goes through', async () => {
  const proxy = await proxied({ seed: 1 })
  expect(await put(proxy.endpoint, 'plain', 'content')).toBe('200')
  expect(await ask(proxy.endpoint, `${key}-plain`)).toBe('200 content')
  expect(proxy.counts).toMatchObject({ requests: 2, lost: 0, late: 0, refused: 0, unavailable: 0, reset: 0 })
})

test('a lost reply: the server has carried the request out', async () => {
  const proxy = await proxied({ seed: 2, write: { lost: 1 } })
  const seen = new Set<string>()
  for (let i = 0; i < 20; i++) {
    seen.add(await put(proxy.endpoint, `lost-${i}`))
    expect(await get(`lost-${i}`)).toBe('200 x')
  }
  expect([...seen].sort()).toEqual(['503', 'reset'])
  expect(proxy.counts.lost).toBeGreaterThanOrEqual(20)
})

test('a late request arrives after the client has given up, and counts as landed where its condition holds', async () => {
  const proxy = await proxied({ seed: 3, write: { late: 1 }, lateMs: 100 })
  expect(await put(proxy.endpoint, 'late')).toMatch(/^(503|reset)$/)
  await proxy.settled()
  expect(await get('late')).toBe('200 x')
  const { landed } = proxy.counts
  const condition = { 'x-goog-if-generation-match': '0' }
  await ask(proxy.endpoint, `${key}-late`, { method: 'PUT', body: 'y', headers: condition })
  await proxy.settled()
  expect(await get('late')).toBe('200 x')
  expect(proxy.counts.landed).toBe(landed)
})

test.each([
  ['refused', '429'],
  ['unavailable', '503'],
  ['reset', 'reset'],
] as const)('%s: the client sees %s and the server nothing', async (kind, seen) => {
  const proxy = await proxied({ seed: 4, write: { [kind]: 1 } })
  expect(await put(proxy.endpoint, kind)).toBe(seen)
  expect(await get(kind)).toMatch(/^404/)
  expect(proxy.counts[kind]).toBeGreaterThanOrEqual(1)
})

test('the same seed gives the same fates, another seed others', async () => {
  const fates = async (seed: number) => {
    const proxy = await proxied({ seed, write: { refused: 0.3, unavailable: 0.3 } })
    const seen = []
    for (let i = 0; i < 50; i++) seen.push((await put(proxy.endpoint, 'seed')).slice(0, 3))
    return seen.join()
  }
  const first = await fates(7)
  expect(await fates(7)).toBe(first)
  expect(await fates(8)).not.toBe(first)
  expect(new Set(first.split(','))).toEqual(new Set(['200', '429', '503']))
})

test('latency holds up each request', async () => {
  const proxy = await proxied({ seed: 5, latencyMs: [50, 60] })
  const start = performance.now()
  await put(proxy.endpoint, 'slow')
  expect(performance.now() - start).toBeGreaterThanOrEqual(49)
})
