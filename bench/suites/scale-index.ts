// What an update costs as the index grows: time, and memory beyond what JavaScript itself needs for it.

import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import type { Question, Reply } from '../children/memory'
import { writeIndex } from '../contenders/index-file'
import { median, ratioOf } from '../measure/ratio'
import { formatFigure, formatMs, formatRatio } from '../report/table'
import type { Context, Fact, Section, Table } from './suite'

const SIZES = [1000, 10_000, 100_000, 1_000_000]
/** Below this size of the text the memory of a process varies by more than the text. */
const COMPARABLE = 16 << 20
const MOST_MEMORY = 2

interface Way {
  name: string
  atOnce: boolean
  /** With `keep: 'value'`. */
  keeps?: boolean
  updates(records: number, quick: boolean): number
}

const many = (records: number, quick: boolean) => Math.min(quick ? 5 : 100, Math.max(5, 2_000_000 / records))

const ways: Way[] = [
  { name: 'one alone', atOnce: false, updates: () => 1 },
  { name: '100 one after the other', atOnce: false, updates: many },
  { name: "100 one after the other, keep: 'value'", atOnce: false, keeps: true, updates: many },
  { name: '1,000 at once', atOnce: true, updates: (_, quick) => (quick ? 10 : 1000) },
]

export async function scaleIndexSuite(context: Context): Promise<Section[]> {
  const title = 'Size of an index'
  const sizes = SIZES.filter((records) => context.wanted(`${title}, ${records} records`))
  if (sizes.length === 0) return []
  const table: Table = {
    title: 'An update, as the index grows',
    head: [
      'records',
      'text',
      'updates',
      'made',
      'ms an update',
      'times JavaScript’s own',
      'memory beyond JavaScript’s own',
    ],
    rows: [],
  }
  const facts: Fact[] = []
  const lines = ways.map(({ name }) => ({ name, values: [] as (number | null)[] }))
  for (const records of sizes) {
    for (const [index, way] of ways.entries()) {
      const { updates, bytes, ours, own } = await measureWay(way, records, context)
      const ratio = ratioOf(times(ours), times(own))
      const beyond = ours.map(({ peak }, round) => (peak - (own[round]?.peak ?? Number.NaN)) / bytes)
      const memory = `${formatFigure(median(beyond))} of the text (${beyond.map(formatFigure).join(', ')})`
      const comparable = bytes >= COMPARABLE
      table.rows.push([
        records.toLocaleString('en'),
        `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`,
        way.name,
        String(updates),
        formatMs(median(times(ours)) / updates),
        formatRatio(ratio),
        comparable ? memory : 'too small to tell',
      ])
      context.say(table.rows.at(-1)?.join('  ') ?? '')
      lines[index]?.values.push(Number(ratio.value.toFixed(2)))
      if (!comparable) continue
      facts.push({
        row: `Index of ${records.toLocaleString('en')} records, ${way.name}: memory`,
        against: 'beyond JavaScript’s own',
        target: `≤ ${MOST_MEMORY} × the text`,
        reached: memory,
        share: MOST_MEMORY / Math.max(0.01, median(beyond)),
        met: median(beyond) <= MOST_MEMORY,
      })
    }
  }
  table.chart = {
    title: table.title,
    x: { title: 'records', values: sizes },
    y: {
      title: 'time of all updates, as a multiple of what JavaScript needs to parse, change and print',
      log: true,
    },
    series: lines,
  }
  return [{ id: 'size', title, notes: [...notes], cases: [], tables: [table], facts }]
}

const notes = [
  'Each figure comes from new processes. JavaScript’s own: a process that parses the same text, changes it and prints it as often',
  'as needed (for updates at once: once), and neither reads nor writes. Memory: the peak of resident memory, minus that of the',
  'process with JavaScript alone. `made`: a hundred updates of a big index one after the other take long, so fewer are made, and',
  'the figure is that of one.',
]

async function measureWay({ atOnce, keeps = false, updates: count }: Way, records: number, context: Context) {
  const folder = join(context.folder, 'size')
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'index.json')
  await writeIndex(path, records)
  const updates = count(records, context.quick)
  const ours: Reply[] = []
  const own: Reply[] = []
  for (let round = 0; round < (context.quick ? 1 : 3); round++) {
    own.push(await once({ side: 'javascript', path, updates, atOnce, keeps: false }))
    ours.push(await once({ side: 'ours', path, updates, atOnce, keeps }))
  }
  const { size: bytes } = await stat(path)
  await rm(folder, { recursive: true })
  return { updates, bytes, ours, own }
}

async function once(question: Question): Promise<Reply> {
  const child = await Child.start('memory.ts', { node: ['--expose-gc'] })
  try {
    return await child.ask<Reply>(question)
  } finally {
    await child.stop()
  }
}

function times(replies: Reply[]): number[] {
  return replies.map(({ ms }) => ms)
}
