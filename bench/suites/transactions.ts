// Four files that change together: with the flushes of this disk, and with slower ones, which are counted.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import { flushesOf, type Question } from '../children/marks'
import { DELAY_MS, startSlow, startTraced } from '../children/slow'
import { FOURS, type FourFiles, fourFiles, transaction } from '../contenders/four-files'
import { median } from '../measure/ratio'
import { type Case, measure } from '../measure/rounds'
import { formatMs } from '../report/table'
import type { Context, Fact, Section, Table } from './suite'

const SCRIPT = 'flushes.ts'

interface TransactionCase {
  title: string
  atOnce: boolean
  records?: number
}

const cases: TransactionCase[] = [
  { title: '4 files in 2 directories', atOnce: false },
  { title: `4 files in 2 directories, ${FOURS} times at once`, atOnce: true },
  // As much text as in the other files.
  { title: `a post and 3 indexes, ${FOURS} times at once`, atOnce: true, records: 4 },
]

export async function transactionsSuite(context: Context): Promise<Section[]> {
  const sections: Section[] = []
  const notes = [
    'Four files of 1 KB in two directories are replaced; better-sqlite3 (WAL, synchronous=FULL) replaces four rows of 1 KB.',
    'Cost of all four. At once: each four of files by a call of its own. A post and 3 indexes: the indexes are the same for all, and',
    'each call changes a record in them (4 × atomicWrite: with atomicIndexUpdate).',
    ...(fourFiles.some(({ name }) => name === 'better-sqlite3') ? [] : ['better-sqlite3 was not installed.']),
  ]
  const plain: Section = { id: 'transactions', title: 'Transactions', notes, cases: [] }
  const slow: Section = {
    id: 'transactions-slow',
    title: `Transactions, flushes of ${DELAY_MS} ms`,
    notes: [
      ...notes,
      `Every fsync and fdatasync starts ${DELAY_MS} ms late (bench/children/slow.c; without a C compiler by strace --inject), as on a slower disk.`,
    ],
    cases: [],
  }
  const trace = join(context.folder, 'transactions.trace')
  const startSlower = async () => (await startSlow(SCRIPT, context.folder)) ?? startTraced(SCRIPT, trace)
  for (const section of [plain, slow]) {
    const wanted = cases.filter(({ title }) => context.wanted(`${section.title}, ${title}`))
    if (wanted.length === 0) continue
    const child = section === plain ? await Child.start(SCRIPT) : await startSlower()
    if (!child) {
      context.say(`${section.title}: left out, because the system does not let a flush be slowed down.`)
      continue
    }
    try {
      for (const what of wanted) {
        const measured = await measureCase(child, what, context, wanted.length * 2)
        section.cases.push(measured)
        context.show({ ...measured, title: `${section.title}, ${measured.title}` })
      }
    } finally {
      await child.stop()
    }
    if (section === slow) Object.assign(slow, await traced(slow, wanted, trace, context))
    sections.push(section)
  }
  return sections
}

/** What strace(1) counts, and what it makes of the same cases. */
async function traced(
  { cases: measured }: Section,
  wanted: TransactionCase[],
  trace: string,
  context: Context,
): Promise<Pick<Section, 'facts' | 'tables'>> {
  const child = await startTraced(SCRIPT, trace)
  if (!child) return {}
  const again: Case[] = []
  try {
    const few = { ...context, effort: { ...context.effort, seconds: 0 } }
    for (const what of wanted) again.push(await measureCase(child, what, few, 1))
    await ask(child, transaction, counted, context)
  } finally {
    await child.stop()
  }
  return { facts: [await countFlushes(trace)], tables: [bothWays(measured, again)] }
}

/** A tracer is asked at the beginning and at the end of each flush and of each thread, so it adds to what is measured. */
function bothWays(measured: Case[], again: Case[]): Table {
  const ms = ({ figures }: Case, name: string) => {
    const found = figures.find(({ contender }) => contender.name === name)
    return formatMs(median(found?.rounds.map(({ wall }) => wall) ?? []))
  }
  return {
    title: 'Milliseconds by slow.c, and by strace --inject',
    head: ['', ...measured.map(({ title }) => title)],
    rows: fourFiles.map(({ name }) => [
      name,
      ...measured.map((one, at) => `${ms(one, name)}, ${ms(again[at] ?? one, name)}`),
    ]),
  }
}

type Batch = Pick<Question, 'operations' | 'atOnce' | 'records'>

async function measureCase(
  child: Child,
  { title, atOnce, records }: TransactionCase,
  context: Context,
  of: number,
) {
  const batch: Batch = {
    operations: atOnce ? FOURS : context.quick ? 10 : 50,
    atOnce,
    ...(records ? { records } : {}),
  }
  const entrants = fourFiles.map((contender) => ({
    contender,
    async round() {
      const wall = (await ask(child, contender, batch, context)) / batch.operations
      return { wall, jsThread: Number.NaN }
    },
  }))
  for (const entrant of entrants) await entrant.round()
  return measure(title, entrants, { ...context.effort, seconds: context.effort.seconds / of })
}

function ask(child: Child, { name }: FourFiles, batch: Batch, { folder }: Context): Promise<number> {
  return child.ask({ ...batch, contender: name, folder: join(folder, 'transactions') } satisfies Question)
}

const counted: Batch = { operations: 20, atOnce: false }
const MOST = { flushes: 7, rounds: 2 }

async function countFlushes(trace: string): Promise<Fact> {
  const lines = (await readFile(trace, 'utf8')).split('\n')
  const { issued, rounds } = flushesOf({ ...counted, contender: transaction.name, folder: '' }, lines)
  const each = { flushes: issued / counted.operations, rounds: rounds / counted.operations }
  return {
    row: `Transactions, ${cases[0]?.title}: flushes of one`,
    against: '-',
    target: `≤ ${MOST.flushes} in ${MOST.rounds} rounds`,
    reached: `${each.flushes} in ${each.rounds} rounds`,
    met: each.flushes <= MOST.flushes && each.rounds <= MOST.rounds,
  }
}
