// A slower disk: every flush takes 2 ms longer, by strace(1), which also lists them.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Child } from '../children/child'
import { flushesOf, type Question } from '../children/marks'
import { DELAY_MS, startTraced } from '../children/slow'
import { allWriter, batchWriters, singlyWriter } from '../contenders/batches'
import { type Guarantees, guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import { fileAppender, lineAppender } from '../contenders/lines'
import {
  indexUpdater,
  lockedFormerUpdater,
  lowdbUpdater,
  properLockfileUpdater,
} from '../contenders/updaters'
import { atomicWriter, writeFileAtomicWriter, writers } from '../contenders/writers'
import { type Entrant, measure } from '../measure/rounds'
import type { Context, Section, Table } from './suite'

/** A round takes many seconds, most of which are the same delays: rounds hardly differ. */
const FEWEST_ROUNDS = 3

type Batch = Omit<Question, 'folder' | 'contender'>
type Part = [contender: Guarantees, batch: Batch]

const section: Omit<Section, 'cases'> = {
  id: 'flushes',
  title: `Flushes of ${DELAY_MS} ms`,
  notes: [
    `Every fsync and fdatasync of every contender starts ${DELAY_MS} ms late (strace --inject), as on a slower disk;`,
    'files of 1 KB, all in one directory, with the default thread pool of libuv. Cost of one write or update.',
  ],
}

export async function flushesSuite(context: Context): Promise<Section[]> {
  const wanted = cases(context.quick).filter(({ title }) => context.wanted(`${section.title}, ${title}`))
  if (wanted.length === 0) return []
  const trace = join(context.folder, 'flushes.trace')
  const child = await startTraced('flushes.ts', trace)
  if (!child) {
    context.say(`${section.title}: left out, because strace(1) is missing or may not slow down a flush.`)
    return [
      {
        ...section,
        notes: ['Left out: strace(1) was missing or was not allowed to slow down a flush.'],
        cases: [],
      },
    ]
  }
  const measured = []
  try {
    for (const { title, parts } of wanted) {
      const seconds = context.effort.seconds / wanted.length
      const entrants = parts.map(([contender, batch]) => entrantOf(child, contender, batch, parts, context))
      // A round with few writes loads the code.
      for (const [contender, batch] of parts)
        await run(child, contender, { ...batch, operations: 10 }, context)
      const result = await measure(title, entrants, {
        fewest: Math.min(FEWEST_ROUNDS, context.effort.fewest),
        seconds,
      })
      measured.push(result)
      context.show({ ...result, title: `${section.title}, ${title}` })
    }
    for (const [contender, batch] of counted) await run(child, contender, batch, context)
  } finally {
    await child.stop()
  }
  return [{ ...section, cases: measured, tables: [await countFlushes(trace)] }]
}

function cases(quick: boolean): { title: string; parts: Part[] }[] {
  const files = quick ? 200 : 1000
  const updates = quick ? 200 : 1000
  return [
    {
      title: '1,000 files at once',
      parts: [
        [atomicWriter, { operations: files, atOnce: true }],
        [atomicWriter, { operations: files, atOnce: false }],
        [writeFileAtomicWriter, { operations: files, atOnce: true }],
        [writeFileAtomicWriter, { operations: files, atOnce: false }],
      ],
    },
    {
      title: '1,000 files in one go',
      parts: [
        allWriter,
        singlyWriter,
        ...batchWriters.filter(({ fsyncFile, name }) => fsyncFile && /all at once/.test(name)),
      ].map((writer): Part => [writer, { operations: files, atOnce: true }]),
    },
    {
      title: '1,000 lines at once',
      parts: [
        [lineAppender, { operations: files, atOnce: true }],
        [lineAppender, { operations: 50, atOnce: false }],
        [fileAppender, { operations: files, atOnce: true }],
        [fileAppender, { operations: 50, atOnce: false }],
      ],
    },
    {
      title: '1,000 updates at once, 1,000 records',
      parts: [
        [indexUpdater, { operations: updates, atOnce: true, records: 1000 }],
        [indexUpdater, { operations: 50, atOnce: false, records: 1000 }],
        [lockedFormerUpdater, { operations: 50, atOnce: true, records: 1000 }],
        [lowdbUpdater, { operations: updates, atOnce: true, records: 1000 }],
        [properLockfileUpdater, { operations: 50, atOnce: true, records: 1000 }],
      ],
    },
  ]
}

/** The flushes of every contender are counted: on files one after the other and at once, and on an index. */
const counted: Part[] = [
  [allWriter, { operations: 50, atOnce: false }],
  [allWriter, { operations: 200, atOnce: true }],
  ...writers.flatMap((writer): Part[] => [
    [writer, { operations: 50, atOnce: false }],
    [writer, { operations: 200, atOnce: true }],
  ]),
  ...[indexUpdater, lockedFormerUpdater, lowdbUpdater, properLockfileUpdater].flatMap((updater): Part[] => [
    [updater, { operations: 20, atOnce: false, records: 100 }],
    [updater, { operations: 100, atOnce: true, records: 100 }],
  ]),
]

function entrantOf(
  child: Child,
  contender: Guarantees,
  batch: Batch,
  parts: Part[],
  context: Context,
): Entrant {
  const first = parts[0]?.[1] ?? batch
  const scaled = batch.operations !== first.operations
  const how = batch.atOnce ? 'at once' : 'one after the other'
  return {
    contender:
      batch.atOnce === first.atOnce ? contender : { ...contender, name: `${contender.name}, ${how}` },
    ...(scaled ? { note: `${batch.operations} measured` } : {}),
    async round() {
      const wall = (await run(child, contender, batch, context)) / batch.operations
      return { wall, jsThread: Number.NaN }
    },
  }
}

function run(child: Child, { name }: Guarantees, batch: Batch, { folder }: Context): Promise<number> {
  return child.ask<number>({ ...batch, contender: name, folder: join(folder, 'flushes') } satisfies Question)
}

/** How many flushes the last batch of each kind issued, per write or update. */
async function countFlushes(trace: string): Promise<Table> {
  const lines = (await readFile(trace, 'utf8')).split('\n')
  const flushes = ([contender, batch]: Part): number => {
    const question = { ...batch, contender: contender.name, folder: '' }
    return flushesOf(question, lines).issued / batch.operations
  }
  const pairs = Array.from({ length: counted.length / 2 }, (_, index) =>
    counted.slice(2 * index, 2 * index + 2),
  )
  const title = 'Flushes issued for a write or an update of an index'
  const how = ['one after the other', '200 files or 100 updates at once']
  const names = pairs.map(([part]) => part?.[0].name ?? '')
  return {
    title,
    head: ['', ...guaranteeColumns, ...how],
    rows: pairs.map((pair, index) => [
      names[index] ?? '',
      ...(pair[0] ? guaranteeCells(pair[0][0]) : []),
      ...pair.map((part) => flushes(part).toFixed(2)),
    ]),
    chart: {
      title,
      groups: names,
      series: how.map((name, which) => ({
        name,
        values: pairs.map((pair) => (pair[which] ? flushes(pair[which]) : 0)),
      })),
    },
  }
}
