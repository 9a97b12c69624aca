// docs/benchmarks.md: what a user asks, each with a chart and a table.

import { guaranteeCells, guaranteeColumns } from '../contenders/guarantees'
import { barPanels, formatTimes } from './bar-panels'
import { formatMarkdown } from './markdown'
import { type Group, growth, type Question, questions } from './questions'
import type { CaseResults, FigureResults, Results } from './results'
import { formatMs, formatRatio } from './table'

export interface Page {
  markdown: string
  /** By file name. */
  pictures: Map<string, string>
}

/** `folder`: of all pictures, as the page names it. */
export function writeAnswers(results: Record<Group, Results>, folder: string): Page {
  const pictures = new Map<string, string>()
  const parts = [summary(results), results.reach.machine.map((line) => `- ${line}`).join('\n')]
  for (const question of questions) {
    const cases = casesOf(question, results)
    if (cases.length === 0) continue
    pictures.set(`${question.id}.svg`, chart(question, cases))
    parts.push(
      `## ${question.title}`,
      question.text,
      `![${question.title}](${folder}/answers/${question.id}.svg)`,
      details(question, cases),
    )
  }
  for (const { title, text, from } of growth) {
    const table = results[from.group].sections.find(({ id }) => id === from.section)?.tables?.[0]
    // The chart is one of the developers' page.
    const image = `![${title}](${folder}/${from.group}/${from.section}-1.svg)`
    if (table) parts.push(`## ${title}`, text, image, formatMarkdown(table))
  }
  return { markdown: parts.join('\n\n'), pictures }
}

/** The cases of a question, each with the contenders that are shown, under the names that are shown. */
export function casesOf({ from, contenders }: Question, results: Record<Group, Results>): CaseResults[] {
  const section = results[from.group].sections.find(({ id }) => id === from.section)
  return (section?.cases ?? [])
    .filter(({ title }) => from.cases.test(title))
    .map(({ title, rounds, figures: [ours, ...others] }) => ({
      title: title.replace(/ × \d+$/, ''),
      rounds,
      figures: [
        ...(ours ? [ours] : []),
        ...others.flatMap((figure) => {
          const name = contenders[figure.contender.name]
          return name ? [{ ...figure, contender: { ...figure.contender, name } }] : []
        }),
      ],
    }))
}

/** At a glance: a row a case, a column for each package that many people know. */
function summary(results: Record<Group, Results>): string {
  const columns = [
    'write-file-atomic',
    'atomically',
    'lowdb',
    'proper-lockfile + write-file-atomic',
    'fs/promises, same guarantees',
  ]
  const rows = questions
    .filter(({ of }) => of === 'wall')
    .flatMap((question) =>
      casesOf(question, results).map(({ title, figures }, _, { length }) => [
        length > 1 ? `${question.title}: ${title}` : question.title,
        ...columns.map((column) => {
          const found = figures.find(
            ({ contender }) => contender.name.replace(/, all at once$/, '') === column,
          )
          return found?.ratio.wall ? formatTimes(found.ratio.wall.value) : ''
        }),
      ]),
    )
    .filter(([, ...cells]) => cells.some((cell) => cell !== ''))
  return formatMarkdown({ title: '', head: ['Times as fast as', ...columns], rows })
}

function chart({ title, of, ownScales }: Question, cases: CaseResults[]): string {
  const what = of === 'wall' ? 'time' : 'time on the JavaScript thread'
  return barPanels({
    title,
    subtext: `${what}, as a multiple of ours: shorter is faster${ownScales ? '; each part has its own scale' : ''}`,
    ownScales,
    panels: cases.map(({ title, figures }) => ({
      title,
      bars: figures.map((figure) => ({ name: figure.contender.name, value: figure.ratio[of]?.value ?? 1 })),
    })),
  })
}

function details({ of }: Question, cases: CaseResults[]): string {
  const names = [...new Set(cases.flatMap(({ figures }) => figures.map(({ contender }) => contender.name)))]
  const find = ({ figures }: CaseResults, name: string) =>
    figures.find(({ contender }) => contender.name === name)
  const cell = (figure: FigureResults | undefined) => {
    const ratio = figure?.ratio[of]
    if (ratio) return formatRatio(ratio) + (figure?.note ? `; ${figure.note}` : '')
    const ms = figure?.ms[of]
    return ms === undefined ? '' : `1 (${formatMs(ms)} ms)`
  }
  return formatMarkdown({
    title: '',
    head: ['', ...guaranteeColumns, ...cases.map(({ title, rounds }) => `${title} (${rounds} rounds)`)],
    rows: names.map((name) => {
      const found = cases.map((one) => find(one, name))
      const contender = found.find((one) => one !== undefined)?.contender
      return [name, ...(contender ? guaranteeCells(contender) : []), ...found.map(cell)]
    }),
  })
}
