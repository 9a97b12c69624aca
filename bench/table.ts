// The printed tables.

import type { Case } from './cases'
import type { Contender } from './contenders'
import type { Measured } from './measure'
import { type Ratio, ratioOf } from './ratio'

const columns: [title: string, width: number][] = [
  ['compared with', 20],
  ['fsync file', 12],
  ['fsync dir', 11],
  ['read back', 11],
  ['time', 24],
  ['JS thread', 24],
]

/** One case: a line a rival, times as much as the subject. */
export function formatCase({ title }: Case, [subject, ...rivals]: Measured[]): string {
  if (!subject) return ''
  const walls = (measured: Measured) => measured.rounds.map((cost) => cost.wall)
  const threads = (measured: Measured) => measured.rounds.map((cost) => cost.jsThread)
  const rows = rivals.map((rival) => [
    rival.contender.name,
    ...guarantees(rival.contender),
    formatRatio(ratioOf(walls(rival), walls(subject))),
    formatRatio(ratioOf(threads(rival), threads(subject))),
  ])
  return [
    `${title} (${subject.rounds.length} rounds)`,
    formatRow(columns.map(([name]) => name)),
    ...rows.map(formatRow),
  ].join('\n')
}

/** How to read them. */
export function formatLegend(subject: Contender, threadTime: string): string {
  const [file, directory, readBack] = guarantees(subject)
  return [
    `Times as much as ${subject.name} (fsync file: ${file}, fsync dir: ${directory}, read back: ${readBack}): more than 1 is slower`,
    'than it. Ratio of the medians, and in brackets the quartiles of the ratios of single rounds.',
    'time: until all writes of a batch are done.',
    `JS thread: ${threadTime}.`,
    'fs/promises: handle.writeFile and readFile; tuned: one handle.write and one handle.read for all bytes.',
  ].join('\n')
}

function guarantees({ fsyncFile, fsyncDirectory, readBack }: Contender): string[] {
  return [fsyncFile, fsyncDirectory, readBack].map((kept) => (kept ? 'yes' : '-'))
}

function formatRatio({ value, low, high }: Ratio): string {
  return `${formatFigure(value)} (${formatFigure(low)} - ${formatFigure(high)})`
}

function formatFigure(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : 1)
}

function formatRow(cells: string[]): string {
  return `  ${cells.map((cell, index) => cell.padEnd(columns[index]?.[1] ?? 0)).join('')}`.trimEnd()
}
