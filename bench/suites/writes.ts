// Files: new ones, replaced ones, and strings instead of Buffers.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bareFloor, Floor, floorSteps } from '../contenders/floor'
import { writers } from '../contenders/writers'
import { threadClock } from '../measure/clock'
import { type Case, type Effort, measure } from '../measure/rounds'
import type { Context, Section, Table } from './suite'
import { MiB, makeData, type WriteCase, writeCases } from './write-cases'
import { fillTogether, floorEntrants, isSmall, writerEntrant } from './write-entrants'

const sections: Section[] = [
  {
    id: 'new',
    title: 'New files',
    notes: [
      'SIZE × N: N writes in flight, each to a file of its own; every write makes a new file; the data is a Buffer.',
      'fs/promises uses handle.writeFile and readFile; tuned: one handle.write and one handle.read for all bytes.',
      'The floor has as many threads as libuv gives to file operations, or one where one write is in flight.',
    ],
    cases: [],
    threads: true,
  },
  {
    id: 'replaced',
    title: 'Replaced files',
    notes: [
      'As above, but every write replaces a file of the same size, whose blocks the file system frees:',
      'on a disk that is mounted with `discard` this takes much of the time of every contender.',
    ],
    cases: [],
    threads: true,
  },
  {
    id: 'strings',
    title: 'Strings',
    notes: ['New files, one at a time, from a string, which the JS thread copies or encodes.'],
    cases: [],
    threads: true,
  },
]

/** A round of the biggest case writes 512 MB a contender: contenders without a target stay out of it. */
const BIG = 256 * MiB
const inTargets = /^(atomicWrite|fs\/promises|write-file-atomic|former routine|floor: .*)$/

export async function writesSuite(context: Context): Promise<Section[]> {
  const wanted = writeCases.filter((what) => context.wanted(`${sectionOf(what).title} ${what.title}`))
  if (wanted.length === 0) return []
  const floor = await Floor.start()
  try {
    const end = performance.now() + context.effort.seconds * 1000
    const measured = new Map<WriteCase, Case>()
    // Small files first, and cases that free files last: a disk behaves differently after many writes and removals.
    const stage = (what: WriteCase) => (what.fresh ? 0 : 2) + (isSmall(what) ? 0 : 1)
    const order = [...wanted].sort((a, b) => stage(a) - stage(b) || a.bytes * a.atOnce - b.bytes * b.atOnce)
    for (const [index, what] of order.entries()) {
      const left = order.slice(index).reduce((sum, one) => sum + weightOf(one), 0)
      const seconds = (Math.max(0, end - performance.now()) / 1000) * (weightOf(what) / left)
      const result = await measureWrites(what, floor, context, { ...context.effort, seconds })
      measured.set(what, result)
      context.show({ ...result, title: `${sectionOf(what).title}, ${what.title}` })
    }
    return sections
      .map((section) => ({
        ...section,
        notes: [...section.notes, `JS thread: ${threadClock.description}.`],
        cases: wanted
          .filter((what) => sectionOf(what) === section)
          .flatMap((what) => measured.get(what) ?? []),
      }))
      .filter(({ cases }) => cases.length > 0)
      .map((section) => ({ ...section, tables: stepsTable(section) }))
  } finally {
    floor.stop()
  }
}

/** What limits every writer: where a program that only makes the system calls spends its time. */
function stepsTable({ title, cases }: Section): Table[] {
  const shares = cases.flatMap((measured) => {
    const bare = measured.figures.find(({ contender }) => contender.name === bareFloor)
    const sums = floorSteps.map((_, step) =>
      (bare?.rounds ?? []).reduce((sum, { steps }) => sum + (steps?.[step] ?? 0), 0),
    )
    const all = sums.reduce((sum, one) => sum + one, 0)
    return all > 0 ? [{ row: measured.title, percent: sums.map((sum) => (sum / all) * 100) }] : []
  })
  if (shares.length === 0) return []
  const series = floorSteps.map((name, step) => ({
    name,
    values: shares.map(({ percent }) => percent[step] ?? 0),
  }))
  return [
    {
      title: `${title}: where ${bareFloor} spend their time`,
      head: ['', ...floorSteps],
      rows: shares.map(({ row, percent }) => [row, ...percent.map((one) => `${one.toFixed(0)} %`)]),
      chart: {
        title: `${title}: where bare system calls spend their time, in percent`,
        percent: true,
        groups: shares.map(({ row }) => row),
        series,
      },
    },
  ]
}

/** A case's share of the time: big ones need more for their minimum of rounds. */
function weightOf({ bytes, atOnce }: WriteCase): number {
  const size = bytes * atOnce
  return size >= BIG ? 6 : size >= 16 * MiB ? 2 : 1
}

function sectionOf({ section }: WriteCase): Section {
  const found = sections.find(({ id }) => id === section)
  if (!found) throw new Error(`no section ${section}`)
  return found
}

async function measureWrites(what: WriteCase, floor: Floor, { folder }: Context, effort: Effort) {
  const data = makeData(what)
  // Folders beside each other, see `scatter`.
  const name = `${what.section}, ${what.title}`
  const place = join(folder, name)
  const big = what.bytes * what.atOnce >= BIG
  try {
    const entrants = [
      ...writers.map((writer, index) => writerEntrant(writer, what, data, `${place}, ${index}`)),
      ...(what.kind === 'Buffer' ? await floorEntrants(floor, what, data, `${place}, floor`) : []),
    ].filter(({ contender }) => !big || inTargets.test(contender.name))
    await fillTogether(entrants)
    // More than three rounds of half a minute would say little more: rounds as long as these hardly differ.
    return await measure(what.title, entrants, { ...effort, fewest: big ? 3 : effort.fewest })
  } finally {
    const mine = readdirSync(folder).filter((one) => one.startsWith(`${name}, `))
    for (const one of isSmall(what) ? [] : mine) rmSync(join(folder, one), { recursive: true })
  }
}
