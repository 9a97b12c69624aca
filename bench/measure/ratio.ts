// Figures that are comparable between machines: how many times as much as the subject, and how far rounds differ.

export interface Ratio {
  /** Of the medians, unless another is asked for. */
  value: number
  /** Quartiles of the ratios of single rounds. */
  low: number
  high: number
}

/** As `ratioOf`, but with the median of the ratios of single rounds, for machines whose load changes between rounds. */
export function ratioOfRounds(rival: number[], subject: number[]): Ratio {
  return { ...ratioOf(rival, subject), value: median(ratios(rival, subject)) }
}

const ratios = (rival: number[], subject: number[]) =>
  rival.map((figure, round) => figure / (subject[round] ?? Number.NaN))

/** `rival` and `subject` have one figure a round. */
export function ratioOf(rival: number[], subject: number[]): Ratio {
  const rounds = ratios(rival, subject)
  return {
    value: median(rival) / median(subject),
    low: quantile(rounds, 0.25),
    high: quantile(rounds, 0.75),
  }
}

export function median(figures: number[]): number {
  return quantile(figures, 0.5)
}

export function quantile(figures: number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? below
  return below + (above - below) * (position - Math.floor(position))
}
