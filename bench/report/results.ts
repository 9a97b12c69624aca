// What a run has found, as it is kept in docs/benchmarks/GROUP.json: pages and charts are drawn from it, also when
// nothing is measured. Rounds are kept as medians and quartiles.

import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import type { Guarantees } from '../contenders/guarantees'
import type { Cost } from '../measure/clock'
import { median, type Ratio, ratioOf } from '../measure/ratio'
import type { Case, Figures } from '../measure/rounds'
import type { Fact, Section } from '../suites/suite'

export type Measure = 'wall' | 'jsThread'

export interface FigureResults {
  contender: Guarantees
  note?: string
  /** Times as long as the subject. None for what was not measured, or is the subject. */
  ratio: Partial<Record<Measure, Ratio>>
  /** The median, in milliseconds an operation. */
  ms: Partial<Record<Measure, number>>
}

export interface CaseResults {
  title: string
  rounds: number
  /** The subject first. */
  figures: FigureResults[]
}

export interface SectionResults extends Omit<Section, 'cases' | 'facts'> {
  cases: CaseResults[]
}

export interface Results {
  machine: string[]
  sections: SectionResults[]
  facts: Fact[]
}

export function summarize(machine: string[], sections: Section[], facts: Fact[]): Results {
  return {
    machine,
    sections: sections.map(({ facts: _, ...section }) => ({
      ...section,
      cases: section.cases.map(summarizeCase),
    })),
    facts,
  }
}

export function summarizeCase({ title, figures }: Case): CaseResults {
  const [subject] = figures
  return {
    title,
    rounds: subject.rounds.length,
    figures: figures.map((one) => {
      const { contender, note } = one
      return { contender, ...(note ? { note } : {}), ...compare(one, subject) }
    }),
  }
}

function compare(one: Figures, subject: Figures): Pick<FigureResults, 'ratio' | 'ms'> {
  const found: Pick<FigureResults, 'ratio' | 'ms'> = { ratio: {}, ms: {} }
  for (const measure of ['wall', 'jsThread'] as const) {
    const figures = ({ rounds }: { rounds: Cost[] }) => rounds.map((cost) => cost[measure])
    const ms = median(figures(one))
    if (Number.isNaN(ms)) continue
    found.ms[measure] = round(ms)
    if (one === subject) continue
    const { value, low, high } = ratioOf(figures(one), figures(subject))
    found.ratio[measure] = { value: round(value), low: round(low), high: round(high) }
  }
  return found
}

/** Four digits are more than a measurement has. */
const round = (figure: number) => Number(figure.toPrecision(4))

export async function saveResults(path: string, results: Results): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await atomicWrite(path, `${JSON.stringify(results)}\n`)
}

/** Nothing, if the group was never measured. */
export async function loadResults(path: string): Promise<Results> {
  if (!existsSync(path)) return { machine: [], sections: [], facts: [] }
  return JSON.parse(await readFile(path, 'utf8'))
}
