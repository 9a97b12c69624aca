// Changes that say what they are: patches of an index, against functions of it; and looks into an index, against parsing it.

import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { atomicIndexPatch, atomicWrite, readIndexAt } from '@pipeline/atomic'
import { guarantee } from '../contenders/guarantees'
import { change, type Index, readIndex, writeIndex } from '../contenders/index-file'
import { formerUpdater, indexUpdater, lowdbUpdater, type Updater } from '../contenders/updaters'
import { clock } from '../measure/clock'
import { median } from '../measure/ratio'
import { type Case, type Entrant, type Figures, measure } from '../measure/rounds'
import { formatFigure } from '../report/table'
import type { Context, Fact, Section } from './suite'

const patcher = guarantee('atomicIndexPatch', 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion')

/** Changes the record of a number, and counts itself, as `change` does. */
type Update = (number: number) => Promise<unknown>

const patches = (path: string, records: number): Update => {
  return (number) => {
    const attempts = `/records/${number % records}/attempts`
    return atomicIndexPatch(
      path,
      { increment: { '/updates': 1 }, set: { [attempts]: number } },
      { timeout: 600_000 },
    )
  }
}

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
    const [ours] = section.cases.at(-1)?.figures ?? []
    if (what.records === LOOKS && ours) {
      const floor = await afterPauses(folder)
      section.facts?.push(threadFact(what, ours, floor))
      section.notes.push(floorNote(floor))
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

/** For so long the program does nothing ahead of each call, in milliseconds: as one that makes a patch now and then. */
const PAUSE = 50
const CALLS = 15

/** What one call costs the JS thread after a pause, in milliseconds: medians. */
interface AfterPauses {
  stat: number
  write: number
  patch: number
}

/** A thread that has paused runs more slowly at first, whatever it does: `fs.stat` tells how much of the time that is. */
async function afterPauses(folder: string): Promise<AfterPauses> {
  const [path, small] = [join(folder, 'patched.json'), join(folder, 'small')]
  const patch = patches(path, LOOKS)
  const costOf = async (call: () => Promise<unknown>) => {
    await setTimeout(PAUSE)
    return (await clock(call)).jsThread
  }
  const costs: AfterPauses[] = []
  for (let number = 0; number < CALLS; number++) {
    costs.push({
      stat: await costOf(() => stat(path)),
      write: await costOf(() => atomicWrite(small, String(number))),
      patch: await costOf(() => patch(number)),
    })
  }
  const of = (name: keyof AfterPauses) => median(costs.map((cost) => cost[name]))
  return { stat: of('stat'), write: of('write'), patch: of('patch') }
}

function floorNote({ stat, write, patch }: AfterPauses): string {
  const [first, second, third] = [patch, write, stat].map((cost) => `${formatFigure(cost)} ms`)
  return `Time on the JS thread after a pause of ${PAUSE} ms, medians of ${CALLS}: a patch of that index ${first}, atomicWrite of a few bytes ${second}, fs.stat ${third}.`
}

function threadFact({ title }: PatchCase, { rounds }: Figures, { stat }: AfterPauses): Fact {
  const reached = median(rounds.map(({ jsThread }) => jsThread))
  return {
    row: `Patches, ${title}, time of a patch on the JS thread`,
    against: 'the clock',
    target: `≤ ${THREAD_TARGET} ms`,
    reached: `${formatFigure(reached)} ms`,
    possible: `fs.stat: ${formatFigure(stat)} ms`,
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
