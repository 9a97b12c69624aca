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
  faults: FaultCounts
}

async function round(addon: string, store: Store, seed: number): Promise<Sums> {
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
      return { ...account(value, told), unknown, faults: proxy.counts }
    })
  } finally {
    await proxy.stop()
  }
}

function report(name: string, rounds: Sums[], start: number): string {
  const sum = (of: (one: Sums) => number) => rounds.reduce((total, one) => total + of(one), 0)
  const seconds = (performance.now() - start) / 1000
  return [
    `${name}: ${rounds.length * PROCESSES * TIMES} updates in ${seconds.toFixed(0)} s`,
    `${sum((one) => one.acknowledged)} acknowledged, ${sum((one) => one.unknown)} with an unknown outcome`,
    `${sum((one) => one.lost.length)} lost, ${sum((one) => one.doubled.length)} doubled`,
    `faults: ${(['lost', 'late', 'landed', 'refused', 'unavailable', 'reset'] as const)
      .map((kind) => `${sum((one) => one.faults[kind])} ${kind}`)
      .join(', ')} of ${sum((one) => one.faults.requests)} requests`,
  ].join('; ')
}

async function main() {
  const addon = installPackages()
  try {
    for (const start of fit) {
      const { store, stop } = await start()
      try {
        if (values.store && values.store !== store.name) continue
        if (store.missing) {
          console.log(`${store.name}: skipped, ${store.missing}`)
          continue
        }
        const rounds: Sums[] = []
        const began = performance.now()
        while (rounds.length * PROCESSES * TIMES < Number(values.updates)) {
          rounds.push(await round(addon, store, Number(values.seed ?? 1) + rounds.length))
          if (rounds.length % 5 === 0) console.log(`  ${report(store.name, rounds, began)}`)
          if (rounds.some(({ lost, doubled }) => lost.length + doubled.length > 0)) process.exitCode = 1
        }
        console.log(report(store.name, rounds, began))
      } finally {
        await stop()
      }
    }
  } finally {
    rmSync(addon, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
