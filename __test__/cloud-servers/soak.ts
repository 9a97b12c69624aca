// `npm run soak:cloud -- [--updates 50000] [--store SeaweedFS]`: many updates under faults on each server, and what became
// of them. It ends with 1 if one was lost or doubled.

import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { installPackages } from '../helpers/package-copy.mjs'
import { withClients } from './helpers/clients'
import { type Account, account } from './helpers/exact'
import { type FaultCounts, startFaultProxy } from './helpers/fault-proxy'
import { fit, type Store } from './servers/stores'

const { values } = parseArgs({
  options: {
    updates: { type: 'string', default: '50000' },
    store: { type: 'string' },
    seed: { type: 'string' },
  },
})

const PROCESSES = 4
/** Of one process and index: a new index for each round keeps the requests small. */
const TIMES = 500

interface Sums extends Account {
  unknown: number
  seconds: number
  faults: FaultCounts
}

async function round(addon: string, store: Store, seed: number): Promise<Sums> {
  const began = performance.now()
  const url = `${store.scheme}://${store.bucket}/soak/${seed}.json`
  const write = { lost: 0.05, refused: 0.03, late: 0.02, unavailable: 0.01, reset: 0.01 }
  const proxy = await startFaultProxy(store.endpoint, { seed, write, read: { unavailable: 0.02 } })
  try {
    return await withClients(addon, store.env, PROCESSES, async (clients) => {
      const options = { endpoint: proxy.endpoint, timeout: 300_000, maxAttempts: 100_000 }
      // One by one and several at once: commits of one update and group commits.
      const asked = clients.map((client, i) =>
        client.ask('update', { url, writer: `w${i}`, times: TIMES, parallel: i % 2 ? 4 : 1, options }),
      )
      await Promise.all(asked)
      await proxy.settled()
      const told = clients.map(({ acknowledged }, i) => ({ writer: `w${i}`, acknowledged }))
      const unknown = clients.reduce((sum, client) => sum + client.unknown.length, 0)
      const { value } = await clients[0]!.ask('call', 'readIndex', url, { endpoint: store.endpoint })
      const seconds = (performance.now() - began) / 1000
      return { ...account(value, told), unknown, seconds, faults: proxy.counts }
    })
  } finally {
    await proxy.stop()
  }
}

function report(name: string, rounds: Sums[]): string {
  const sum = (of: (one: Sums) => number) => rounds.reduce((total, one) => total + of(one), 0)
  const seconds = sum((one) => one.seconds)
  return [
    `${name}: ${rounds.length * PROCESSES * TIMES} updates in ${seconds.toFixed(0)} s`,
    `${sum((one) => one.acknowledged)} acknowledged, ${sum((one) => one.unknown)} with an unknown outcome`,
    `${sum((one) => one.lost.length)} lost, ${sum((one) => one.doubled.length)} doubled`,
    `faults: ${(['lost', 'late', 'landed', 'refused', 'unavailable', 'reset'] as const)
      .map((kind) => `${sum((one) => one.faults[kind])} ${kind}`)
      .join(', ')} of ${sum((one) => one.faults.requests)} requests`,
  ].join('; ')
}

/** Rounds of one server. A fresh one then: Azurite's removal of what was overwritten takes longer with each write, and at last all its time. */
const ROUNDS = 5

/** `false`: this one is not asked for, or cannot be had. */
async function soak(start: (typeof fit)[number], addon: string, rounds: Sums[]): Promise<boolean> {
  const { store, stop } = await start()
  try {
    if (values.store && values.store !== store.name) return false
    if (store.missing) console.log(`${store.name}: skipped, ${store.missing}`)
    if (store.missing) return false
    for (let i = 0; i < ROUNDS && isOpen(rounds); i++) {
      rounds.push(await round(addon, store, Number(values.seed ?? 1) + rounds.length))
    }
    console.log(`  ${report(store.name, rounds)}`)
    if (rounds.some(({ lost, doubled }) => lost.length + doubled.length > 0)) process.exitCode = 1
    return isOpen(rounds)
  } finally {
    await stop()
  }
}

const isOpen = (rounds: Sums[]) => rounds.length * PROCESSES * TIMES < Number(values.updates)

async function main() {
  const addon = installPackages()
  try {
    for (const start of fit) {
      const rounds: Sums[] = []
      while (await soak(start, addon, rounds));
    }
  } finally {
    rmSync(addon, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
