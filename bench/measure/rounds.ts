// One case: every contender in every round, in random order, so that whatever else the machine does falls on
// all of them alike. Only figures of one round are compared.

import type { Guarantees } from '../contenders/guarantees'
import type { Cost } from './clock'

const MOST_ROUNDS = 200

/** How long to measure, and the fewest rounds, whatever they take. */
export interface Effort {
  seconds: number
  fewest: number
}

export interface Entrant {
  contender: Guarantees
  /** What the contender's part of this case is, where it is not the same as the subject's. */
  note?: string
  /** One batch; its cost per operation. */
  round(): Promise<Cost>
}

export interface Figures {
  contender: Guarantees
  note?: string
  /** A round each, per operation. */
  rounds: Cost[]
}

export interface Case {
  title: string
  /** The subject first. */
  figures: [Figures, ...Figures[]]
}

/** Runs the rounds. Every entrant must have warmed up. */
export async function measure(title: string, entrants: Entrant[], effort: Effort): Promise<Case> {
  const deadline = performance.now() + effort.seconds * 1000
  const figures = entrants.map(
    (entrant): Figures => ({
      contender: entrant.contender,
      ...(entrant.note ? { note: entrant.note } : {}),
      rounds: [],
    }),
  )
  for (let round = 0; round < MOST_ROUNDS; round++) {
    if (round >= effort.fewest && performance.now() > deadline) break
    for (const index of shuffled(entrants.keys())) {
      const cost = await entrants[index]?.round()
      if (cost) figures[index]?.rounds.push(cost)
    }
  }
  const [subject, ...rivals] = figures
  if (!subject) throw new Error(`${title}: nobody to measure`)
  return { title, figures: [subject, ...rivals] }
}

/** By chance: in a fixed cycle everyone would always follow the same one, and inherit what it left to do. */
function shuffled(indexes: Iterable<number>): number[] {
  return [...indexes]
    .map((index) => ({ index, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index)
}
