// One case: every contender in every round, in random order, so that other work of the machine affects all of them
// alike. Only figures of one round are compared.

import type { Guarantees } from '../contenders/guarantees'
import type { Cost } from './clock'

const MOST_ROUNDS = 200

/** How long to measure, and the minimum of rounds, however long they take. */
export interface Effort {
  seconds: number
  fewest: number
}

export interface Entrant {
  contender: Guarantees
  /** How the contender's work in this case differs from that of the subject. */
  note?: string
  /** Runs one batch; resolves with its cost per operation. */
  round(): Promise<Cost>
}

export interface Figures {
  contender: Guarantees
  note?: string
  /** One a round, per operation. */
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
  if (!subject) throw new Error(`${title}: there is no contender`)
  return { title, figures: [subject, ...rivals] }
}

/** In random order: in a fixed one each contender would always follow the same other, and pay for what that left to do. */
function shuffled(indexes: Iterable<number>): number[] {
  return [...indexes]
    .map((index) => ({ index, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index)
}
