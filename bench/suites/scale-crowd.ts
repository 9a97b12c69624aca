// More at once: writes in flight from 1 to 256, and processes that change one index from 1 to 16.

import { rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import { indexUpdater, properLockfileUpdater } from '../contenders/updaters'
import { atomicWriter, sameGuarantees, writeFileAtomicWriter } from '../contenders/writers'
import { median } from '../measure/ratio'
import { type Case, measure } from '../measure/rounds'
import { processEntrant } from './processes'
import type { Context, Section, Table } from './suite'
import { KiB, makeData, type WriteCase } from './write-cases'
import { fillTogether, writerEntrant } from './write-entrants'

const IN_FLIGHT = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const PROCESSES = [1, 2, 4, 8, 16]

export async function inFlightSuite(context: Context): Promise<Section[]> {
  const title = 'Writes in flight'
  const sections: Section[] = []
  for (const [label, bytes] of [
    ['1 KB', KiB],
    ['64 KB', 64 * KiB],
  ] as const) {
    const name = `${title}, ${label}`
    const counts = IN_FLIGHT.filter((count) => context.wanted(`${name}, ${count} in flight`))
    const cases: Case[] = []
    for (const atOnce of counts) {
      const seconds = context.effort.seconds / counts.length / 2
      const what: WriteCase = {
        ...{ title: `${atOnce} in flight`, section: 'new', bytes, atOnce },
        ...{ fresh: true, kind: 'Buffer' },
      }
      const folder = join(context.folder, `${label}, ${what.title}`)
      const data = makeData(what)
      const entrants = [atomicWriter, sameGuarantees, writeFileAtomicWriter].map((writer, index) =>
        writerEntrant(writer, what, data, join(folder, String(index))),
      )
      await fillTogether(entrants)
      const measured = await measure(what.title, entrants, { ...context.effort, seconds })
      cases.push(measured)
      context.show({ ...measured, title: `${name}, ${measured.title}` })
    }
    if (cases.length > 0) {
      const notes = ['New files; each write in flight has a lane of its own. Cost of one write.']
      sections.push({
        ...{ id: `in-flight-${bytes / KiB}`, title: name, notes, cases },
        tables: [
          throughput(
            `${label}: writes per second, as a multiple of atomicWrite with one in flight`,
            'in flight',
            counts,
            cases,
          ),
        ],
      })
    }
  }
  return sections
}

export async function crowdSuite(context: Context): Promise<Section[]> {
  const title = 'Processes that change one index'
  const counts = PROCESSES.filter((count) => context.wanted(`${title}, ${count} processes`))
  const cases: Case[] = []
  const updates = context.quick ? 10 : 40
  for (const count of counts) {
    const seconds = context.effort.seconds / counts.length
    const children = await Promise.all(Array.from({ length: count }, () => Child.start('updates.ts')))
    const folder = join(context.folder, 'crowd')
    await mkdir(folder, { recursive: true })
    try {
      const what = { title: count === 1 ? 'one process' : `${count} processes`, records: 1000, atOnce: false }
      const entrants = [indexUpdater, properLockfileUpdater].map(
        (updater) => processEntrant(children, updater, updates, what, join(folder, 'index.json')).entrant,
      )
      for (const entrant of entrants) await entrant.round()
      const measured = await measure(what.title, entrants, { ...context.effort, seconds })
      cases.push(measured)
      context.show({ ...measured, title: `${title}, ${measured.title}` })
    } finally {
      await Promise.all(children.map((child) => child.stop()))
      rmSync(folder, { recursive: true })
    }
  }
  if (cases.length === 0) return []
  const notes = [
    `1,000 records; each process makes ${updates} updates, one after the other. Cost of one update.`,
  ]
  const table = throughput(
    'Updates per second of all processes, as a multiple of atomicIndexUpdate in one process',
    'processes',
    counts,
    cases,
  )
  return [{ id: 'crowd', title, notes, cases, tables: [table] }]
}

function throughput(title: string, x: string, counts: number[], cases: Case[]): Table {
  const cost = (measured: Case | undefined, which: number) =>
    median(measured?.figures[which]?.rounds.map(({ wall }) => wall) ?? [])
  const alone = cost(cases[0], 0)
  const series = (cases[0]?.figures ?? []).map(({ contender }, which) => ({
    name: contender.name,
    values: cases.map((measured) => Number((alone / cost(measured, which)).toFixed(2))),
  }))
  return {
    title,
    head: ['', ...counts.map(String)],
    rows: series.map(({ name, values }) => [name, ...values.map(String)]),
    chart: { title, x: { title: x, values: counts }, y: { title: '' }, series },
  }
}
