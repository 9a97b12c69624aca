// What a suite is given, and what it hands back: a section of the report.

import type { Guarantees } from '../contenders/guarantees'
import type { Case, Effort } from '../measure/rounds'

export interface Context {
  /** Empty, on the disk that is measured; removed after the run. */
  folder: string
  effort: Effort
  /** `--quick`: smaller counts, where the count does not matter. */
  quick: boolean
  /** Whether the case with this title is wanted. */
  wanted(title: string): boolean
  /** Shows a case as soon as it is measured. */
  show(measured: Case): void
  /** A line for the terminal. */
  say(line: string): void
}

export interface Section {
  id: string
  title: string
  /** Sentences for the reader. */
  notes: string[]
  cases: Case[]
  /** Also compare the time on the JS thread. */
  threads?: boolean
  /** Figures that are not ratios to the subject. */
  tables?: Table[]
  /** What was reached of targets that the suite knows itself. */
  facts?: Fact[]
}

export interface Table {
  title: string
  head: string[]
  rows: string[][]
  chart?: Lines | Bars
}

/** A line chart: a series a line, x in common. */
export interface Lines {
  title: string
  x: { title: string; values: number[] }
  y: { title: string; log?: boolean }
  series: { name: string; values: (number | null)[] }[]
  /** Lines go over values that are missing. */
  connected?: boolean
}

/** Bars: a group a row, a colour a series; those of one group beside each other or, as percent, in one. */
export interface Bars {
  title: string
  percent?: boolean
  groups: string[]
  series: { name: string; values: number[] }[]
}

export interface Fact {
  row: string
  against: string
  /** Its guarantees, if it is a contender. */
  guarantees?: Guarantees
  /** With its unit or sign, as it is shown: `≥ 0.5`. */
  target: string
  reached: string
  /** What system calls alone would reach, if that is known. */
  possible?: string
  /** What was reached, as a multiple of the target. */
  share?: number
  met: boolean
  /** The title of the chart that shows it with others of its kind. */
  chart?: string
}

export type Suite = (context: Context) => Promise<Section[]>
