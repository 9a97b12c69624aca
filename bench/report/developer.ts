// A group's part of docs/benchmarks-developer.md: targets, all figures, and where the time goes.

import { type Guarantees, guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import type { Fact } from '../suites/suite'
import type { Page } from './answers'
import { barChart, lineChart, reachChart } from './chart'
import { formatMarkdown } from './markdown'
import type { CaseResults, Measure, Results } from './results'
import { formatMs, formatRatio, reachTable } from './table'

/** `folder`: of the pictures, as the page names it. */
export function writeGroup({ machine, sections, facts }: Results, folder: string): Page {
  const pictures = new Map<string, string>()
  const picture = (name: string, alt: string, svg: string) => {
    pictures.set(`${name}.svg`, svg)
    return `![${alt}](${folder}/${name}.svg)`
  }
  const parts = [machine.map((line) => `- ${line}`).join('\n')]
  if (facts.length > 0) {
    const missed = facts.filter(({ met }) => !met).length
    parts.push(
      '### Targets',
      `${facts.length - missed} of ${facts.length} reached. Times as long as ours; in brackets the quartiles of the rounds.`,
      ...(facts.some(({ possible }) => possible)
        ? [
            'System calls alone: the same for the floor’s loop of bare system calls. A writer that does not share flushes reaches no more.',
          ]
        : []),
      ...[...byQuestion(facts)].map(([question, some], index) =>
        picture(`targets-${index + 1}`, question, reachChart(question, some)),
      ),
      formatMarkdown(reachTable(facts)),
    )
  }
  for (const { title, notes, cases, threads, tables, id } of sections) {
    parts.push(`### ${title}`, notes.join('\n'))
    if (cases.length > 0) parts.push(ratioTable(cases, 'wall'))
    if (cases.length > 0 && threads) {
      parts.push(`#### ${title}: time on the JS thread`, ratioTable(cases, 'jsThread'))
    }
    for (const [index, table] of (tables ?? []).entries()) {
      parts.push(`#### ${table.title}`)
      if (table.chart) {
        const { chart } = table
        const svg = 'x' in chart ? lineChart(chart) : barChart(chart)
        parts.push(picture(`${id}-${index + 1}`, table.title, svg))
      }
      parts.push(formatMarkdown(table))
    }
  }
  return { markdown: parts.join('\n\n'), pictures }
}

function byQuestion(facts: Fact[]): Map<string, Fact[]> {
  const groups = new Map<string, Fact[]>()
  for (const fact of facts) {
    if (fact.chart) groups.set(fact.chart, [...(groups.get(fact.chart) ?? []), fact])
  }
  return groups
}

/** A row a contender, a column a case: times as long as the subject, which shows its milliseconds. */
function ratioTable(cases: CaseResults[], of: Measure): string {
  const contenders = new Map<string, Guarantees>()
  for (const { figures } of cases) {
    for (const { contender } of figures) contenders.set(contender.name, contender)
  }
  const cell = ({ figures }: CaseResults, name: string): string => {
    const found = figures.find(({ contender }) => contender.name === name)
    const ratio = found?.ratio[of]
    if (found === figures[0] && found?.ms[of] !== undefined) return `1 (${formatMs(found.ms[of])} ms)`
    return ratio ? formatRatio(ratio) + (found?.note ? `; ${found.note}` : '') : ''
  }
  const rows = [...contenders.values()].map((contender) => [
    contender.name,
    ...guaranteeCells(contender),
    ...cases.map((measured) => cell(measured, contender.name)),
  ])
  return formatMarkdown({
    title: '',
    head: ['', ...guaranteeColumns, ...cases.map(({ title, rounds }) => `${title} (${rounds} rounds)`)],
    rows: rows.filter((row) => row.slice(1 + guaranteeColumns.length).some((one) => one !== '')),
  })
}
