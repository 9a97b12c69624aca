// What it costs to refuse numbers that JavaScript would change (`numbers: 'strict'`, the default): beside updates that do
// not look.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { change, type Index, makeIndex, readIndex } from '../contenders/index-file'
import { indexUpdater, lossyUpdater, type Updater } from '../contenders/updaters'
import { clock } from '../measure/clock'
import { type Entrant, measure } from '../measure/rounds'
import type { Context, Section } from './suite'

const RECORDS = 10_000

const texts: { title: string; make(): object }[] = [
  { title: '10,000 records', make: () => makeIndex(RECORDS) },
  { title: '10,000 records with five fractions each', make: () => withFractions(makeIndex(RECORDS)) },
]

/** As measured values are: sixteen or more digits, which have to be looked at one by one. */
function withFractions(index: Index): object {
  const fractions = (number: number) => [1, 2, 3, 4, 5].map((place) => Math.sin(number * 5 + place))
  return {
    ...index,
    records: index.records.map((record, at) => ({ ...record, measured: fractions(at) })),
  }
}

export async function numbersSuite(context: Context): Promise<Section[]> {
  const title = 'Numbers'
  const wanted = texts.filter((text) => context.wanted(`${title}, ${text.title}`))
  const section: Section = {
    id: 'numbers',
    title,
    notes: ['One index, one process. Cost of one update, of 20 that are made one after the other.'],
    cases: [],
  }
  const folder = join(context.folder, 'numbers')
  await mkdir(folder, { recursive: true })
  for (const text of wanted) {
    const entrants: Entrant[] = []
    for (const updater of [indexUpdater, lossyUpdater]) {
      const path = join(folder, `${entrants.length}.json`)
      await writeFile(path, JSON.stringify(text.make(), null, 2))
      entrants.push(await entrant(updater, path))
    }
    const seconds = context.effort.seconds / wanted.length
    const measured = await measure(text.title, entrants, { ...context.effort, seconds })
    section.cases.push(measured)
    context.show({ ...measured, title: `${title}, ${measured.title}` })
  }
  await rm(folder, { recursive: true })
  return wanted.length ? [section] : []
}

async function entrant(updater: Updater, path: string): Promise<Entrant> {
  const updates = 20
  const update = await updater.open(path)
  let done = 0
  const run = async () => {
    for (let number = 0; number < updates; number++) await update(change(number * 7))
    done += updates
  }
  await run()
  return {
    contender: updater,
    async round() {
      const { wall, jsThread } = await clock(run)
      const found = (await readIndex(path)).updates
      if (found !== done) throw new Error(`${updater.name} lost ${done - found} updates`)
      return { wall: wall / updates, jsThread: jsThread / updates }
    },
  }
}
