// Whether anything besides V8 blocks the event loop while a big index commits.

import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import type { Question, Reply } from '../children/stall'
import { writeIndex } from '../contenders/index-file'
import { median, ratioOf } from '../measure/ratio'
import { formatFigure, formatMs, formatRatio } from '../report/table'
import type { Context, Section, Table } from './suite'

/** About 100 MB of text. */
const RECORDS = 450_000
/** Two measurements of V8 itself differ by as much. */
const TOLERANCE = 1.1

export async function stallSuite(context: Context): Promise<Section[]> {
  const title = 'Stall of the event loop'
  if (!context.wanted(title)) return []
  const folder = join(context.folder, 'stall')
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'index.json')
  await writeIndex(path, context.quick ? RECORDS / 10 : RECORDS)
  const replies: Reply[] = []
  const child = await Child.start('stall.ts', { node: ['--expose-gc'] })
  try {
    await child.ask<Reply>({ path } satisfies Question)
    for (let round = 0; round < context.effort.fewest; round++) {
      replies.push(await child.ask<Reply>({ path } satisfies Question))
    }
  } finally {
    await child.stop()
  }
  const bytes = (await stat(path)).size
  await rm(folder, { recursive: true })

  const v8 = replies.map(({ parse, stringify }) => parse + stringify)
  const ratio = ratioOf(
    replies.map(({ stall }) => stall),
    v8,
  )
  const figures: [string, (reply: Reply) => number][] = [
    ['V8: JSON.parse', ({ parse }) => parse],
    ['V8: JSON.stringify', ({ stringify }) => stringify],
    ['longest stall', ({ stall }) => stall],
    ['whole update', ({ update }) => update],
  ]
  const table: Table = {
    title: `One update of an index of ${Math.round(bytes / 1e6)} MB (${replies.length} rounds)`,
    head: ['', 'times V8’s parse and stringify', 'ms'],
    rows: figures.map(([name, figure]) => [
      name,
      formatRatio(ratioOf(replies.map(figure), v8)),
      formatMs(median(replies.map(figure))),
    ]),
    chart: {
      title: 'One update, as a multiple of the time that V8 needs to parse and to print',
      groups: figures.map(([name]) => name),
      series: [
        {
          name: 'share',
          values: figures.map(([, figure]) => Number(ratioOf(replies.map(figure), v8).value.toFixed(2))),
        },
      ],
    },
  }
  const notes = [
    'The longest delay that perf_hooks.monitorEventLoopDelay saw (resolution 1 ms) from the call until after the promise had',
    'resolved, against JSON.parse and JSON.stringify of the same text, measured in the same process in turn with it.',
  ]
  const fact = {
    row: `Index of ${Math.round(bytes / 1e6)} MB: longest stall`,
    against: 'V8’s parse and stringify',
    target: `≤ ${TOLERANCE}`,
    reached: formatRatio(ratio),
    share: TOLERANCE / ratio.value,
    met: Number(formatFigure(ratio.value)) <= TOLERANCE,
  }
  return [{ id: 'stall', title, notes, cases: [], tables: [table], facts: [fact] }]
}
