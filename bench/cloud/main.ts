// `npm run simulate:cloud`: many machines that change one index in an object store, in virtual time.
//
//   npm run simulate:cloud -- [--kind update,patch] [--store s3,express,gcs] [--machines 1,10] [--rate N] [--seconds N]
//     [--kill SECONDS] [--calm] [--seed N] [--out FOLDER]
//   npm run simulate:cloud -- --draw
//
// The simulation is a test of crates/cloud, which prints a row of figures for each run and counts what was lost or doubled.
// Without options the rows of docs/cloud.md are made, which are kept in docs/cloud/simulation.json, and its page is drawn;
// `--draw` only draws it. `--kill` is the mean time between two machines that are killed, 0 for none; `--calm` has no faults.

import { join, resolve } from 'node:path'
import { Complaint, root, runCargo } from '../../scripts/tools.mjs'
import { parseCommand, runProgram } from '../command'
import { formatTable } from '../report/table'
import { drawPage, type Row, saveResults, tableOf } from './page'

interface Plan {
  kind: string
  store: string
  machines: number
  rate: number
  seconds: number
  faults: boolean
  kill: number | null
  seed: number
}

/** What docs/cloud.md shows. */
const shown: Partial<Plan>[] = [
  ...['update', 'patch'].flatMap((kind) =>
    [1, 2, 5, 10, 20, 50, 100].map((machines) => ({ kind, store: 's3', machines })),
  ),
  ...['express', 'gcs'].flatMap((store) =>
    ['update', 'patch'].flatMap((kind) => [1, 10, 100].map((machines) => ({ kind, store, machines }))),
  ),
  { kind: 'patch', store: 's3', machines: 1000, rate: 0.2, seconds: 20 },
]

async function main(): Promise<void> {
  const { values } = parseCommand({
    options: {
      kind: { type: 'string', default: 'update,patch' },
      store: { type: 'string', default: 's3' },
      machines: { type: 'string' },
      rate: { type: 'string', default: '10' },
      seconds: { type: 'string', default: '60' },
      kill: { type: 'string', default: '5' },
      calm: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      out: { type: 'string' },
      draw: { type: 'boolean', default: false },
    },
  })
  const out = values.out ? resolve(values.out) : join(root, 'docs')
  if (values.draw) return drawPage(out)
  const list = (text: string) => text.split(',')
  const common = {
    rate: Number(values.rate),
    seconds: Number(values.seconds),
    faults: !values.calm,
    kill: Number(values.kill) || null,
    seed: Number(values.seed),
  }
  const { machines } = values
  const wanted = machines
    ? list(values.kind).flatMap((kind) =>
        list(values.store).flatMap((store) =>
          list(machines).map((count) => ({ kind, store, machines: Number(count) })),
        ),
      )
    : shown
  const rows = await simulate(wanted.map((one) => ({ ...common, ...one }) as Plan))
  console.log(`\n${formatTable(tableOf(rows))}`)
  const wrong = rows.filter(({ lost, doubled }) => lost + doubled > 0)
  if (wrong.length > 0) throw new Complaint(`${wrong.length} runs have lost or doubled updates.`)
  if (values.out || !machines) {
    await saveResults(out, rows)
    await drawPage(out)
  }
}

/** A run each, in this order. */
async function simulate(plans: Plan[]): Promise<Row[]> {
  const rows: Row[] = []
  const test = 'protocol::tests::simulation::quick::simulate'
  const { code } = await runCargo(
    [
      ...['test', '--profile', 'lab', '-p', 'pipeline-atomic-cloud', '--lib', '--'],
      ...['--ignored', '--nocapture', '--exact', test],
    ],
    {
      quiet: true,
      env: { ATOMIC_SIMULATION: JSON.stringify(plans) },
      onLine(line, from) {
        if (from === 'stderr') return console.error(line)
        if (!line.startsWith('{"kind"')) return
        rows.push(JSON.parse(line))
        const { kind, store, machines, seconds } = plans[rows.length - 1] as Plan
        console.log(`${kind} ${store}, ${machines} machines, ${seconds} s: ${JSON.stringify(rows.at(-1))}`)
      },
    },
  )
  if (code !== 0 || rows.length !== plans.length) throw new Complaint('The simulation has failed: see above.')
  return rows
}

runProgram(main)
