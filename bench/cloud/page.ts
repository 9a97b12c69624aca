// The part of docs/cloud.md that comes from the simulation: a table, and a picture a question.

import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { lineChart } from '../report/chart'
import { formatMarkdown } from '../report/markdown'
import { replaceBetweenMarks } from '../report/marks'
import type { Lines, Table } from '../suites/suite'

/** As the simulation prints it: times in milliseconds, counts a second. */
export interface Row {
  kind: 'update' | 'patch'
  store: 's3' | 'express' | 'gcs'
  machines: number
  offered: number
  done: number
  accepted_p50: number | null
  accepted_p99: number | null
  p50: number | null
  p99: number | null
  commits: number
  tries: number
  gets: number
  puts: number
  lists: number
  deletes: number
  acknowledged: number
  unknown: number
  failed: number
  late: number
  kills: number
  lost: number
  doubled: number
}

const stores = { s3: 'S3', express: 'S3 Express', gcs: 'GCS' }

export const results = (docs: string) => join(docs, 'cloud', 'simulation.json')

export async function saveResults(docs: string, rows: Row[]): Promise<void> {
  await mkdir(join(docs, 'cloud'), { recursive: true })
  const text = JSON.stringify(rows, null, 2)
  await atomicWrite(results(docs), `${text}\n`)
}

/** Draws the page in `docs` again from the rows that are kept there. */
export async function drawPage(docs: string): Promise<void> {
  const rows: Row[] = JSON.parse(await readFile(results(docs), 'utf8'))
  const pictures = { breaks: whereOneObjectBreaks(rows), inbox: whatTheInboxGives(rows) }
  for (const [name, lines] of Object.entries(pictures)) {
    await atomicWrite(join(docs, 'cloud', `${name}.svg`), lineChart(lines))
  }
  const images = Object.entries(pictures).map(([name, { title }]) => `![${title}](cloud/${name}.svg)`)
  const page = join(docs, 'cloud.md')
  const content = [...images, formatMarkdown(tableOf(rows))].join('\n\n')
  await atomicWrite(page, replaceBetweenMarks(await readFile(page, 'utf8'), 'simulation', content))
}

function whereOneObjectBreaks(rows: Row[]): Lines {
  return linesOf('One object: from a call of atomicIndexUpdate to its result', rows, [
    { name: 'S3, half of the calls', of: ({ p50 }) => p50, kind: 'update', store: 's3' },
    { name: 'S3, 99 % of the calls', of: ({ p99 }) => p99, kind: 'update', store: 's3' },
    { name: 'S3 Express, half', of: ({ p50 }) => p50, kind: 'update', store: 'express' },
    { name: 'GCS, half', of: ({ p50 }) => p50, kind: 'update', store: 'gcs' },
  ])
}

function whatTheInboxGives(rows: Row[]): Lines {
  return linesOf('S3: from a call to its result, half of the calls', rows, [
    { name: 'one object (atomicIndexUpdate)', of: ({ p50 }) => p50, kind: 'update', store: 's3' },
    { name: 'inbox, in the index', of: ({ p50 }) => p50, kind: 'patch', store: 's3' },
    { name: 'inbox, accepted', of: ({ accepted_p50 }) => accepted_p50, kind: 'patch', store: 's3' },
  ])
}

interface Series extends Pick<Row, 'kind' | 'store'> {
  name: string
  of: (row: Row) => number | null
}

function linesOf(title: string, rows: Row[], series: Series[]): Lines {
  const alike = rows.filter(({ offered, machines }) => offered === 10 * machines)
  const values = [...new Set(alike.map(({ machines }) => machines))].sort((a, b) => a - b)
  const value = ({ kind, store, of }: Series, machines: number) => {
    const row = alike.find((row) => row.kind === kind && row.store === store && row.machines === machines)
    const ms = row ? of(row) : null
    return ms === null ? null : Number((ms / 1000).toPrecision(3))
  }
  return {
    title,
    connected: true,
    x: { title: 'machines, each with ten calls a second', values },
    y: { title: 'seconds; each line of the grid is ten times as long as the one below', log: true },
    series: series.map((one) => ({ name: one.name, values: values.map((machines) => value(one, machines)) })),
  }
}

export function tableOf(rows: Row[]): Table {
  return {
    title: '',
    head: [
      '',
      'machines',
      'done/s of offered',
      'accepted: p50 / p99',
      'in the index: p50 / p99',
      'not done, unknown, not in time',
      'commits/s',
      'writes per commit',
      'GET / PUT / LIST / DELETE per s',
      'lost, doubled',
    ],
    rows: rows.map((row) => [
      `${stores[row.store]}, ${row.kind === 'update' ? 'one object' : 'inbox'}`,
      row.machines.toLocaleString('en'),
      `${count(row.done)} of ${count(row.offered)}`,
      times(row.accepted_p50, row.accepted_p99),
      times(row.p50, row.p99),
      `${count(row.failed)}, ${count(row.unknown)}, ${count(row.late)}`,
      count(row.commits),
      row.kind === 'update' ? count(row.tries) : '',
      [row.gets, row.puts, row.lists, row.deletes].map(count).join(' / '),
      `${row.lost}, ${row.doubled}`,
    ]),
  }
}

const count = (value: number) =>
  (value < 10 ? Number(value.toPrecision(2)) : Math.round(value)).toLocaleString('en')

function times(half: number | null, most: number | null): string {
  if (half === null || most === null) return ''
  const time = (ms: number) =>
    ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toPrecision(2))} s`
  return `${time(half)} / ${time(most)}`
}
