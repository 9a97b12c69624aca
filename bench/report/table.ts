// The tables of the terminal: a case each, as soon as it is measured.

import { describeGuarantees, guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import { median, type Ratio, ratioOf } from '../measure/ratio'
import type { Case } from '../measure/rounds'
import type { Fact, Table } from '../suites/suite'

/** A line a rival, times as much as the subject. */
export function formatCase({ title, figures }: Case): string {
  const [subject, ...rivals] = figures
  const walls = subject.rounds.map(({ wall }) => wall)
  const threads = subject.rounds.map(({ jsThread }) => jsThread)
  const rows = rivals.map(({ contender, note, rounds }) => [
    contender.name,
    ...guaranteeCells(contender),
    formatRatio(
      ratioOf(
        rounds.map(({ wall }) => wall),
        walls,
      ),
    ),
    formatRatio(
      ratioOf(
        rounds.map(({ jsThread }) => jsThread),
        threads,
      ),
    ),
    formatMs(median(rounds.map(({ wall }) => wall))),
    note ?? '',
  ])
  const self = [
    subject.contender.name,
    ...guaranteeCells(subject.contender),
    ...['1', '1', formatMs(median(walls)), subject.note ?? ''],
  ]
  const head = ['', ...guaranteeColumns, 'time', 'JS thread', 'ms each', '']
  return formatTable({ title: `${title} (${subject.rounds.length} rounds)`, head, rows: [self, ...rows] })
}

export function formatTable({ title, head, rows }: Table): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const lines = all.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  )
  return [title, ...lines].join('\n')
}

export function reachTable(facts: Fact[]): Table {
  return {
    title: 'Reach',
    head: ['row', 'against', 'which guarantees', 'target', 'reached', 'system calls alone', ''],
    rows: facts.map(({ row, against, guarantees, target, reached, possible, met }) => [
      row,
      against,
      guarantees ? describeGuarantees(guarantees) : '',
      target,
      reached,
      possible ?? '',
      met ? 'yes' : 'NOT REACHED',
    ]),
  }
}

export function formatRatio({ value, low, high }: Ratio): string {
  return Number.isNaN(value) ? '-' : `${formatFigure(value)} (${formatFigure(low)} - ${formatFigure(high)})`
}

export function formatFigure(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : figure < 100 ? 1 : 0)
}

export function formatMs(ms: number): string {
  return ms.toFixed(ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0)
}
