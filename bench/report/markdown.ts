// A suite's part of docs/benchmarks.md: tables in Markdown, each with its chart.

import { type Guarantees, guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import { median, ratioOf } from '../measure/ratio'
import type { Case, Figures } from '../measure/rounds'
import type { Fact, Section, Table } from '../suites/suite'
import { barChart, lineChart, reachChart } from './chart'
import { ratioChart } from './ratio-chart'
import { formatMs, formatRatio, reachTable } from './table'

/** Text, and the pictures that it shows by file name. */
export interface Report {
  markdown: string
  pictures: Map<string, string>
}

export function writeReport(machine: string[], sections: Section[], facts: Fact[], folder: string): Report {
  const pictures = new Map<string, string>()
  const picture = (name: string, alt: string, svg: string) => {
    pictures.set(`${name}.svg`, svg)
    return `![${alt}](${folder}/${name}.svg)`
  }
  const parts = [machine.map((line) => `- ${line}`).join('\n')]
  if (facts.length > 0) {
    const missed = facts.filter(({ met }) => !met).length
    parts.push(
      '### Reach',
      `${facts.length - missed} of ${facts.length} rows reached. Times as long as ours; in brackets the quartiles of the rounds.`,
      ...(facts.some(({ possible }) => possible)
        ? [
            'System calls alone: the same for the floor’s loop of bare system calls. Who does not share flushes reaches no more.',
          ]
        : []),
      picture('reach', 'Reached, of the target', reachChart('Reach', facts)),
      formatMarkdown(reachTable(facts)),
    )
  }
  for (const section of sections) {
    const { id, title, notes, cases } = section
    parts.push(`### ${title}`, notes.join('\n'))
    if (cases.length > 0) {
      parts.push(picture(id, `${title}: time`, ratioChart(title, cases, 'wall')), ratioTable(cases, 'wall'))
    }
    if (cases.length > 0 && section.threads) {
      const name = `${title}: time on the JS thread`
      parts.push(
        `#### ${name}`,
        picture(`${id}-thread`, name, ratioChart(name, cases, 'jsThread')),
        ratioTable(cases, 'jsThread'),
      )
    }
    for (const [index, table] of (section.tables ?? []).entries()) {
      parts.push(`#### ${table.title}`)
      const name = `${id}-${index + 1}`
      if (table.chart) {
        const { chart } = table
        parts.push(picture(name, table.title, 'x' in chart ? lineChart(chart) : barChart(chart)))
      }
      parts.push(formatMarkdown(table))
    }
  }
  return { markdown: parts.join('\n\n'), pictures }
}

/** A row a contender, a column a case: times as long as the subject, which shows its milliseconds. */
function ratioTable(cases: Case[], of: 'wall' | 'jsThread'): string {
  const contenders = new Map<string, Guarantees>()
  for (const { figures } of cases) {
    for (const { contender } of figures) contenders.set(contender.name, contender)
  }
  const cell = ({ figures }: Case, name: string): string => {
    const found = figures.find(({ contender }) => contender.name === name)
    if (!found) return ''
    const own = found.rounds.map((cost) => cost[of])
    const subject = figures[0].rounds.map((cost) => cost[of])
    const note = found.note ? `; ${found.note}` : ''
    return found === figures[0]
      ? `1 (${formatMs(median(own))} ms)`
      : formatRatio(ratioOf(own, subject)) + note
  }
  const rows = [...contenders.values()].map((contender) => [
    contender.name,
    ...guaranteeCells(contender),
    ...cases.map((measured) => cell(measured, contender.name)),
  ])
  const head = ['', ...guaranteeColumns, ...cases.map(({ title, figures }) => headOf(title, figures[0]))]
  return formatMarkdown({
    title: '',
    head,
    rows: rows.filter((row) => row.slice(5).some((one) => one !== '-')),
  })
}

function headOf(title: string, subject: Figures): string {
  return `${title} (${subject.rounds.length} rounds)`
}

export function formatMarkdown({ head, rows }: Table): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}
