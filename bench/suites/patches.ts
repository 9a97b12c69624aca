// Changes that say what they are: patches of an index, against functions of it; and looks into an index, against parsing it.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIndexAt } from '@pipeline/atomic'
import { Child } from '../children/child'
import type { AfterPauses, Question } from '../children/pauses'
import { guarantee } from '../contenders/guarantees'
import { change, type Index, readIndex, writeIndex } from '../contenders/index-file'
import { patches, type Update } from '../contenders/patches'
import { formerUpdater, indexUpdater, lowdbUpdater, type Updater } from '../contenders/updaters'
import { clock } from '../measure/clock'
import { median, quantile } from '../measure/ratio'
import { type Case, type Entrant, measure } from '../measure/rounds'
import { formatFigure } from '../report/table'
import type { Context, Fact, Section } from './suite'

const patcher = guarantee('atomicIndexPatch', 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion')

interface PatchCase {
  title: string
  records: number
  atOnce: boolean
  patches: number
  others: [updater: Updater, updates: number][]
}

function cases(quick: boolean): PatchCase[] {
  return [
    {
      title: '100 one after the other, 10,000 records',
      records: 10_000,
      atOnce: false,
      patches: quick ? 20 : 100,
      others: [
        [indexUpdater, quick ? 10 : 25],
        [formerUpdater, quick ? 10 : 25],
        [lowdbUpdater, quick ? 10 : 25],
      ],
    },
    {
      title: '1,000 at once, 10,000 records',
      records: 10_000,
      atOnce: true,
      patches: 1000,
      others: [[indexUpdater, 1000]],
    },
    {
      title: 'one of 1,000,000 records',
      records: 1_000_000,
      atOnce: false,
      patches: 1,
      others: [[indexUpdater, 1]],
    },
  ]
}

const LOOKS = 1_000_000
const ofLooks = `one of ${LOOKS.toLocaleString('en')} records`

/** So much of the time of the JS thread may one patch of a large index take, in milliseconds. */
const THREAD_TARGET = 0.2

export async function patchesSuite(context: Context): Promise<Section[]> {
  const wanted = cases(context.quick).filter(({ title }) => context.wanted(`Patches, ${title}`))
  const looks = [`a look at ${ofLooks}`, `a first look at ${ofLooks}`].filter((title) =>
    context.wanted(`Patches, ${title}`),
  )
  const section: Section = {
    id: 'patches',
    title: 'Patches',
    notes: [
      'One index, one process. Cost of one change, or of one look. A patch changes the text of the index, and a function gets it parsed.',
      '`N measured`: this contender made only N updates a round. lowdb reads the index once and keeps it in memory.',
    ],
    cases: [],
    facts: [],
    threads: true,
  }
  const add = (measured: Case) => {
    section.cases.push(measured)
    context.show({ ...measured, title: `${section.title}, ${measured.title}` })
  }
  const folder = join(context.folder, 'patches')
  const seconds = context.effort.seconds / (wanted.length + looks.length)
  for (const what of wanted) {
    await mkdir(folder, { recursive: true })
    add(await measure(what.title, await entrants(folder, what), { ...context.effort, seconds }))
    if (what.records === LOOKS) {
      const costs = await afterPauses(join(folder, 'patched.json'))
      section.facts?.push(threadFact(what, costs))
      section.notes.push(pausesNote(costs))
    }
    await rm(folder, { recursive: true })
  }
  for (const title of looks) {
    await mkdir(folder, { recursive: true })
    add(
      await measure(title, await lookers(folder, title.startsWith('a look')), { ...context.effort, seconds }),
    )
    await rm(folder, { recursive: true })
  }
  return section.cases.length ? [section] : []
}

/** As in a program that makes a patch now and then. */
const PAUSE = 50
const CALLS = 40

/** What calls cost the JS thread after a pause, in a process of their own: a thread that has paused runs more slowly at first, whatever it does. */
async function afterPauses(path: string): Promise<AfterPauses> {
  const child = await Child.start('pauses.ts')
  try {
    return await child.ask({ path, records: LOOKS, calls: CALLS, pause: PAUSE } satisfies Question)
  } finally {
    await child.stop()
  }
}

/** Without what the clock itself costs. */
const costOf = (costs: AfterPauses, name: keyof AfterPauses) => {
  const figures = costs[name].map((cost) => cost - median(costs.nothing))
  return { figure: median(figures), low: quantile(figures, 0.25), high: quantile(figures, 0.75) }
}

function pausesNote(costs: AfterPauses): string {
  const shown = (name: keyof AfterPauses) => {
    const { figure, low, high } = costOf(costs, name)
    return `${formatFigure(figure)} ms (${formatFigure(low)} - ${formatFigure(high)})`
  }
  return `Time on the JS thread after a pause of ${PAUSE} ms, in a process of its own, medians of ${CALLS} with quartiles: a patch of one of 1,000,000 records ${shown('patch')}, atomicWrite of a few bytes ${shown('write')}, fs.stat ${shown('stat')}. What a call is given is made before. The clock's own cost, ${formatFigure(median(costs.nothing))} ms, is not in them.`
}

function threadFact({ title }: PatchCase, costs: AfterPauses): Fact {
  const reached = costOf(costs, 'patch').figure
  return {
    row: `Patches, ${title}, time of a patch on the JS thread`,
    against: 'the clock',
    target: `≤ ${THREAD_TARGET} ms`,
    reached: `${formatFigure(reached)} ms`,
    possible: `fs.stat: ${formatFigure(costOf(costs, 'stat').figure)} ms`,
    share: THREAD_TARGET / reached,
    met: reached <= THREAD_TARGET,
  }
}

async function entrants(folder: string, what: PatchCase): Promise<Entrant[]> {
  const { records, patches: count } = what
  const path = join(folder, 'patched.json')
  await writeIndex(path, records)
  const all = [await entrant({ contender: patcher }, path, patches(path, records), count, what)]
  for (const [updater, updates] of what.others) {
    const path = join(folder, `${all.length}.json`)
    await writeIndex(path, records)
    const update = await updater.open(path)
    const note = updates === count ? {} : { note: `${updates} measured` }
    all.push(
      await entrant({ contender: updater, ...note }, path, (number) => update(change(number)), updates, what),
    )
  }
  return all
}

async function entrant(
  shown: Pick<Entrant, 'contender' | 'note'>,
  path: string,
  update: Update,
  updates: number,
  { atOnce, title }: PatchCase,
): Promise<Entrant> {
  let done = 0
  const run = async (count: number) => {
    const numbers = Array.from({ length: count }, (_, number) => (done + number) * 7)
    if (atOnce) await Promise.all(numbers.map(update))
    else for (const number of numbers) await update(number)
    done += count
  }
  await run(2)
  return {
    ...shown,
    async round() {
      const { wall, jsThread } = await clock(() => run(updates))
      const found = (await readIndexAt(path, '/updates')) as number
      if (found !== done) throw new Error(`${shown.contender.name} lost ${done - found} updates (${title})`)
      return { wall: wall / updates, jsThread: jsThread / updates }
    },
  }
}

/** A look into a text that this process keeps or into a file that it has not read, and parsing all of that. */
async function lookers(folder: string, isKept: boolean): Promise<Entrant[]> {
  const file = join(folder, 'looked-at.json')
  await writeIndex(file, LOOKS)
  if (isKept) await patches(file, LOOKS)(1)
  let next = 0
  const looker = (name: string, look: (record: number) => Promise<unknown>): Entrant => ({
    contender: guarantee(name),
    async round() {
      const record = (next++ * 7919) % LOOKS
      let topicKey: unknown
      const cost = await clock(async () => {
        topicKey = await look(record)
      })
      if (topicKey !== `blog::post-${String(record).padStart(7, '0')}`)
        throw new Error(`${name} found ${topicKey}`)
      return cost
    },
  })
  return [
    looker('readIndexAt', (record) => readIndexAt(file, `/records/${record}/topicKey`)),
    looker('JSON.parse(await readFile(path))', async (record) => {
      const index: Index = await readIndex(file)
      return index.records[record]?.topicKey
    }),
  ]
}
