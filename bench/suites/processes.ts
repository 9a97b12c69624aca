// One index and several processes.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import type { BatchSizes, Question } from '../children/updates'
import { readIndex, writeIndex } from '../contenders/index-file'
import {
  indexUpdater,
  lockedFormerUpdater,
  properLockfileUpdater,
  type Updater,
} from '../contenders/updaters'
import { slowestShare } from '../measure/fairness'
import { median } from '../measure/ratio'
import { type Entrant, measure } from '../measure/rounds'
import { formatFigure } from '../report/table'
import type { Context, Fact, Section } from './suite'

const PROCESSES = 8

interface ProcessSetting {
  title: string
  records: number
  atOnce: boolean
}

interface ProcessCase extends ProcessSetting {
  /** Updates a process. */
  contenders: [updater: Updater, updates: number][]
}

/** What is counted in addition to the time. */
interface Tally {
  updater: Updater
  made: number
  lost: number
  shares: number[]
}

const cases = (quick: boolean): ProcessCase[] => [
  {
    title: `${PROCESSES} × 100 at once, 10,000 records`,
    records: 10_000,
    atOnce: true,
    contenders: [
      [indexUpdater, 100],
      [lockedFormerUpdater, quick ? 3 : 10],
      [properLockfileUpdater, quick ? 3 : 10],
    ],
  },
  {
    title: `${PROCESSES} × 100 one after the other, 100 records`,
    records: 100,
    atOnce: false,
    contenders: [
      [indexUpdater, 100],
      [lockedFormerUpdater, quick ? 10 : 25],
      [properLockfileUpdater, quick ? 10 : 25],
    ],
  },
]

export async function processesSuite(context: Context): Promise<Section[]> {
  const section: Section = {
    id: 'processes',
    title: 'Processes',
    notes: [
      'N × 100: N processes change one index, 100 updates each.',
      'The time from the start until the last process has finished, divided by the number of updates. At once: each process',
      'makes all its calls and then awaits them; one after the other: each process awaits every call before the next.',
      'proper-lockfile waits 5 to 50 ms between two attempts, the former lock 25 to 75 ms.',
      'Share of turns: commits of the slowest process, as a share of an even distribution, while all processes are busy.',
    ],
    cases: [],
    facts: [],
  }
  const wanted = cases(context.quick).filter(({ title }) => context.wanted(`${section.title}, ${title}`))
  if (wanted.length === 0) return []
  const children = await Promise.all(Array.from({ length: PROCESSES }, () => Child.start('updates.ts')))
  try {
    for (const what of wanted) {
      const seconds = context.effort.seconds / wanted.length
      const folder = join(context.folder, 'processes')
      await mkdir(folder, { recursive: true })
      const entrants = what.contenders.map(([updater, updates]) =>
        processEntrant(children, updater, updates, what, join(folder, 'index.json'), what.contenders[0]?.[1]),
      )
      for (const { entrant } of entrants) await entrant.round()
      const measured = await measure(
        what.title,
        entrants.map(({ entrant }) => entrant),
        { ...context.effort, seconds },
      )
      await rm(folder, { recursive: true })
      section.cases.push(measured)
      section.facts?.push(...entrants.flatMap(({ tally }) => factsOf(what, tally, context)))
      context.show({ ...measured, title: `${section.title}, ${measured.title}` })
    }
  } finally {
    await Promise.all(children.map((child) => child.stop()))
  }
  return [section]
}

/** Updates by all of `children`, which start together. `full`: how many each would make if time allowed. */
export function processEntrant(
  children: Child[],
  updater: Updater,
  updates: number,
  { records, atOnce }: ProcessSetting,
  path: string,
  full = updates,
): { entrant: Entrant; tally: Tally } {
  const tally: Tally = { updater, made: 0, lost: 0, shares: [] }
  const entrant: Entrant = {
    contender: updater,
    ...(updates === full ? {} : { note: `${updates} a process measured` }),
    async round() {
      await writeIndex(path, records)
      const prepare: Question = { do: 'prepare', updater: updater.name, path }
      await Promise.all(children.map((child) => child.ask(prepare)))
      const start = performance.now()
      const sizes = await Promise.all(
        children.map((child, process) =>
          child.ask<BatchSizes>({ do: 'go', process, updates, atOnce } satisfies Question),
        ),
      )
      const wall = performance.now() - start
      const index = await readIndex(path)
      const made = updates * children.length
      tally.made += made
      tally.lost += made - index.updates
      const share = slowestShare(index.turns, sizes)
      if (share !== undefined) tally.shares.push(share)
      return { wall: wall / made, jsThread: Number.NaN }
    },
  }
  return { entrant, tally }
}

/** Ours are compared with a target; for the others the terminal says how many updates they lost and how fair they are. */
function factsOf({ title }: ProcessCase, { updater, made, lost, shares }: Tally, context: Context): Fact[] {
  const share = median(shares)
  const shown = shares.length ? `${formatFigure(share)} (${shares.map(formatFigure).join(', ')})` : ''
  context.say(
    `  ${updater.name}: ${lost} of ${made} updates lost${shown && `, share of turns ${shown}`} (${title})`,
  )
  if (updater !== indexUpdater) return []
  const facts = [
    {
      row: `Processes, ${title}: lost updates`,
      against: '-',
      target: '0',
      reached: `${lost} of ${made}`,
      met: lost === 0,
    },
  ]
  if (shares.length === 0) return facts
  const row = `Processes, ${title}: slowest one’s share of turns`
  return [
    ...facts,
    {
      row,
      against: 'its fair share',
      target: '≥ 0.5',
      reached: shown,
      share: share / 0.5,
      met: share >= 0.5,
      chart: 'Many files and updates at once',
    },
  ]
}
