// `npm run bench:cloud -- [--store SeaweedFS] [--rounds 15]`: updates of an object in a store, one after the other and at once,
// and what the first call of a process costs beyond a later one. On servers of this machine, so it says nothing of a network.

import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { median, type Ratio, ratioOf } from '../../../bench/measure/ratio'
import { formatTable } from '../../../bench/report/table'
import { installPackages } from '../../helpers/package-copy.mjs'
import { withClients } from '../helpers/clients'
import { fit, type Store } from '../servers/stores'
import { firstCall } from './first-call'

const { values } = parseArgs({
  options: { store: { type: 'string' }, rounds: { type: 'string', default: '15' } },
})

const rounds = Number(values.rounds)
/** In a round, of each kind. */
const UPDATES = 32

/** The time of an update, in milliseconds: the same process makes them in both ways, in turn. */
async function updates(addon: string, { scheme, bucket, endpoint, env }: Store) {
  const url = `${scheme}://${bucket}/bench/${randomUUID()}.json`
  const options = { endpoint }
  return withClients(addon, env, 1, async ([client]) => {
    const run = async (parallel: number) => {
      const begin = performance.now()
      await client!.ask('update', { url, writer: `w${parallel}`, times: UPDATES, parallel, options })
      return (performance.now() - begin) / UPDATES
    }
    // The probe, the connection and the code.
    await run(1)
    const [alone, together]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round++) {
      alone.push(await run(1))
      together.push(await run(UPDATES))
    }
    return { alone: median(alone), together: median(together), ratio: ratioOf(alone, together) }
  })
}

const spread = ({ value, low, high }: Ratio) => `${value.toFixed(1)} (${low.toFixed(1)} - ${high.toFixed(1)})`

const row = (name: string, ...figures: (number | string)[]) => [
  name,
  ...figures.map((figure) => (typeof figure === 'string' ? figure : figure.toFixed(2))),
]

async function main() {
  const addon = installPackages()
  const [updated, called]: string[][][] = [[], []]
  try {
    for (const start of fit) {
      const { store, stop } = await start()
      try {
        if (values.store && values.store !== store.name) continue
        if (store.missing) {
          console.log(`${store.name}: skipped, ${store.missing}`)
          continue
        }
        const { alone, together, ratio } = await updates(addon, store)
        updated!.push(row(store.name, alone, together, spread(ratio)))
        const { load, first, work, later } = await firstCall(addon, store, rounds)
        called!.push(row(store.name, load, first, work, later))
      } finally {
        await stop()
      }
    }
  } finally {
    rmSync(addon, { recursive: true })
  }
  const title = `${UPDATES} updates of one index, ${rounds} rounds`
  const head = [
    '',
    'ms each, one after the other',
    'ms each, at once',
    'times as fast (quartiles of the rounds)',
  ]
  console.log(`\n${formatTable({ title, head, rows: updated! })}`)
  console.log(
    `\n${formatTable({
      title: `The first call of ${rounds} processes: medians`,
      head: [
        '',
        'ms to load the package and its peer',
        'ms of the first call beyond a later one',
        'of the processors',
        'ms of a later one',
      ],
      rows: called!,
    })}`,
  )
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
