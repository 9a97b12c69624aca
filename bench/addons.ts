// Two builds of the addon, and tuned fs/promises, side by side: what a change does to writes of small files and to updates of indexes.
//
//   npx tsx bench/addons.ts BEFORE.node AFTER.node [--seconds N] [--dir FOLDER] [CASE ...]
//
// A case is new:KIB:LANES or replaced:KIB:LANES, as new:1:64, or update:RECORDS:LANES, as update:1000:1. Ratios are to the first build, of single rounds: the median,
// and in brackets the quartiles. Each contender is a process, so that its processor time and its waits can be told.

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Child } from './children/child'
import type { ProcessCost, Question } from './children/writes'
import { parseCommand, runProgram, UsageError } from './command'
import { guarantee } from './contenders/guarantees'
import { median, ratioOfRounds } from './measure/ratio'
import { measure } from './measure/rounds'
import { formatRatio, formatTable } from './report/table'

const USUAL = [
  'new:1:16',
  'new:1:64',
  'replaced:1:16',
  'replaced:1:64',
  'new:1:1',
  'new:64:16',
  'new:1024:4',
  'update:1000:1',
  'update:1000:16',
]
const FIGURES = ['wall', 'cpu', 'jsThread', 'waits'] as const

/** Per round, so that one of small files takes a part of a second. */
const MOST_WRITES = 640
const MOST_KIB = 32 << 10
const MOST_RECORDS = 100_000

async function main(): Promise<void> {
  const { values, positionals } = parseCommand({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '10' }, dir: { type: 'string', default: tmpdir() } },
  })
  const builds = positionals.filter((one) => one.endsWith('.node'))
  const named = positionals.filter((one) => !one.endsWith('.node'))
  if (builds.length === 0) throw new UsageError('which builds of the addon are to be compared?')
  const folder = await mkdtemp(join(resolve(values.dir), 'atomic-addons-'))
  const addon = (build: string) => ({ env: { NAPI_RS_NATIVE_LIBRARY_PATH: resolve(build) } })
  const started = await Promise.all([
    ...builds.map(async (build) => ({ name: build, child: await Child.start('writes.ts', addon(build)) })),
    Child.start('writes.ts').then((child) => ({ name: 'fs/promises, tuned', child })),
  ])
  try {
    for (const one of named.length > 0 ? named : USUAL) {
      const [kind, size, lanes] = one.split(':').map((part, at) => (at === 0 ? part : Number(part)))
      if (typeof size !== 'number' || typeof lanes !== 'number') throw new UsageError(`not a case: ${one}`)
      const isUpdate = kind === 'update'
      const most = Math.min(MOST_WRITES, (isUpdate ? MOST_RECORDS : MOST_KIB) / size)
      // There is no update with the same guarantees to compare with.
      const entrants = (isUpdate ? started.slice(0, builds.length) : started).map(({ name, child }, at) => ({
        contender: guarantee(name, 'fsyncFile', 'fsyncDirectory', 'readBack'),
        round: () =>
          child.ask<ProcessCost>({
            work: isUpdate ? 'atomicIndexUpdate' : at < builds.length ? 'atomicWrite' : 'tuned',
            folder: join(folder, `${one} ${at}`),
            fresh: kind === 'new',
            size: isUpdate ? size : size * 1024,
            lanes,
            calls: Math.ceil(most / lanes),
          } satisfies Question),
      }))
      for (const at of entrants.keys()) await mkdir(join(folder, `${one} ${at}`))
      for (const { round } of entrants) await round()
      const { figures } = await measure(one, entrants, { seconds: Number(values.seconds), fewest: 5 })
      const column = (rounds: unknown[], of: (typeof FIGURES)[number]) =>
        (rounds as ProcessCost[]).map((round) => round[of])
      const rows = figures.map(({ contender, rounds }) => [
        contender.name,
        ...FIGURES.map((of) => {
          const own = column(rounds, of)
          return `${formatRatio(ratioOfRounds(own, column(figures[0].rounds, of)))}; ${median(own).toPrecision(3)}`
        }),
      ])
      console.log(
        formatTable({ title: `${one} (${figures[0].rounds.length} rounds)`, head: ['', ...FIGURES], rows }),
      )
    }
  } finally {
    await Promise.all(started.map(({ child }) => child.stop()))
    await rm(folder, { recursive: true, force: true })
  }
}

runProgram(main)
