// `npm run soak:orders -- [--seconds 60] [--seed 1] [--mix threads]`: random calls of threads and processes, and whether an order explains them.
// It ends with 1 if none does.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BLOCKING, PROCESSES, REPLACED, THREADS, TOGETHER, TRANSACTIONS } from './plan'
import { type Report, rounds, type Setting } from './rounds'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    mix: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    calls: { type: 'string' },
    addon: { type: 'string', default: resolve(__dirname, '../..') },
    stop: { type: 'string', default: '3' },
  },
})

type Shape = Pick<
  Setting,
  'processes' | 'threads' | 'mix' | 'killEach' | 'replaceEach' | 'together' | 'calls'
>

const SHAPES: Record<string, Shape> = {
  threads: { processes: 1, threads: 3, mix: THREADS, calls: 10 },
  blocking: { processes: 1, threads: 3, mix: BLOCKING, calls: 8 },
  together: { processes: 1, threads: 3, mix: TOGETHER, calls: 8 },
  replaced: { processes: 2, threads: 2, mix: REPLACED, replaceEach: 2, calls: 5 },
  processes: { processes: 3, threads: 2, mix: PROCESSES, killEach: 3, calls: 7 },
  transactions: { processes: 2, threads: 2, mix: TRANSACTIONS, killEach: 3, together: true, calls: 7 },
}

/** How a process is started. */
const HOSTS: Pick<Setting, 'prefix' | 'env'>[] = [
  {},
  { env: { UV_THREADPOOL_SIZE: '1' } },
  { env: { UV_THREADPOOL_SIZE: '16' } },
  ...(process.platform === 'linux' ? [{ prefix: ['taskset', '-c', '0'] }] : []),
]

async function main(): Promise<void> {
  const end = Date.now() + Number(values.seconds) * 1000
  const names = values.mix ? values.mix.split(',') : Object.keys(SHAPES)
  const turns = names.flatMap((name) => HOSTS.map((host) => ({ name, host })))
  const sums = new Map<string, Report>(
    names.map((name) => [name, { rounds: 0, calls: 0, kills: 0, wrong: [], undecided: 0 }]),
  )
  for (let turn = 0, seed = Number(values.seed); Date.now() < end; turn++, seed++) {
    const { name, host } = turns[turn % turns.length] as (typeof turns)[number]
    const dir = mkdtempSync(join(values.dir, 'atomic-orders-'))
    const sum = sums.get(name) as Report
    const until = Math.min(
      end,
      Date.now() + Math.max(3000, (Number(values.seconds) * 1000) / turns.length / 2),
    )
    const shape = SHAPES[name] as Shape
    const calls = values.calls ? Number(values.calls) : shape.calls
    const setting = { addon: values.addon, dir, seed, ...shape, calls, ...host }
    const report = await rounds(
      setting,
      ({ wrong }) => Date.now() > until || wrong.length >= Number(values.stop),
    )
    rmSync(dir, { recursive: true })
    sum.rounds += report.rounds
    sum.calls += report.calls
    sum.kills += report.kills
    sum.wrong.push(...report.wrong)
    sum.undecided += report.undecided
    for (const text of report.wrong) console.log(`${name} ${JSON.stringify(host)} ${text}`)
  }
  for (const [name, { rounds, calls, kills, wrong, undecided }] of sums) {
    console.log(
      `${name}: ${calls} calls in ${rounds} rounds, ${kills} kills: ${wrong.length} that no order explains, ${undecided} with too many orders`,
    )
    if (wrong.length > 0) process.exitCode = 1
  }
}

void main()
