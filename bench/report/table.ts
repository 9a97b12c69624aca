// Tables for the terminal.

import { describeGuarantees, guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import type { Ratio } from '../measure/ratio'
import type { Fact, Table } from '../suites/suite'
import type { CaseResults, FigureResults, Measure } from './results'

/** A line a contender: times as much as the first. */
export function formatCase({ title, rounds, figures }: CaseResults): string {
  const [subject] = figures
  const cell = (figure: FigureResults, of: Measure) => {
    const ratio = figure.ratio[of]
    if (ratio) return formatRatio(ratio)
    return figure === subject && figure.ms[of] !== undefined ? '1' : '-'
  }
  const rows = figures.map((figure) => [
    figure.contender.name,
    ...guaranteeCells(figure.contender),
    cell(figure, 'wall'),
    cell(figure, 'jsThread'),
    figure.ms.wall === undefined ? '' : formatMs(figure.ms.wall),
    figure.note ?? '',
  ])
  const head = ['', ...guaranteeColumns, 'time', 'JS thread', 'ms each', '']
  return formatTable({ title: `${title} (${rounds} rounds)`, head, rows })
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
    title: 'Targets',
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
  return `${formatFigure(value)} (${formatFigure(low)} - ${formatFigure(high)})`
}

export function formatFigure(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : figure < 100 ? 1 : 0)
}

export function formatMs(ms: number): string {
  return ms.toFixed(ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0)
}
