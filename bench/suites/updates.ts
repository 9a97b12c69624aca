// An index of 10,000 records in one process: a thousand updates at once, and a hundred one after the other.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { change, readIndex, writeIndex } from '../contenders/index-file'
import {
  formerUpdater,
  indexUpdater,
  lockedFormerUpdater,
  lowdbUpdater,
  properLockfileUpdater,
  type Updater,
  valueUpdater,
} from '../contenders/updaters'
import { clock } from '../measure/clock'
import { type Entrant, measure } from '../measure/rounds'
import type { Context, Section } from './suite'

const RECORDS = 10_000

interface UpdateCase {
  title: string
  atOnce: boolean
  /** Updates a round. Where 1,000 would take minutes, fewer are made. */
  contenders: [updater: Updater, updates: number][]
}

function cases(quick: boolean): UpdateCase[] {
  return [
    {
      title: '1,000 at once, 10,000 records',
      atOnce: true,
      contenders: [
        [indexUpdater, quick ? 100 : 1000],
        [lockedFormerUpdater, quick ? 10 : 50],
        [lowdbUpdater, quick ? 50 : 250],
        [properLockfileUpdater, quick ? 10 : 50],
      ],
    },
    {
      title: '100 one after the other, 10,000 records',
      atOnce: false,
      contenders: [
        [indexUpdater, quick ? 20 : 100],
        [formerUpdater, quick ? 20 : 100],
        [lockedFormerUpdater, quick ? 10 : 25],
        [lowdbUpdater, quick ? 10 : 25],
        [properLockfileUpdater, quick ? 10 : 25],
      ],
    },
    {
      title: "100 one after the other, 10,000 records, keep: 'value'",
      atOnce: false,
      contenders: [
        [valueUpdater, quick ? 20 : 100],
        [indexUpdater, quick ? 20 : 100],
        [lowdbUpdater, quick ? 20 : 100],
      ],
    },
  ]
}

export async function updatesSuite(context: Context): Promise<Section[]> {
  const wanted = cases(context.quick).filter(({ title }) => context.wanted(`Updates, ${title}`))
  const section: Section = {
    id: 'updates',
    title: 'Updates',
    notes: [
      'One index, one process. Cost of one update. `N measured`: this contender made only N updates a round, which favours',
      'contenders whose waiting calls delay each other. lowdb reads the index once and keeps it in memory; the others read',
      'it for every update.',
    ],
    cases: [],
    threads: true,
  }
  for (const what of wanted) {
    const seconds = context.effort.seconds / wanted.length
    const folder = join(context.folder, 'updates')
    await mkdir(folder, { recursive: true })
    const entrants = []
    for (const [updater, updates] of what.contenders) {
      const path = join(folder, `${entrants.length}.json`)
      entrants.push(await updateEntrant(updater, path, updates, what))
    }
    const measured = await measure(what.title, entrants, { ...context.effort, seconds })
    await rm(folder, { recursive: true })
    section.cases.push(measured)
    context.show({ ...measured, title: `${section.title}, ${measured.title}` })
  }
  return wanted.length ? [section] : []
}

async function updateEntrant(
  updater: Updater,
  path: string,
  updates: number,
  { atOnce, title, contenders }: UpdateCase,
): Promise<Entrant> {
  await writeIndex(path, RECORDS)
  const update = await updater.open(path)
  const make = updater.change ?? change
  const run = async (count: number) => {
    const numbers = Array.from({ length: count }, (_, number) => number * 7)
    if (atOnce) await Promise.all(numbers.map((number) => update(make(number))))
    else for (const number of numbers) await update(make(number))
  }
  await run(5)
  let done = 5
  return {
    contender: updater,
    ...(updates === contenders[0]?.[1] ? {} : { note: `${updates} measured` }),
    async round() {
      const { wall, jsThread } = await clock(() => run(updates))
      done += updates
      const found = (await readIndex(path)).updates
      if (found !== done) throw new Error(`${updater.name} lost ${done - found} updates (${title})`)
      return { wall: wall / updates, jsThread: jsThread / updates }
    },
  }
}
