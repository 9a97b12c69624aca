// docs/compare.md and the table of README.md, from the results that are kept.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { formatMarkdown } from '../report/markdown'
import { replaceBetweenMarks } from '../report/marks'
import { contenders } from './contenders.mjs'
import { loadResults, names, type Results, type RowResults } from './results'
import { type Cell, type Counts, label } from './row'

/** What README.md has room for. */
const shown = ['fs.writeFile', 'write-file-atomic', 'atomically', 'lowdb', '@pipeline/atomic']

const kinds: Exclude<keyof Counts, 'of'>[] = ['torn', 'lost', 'falseSuccess', 'stuck', 'failed', 'left']

/** Draws the page in `docs` and the table in the file `readme`. */
export async function drawPages(docs: string, readme: string): Promise<void> {
  const results = loadResults(docs)
  await place(join(docs, 'compare.md'), drawPage(results))
  await place(readme, drawReadme(results))
}

async function place(path: string, content: string): Promise<void> {
  await atomicWrite(path, replaceBetweenMarks(await readFile(path, 'utf8'), 'compare', content))
}

function drawReadme({ rows }: Results): string {
  return formatMarkdown({
    title: '',
    head: ['when', ...shown],
    rows: rows.map(({ when, cells }) => [when, ...shown.map((name) => cells[name]?.seen ?? '')]),
  })
}

function drawPage({ command, machine, rows }: Results): string {
  return [
    'Seen by',
    '',
    '```sh',
    command,
    '```',
    '',
    ...machine.map((line) => `- ${line}`),
    '',
    '## At a glance',
    '',
    formatMarkdown({
      title: '',
      head: ['', ...rows.map(({ when }) => when)],
      rows: names.map((name) => [name, ...rows.map(({ cells }) => glance(cells[name]))]),
    }),
    '',
    '## How each is used',
    '',
    formatMarkdown({
      title: '',
      head: ['', 'configuration'],
      rows: Object.entries(contenders).map(([name, { configuration }]) => [name, configuration]),
    }),
    ...rows.flatMap(drawRow),
  ].join('\n')
}

/** The kinds of damage, without their numbers. */
function glance(cell: Cell | undefined): string {
  if (!cell) return ''
  if (cell.good) return '✓'
  const { counts } = cell
  if (!counts) return cell.seen
  return kinds
    .filter((kind) => counts[kind] > 0)
    .map(label)
    .join(', ')
}

function drawRow({ when, method, cells }: RowResults): string[] {
  const counted = Object.values(cells).flatMap(({ counts }) => counts ?? [])
  // A row does not look for everything; what it looks for and does not find is 0 for some.
  const found = kinds.filter((kind) => counted.some((counts) => counts[kind] > 0))
  const head = counted.length > 0 ? ['', 'tries', ...found.map(label)] : ['', 'seen']
  const table = Object.entries(cells).map(([name, { seen, counts }]) =>
    counts
      ? [name, `${counts.of}`, ...found.map((kind) => (counts[kind] === 0 ? '0' : `**${counts[kind]}**`))]
      : [name, seen],
  )
  const title = when[0]?.toUpperCase() + when.slice(1)
  return ['', `## ${title}`, '', method, '', formatMarkdown({ title: '', head, rows: table })]
}
