// A thousand pages in one go.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BatchWriter, batchWriters, type Entry } from '../contenders/batches'
import { clock, threadClock } from '../measure/clock'
import { type Entrant, measure } from '../measure/rounds'
import { settle } from '../measure/settle'
import type { Context, Section } from './suite'

const PAGE = 8 * 1024

interface Pages {
  title: string
  /** In folders of so many pages. */
  perFolder: number
  replaced: boolean
}

const cases: Pages[] = [
  { title: 'new, one folder', perFolder: 1000, replaced: false },
  { title: 'new, a folder each', perFolder: 1, replaced: false },
  { title: 'replaced, one folder', perFolder: 1000, replaced: true },
]

export async function pagesSuite(context: Context): Promise<Section[]> {
  const count = context.quick ? 200 : 1000
  const section: Section = {
    id: 'pages',
    title: 'Pages',
    notes: [
      `${count} pages of 8 KB in one go; the folders are there before. Cost of one page.`,
      'All at once: one call a page, all in one Promise.all; one after the other: each call is awaited before the next.',
      `JS thread: ${threadClock.description}.`,
    ],
    cases: [],
    threads: true,
  }
  const wanted = cases.filter(({ title }) => context.wanted(`${section.title}, ${title}`))
  for (const what of wanted) {
    const place = join(context.folder, what.title)
    const entrants = batchWriters.map((writer, index) =>
      entrantOf(writer, what, count, join(place, String(index))),
    )
    for (const entrant of entrants) await entrant.round()
    const seconds = context.effort.seconds / wanted.length
    const measured = await measure(what.title, entrants, { ...context.effort, seconds })
    section.cases.push(measured)
    context.show({ ...measured, title: `${section.title}, ${what.title}` })
  }
  return section.cases.length > 0 ? [section] : []
}

function entrantOf(writer: BatchWriter, what: Pages, count: number, folder: string): Entrant {
  let round = 0
  return {
    contender: writer,
    async round() {
      const place = join(folder, what.replaced ? 'pages' : String(round++))
      const entries = pagesIn(place, count, what.perFolder)
      for (const { path } of entries) mkdirSync(join(path, '..'), { recursive: true })
      settle(folder)
      const cost = await clock(() => writer.writeAll(entries))
      settle(folder)
      return { wall: cost.wall / count, jsThread: cost.jsThread / count }
    },
  }
}

function pagesIn(place: string, count: number, perFolder: number): Entry[] {
  return Array.from({ length: count }, (_, number) => ({
    path: join(place, String(Math.floor(number / perFolder)), `${number}.html`),
    data: Buffer.alloc(PAGE, `<p>page ${number} of a site like any other</p>\n`),
  }))
}
