// Draws what was measured in a terminal.

import type { Histogram } from '@pipeline/atomic'

const WIDTH = 40
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar that is `share` of the whole width. */
function bar(share: number): string {
  const eighths = Math.round(share * WIDTH * 8)
  return '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8]
}

/** One line for each bucket, from the first that has a value to the last. */
export function drawHistogram(title: string, { unit, bounds, counts, count }: Histogram): string[] {
  const most = Math.max(...counts)
  const last = counts.findLastIndex((each) => each > 0)
  const labels = counts.map((_, at) =>
    at < bounds.length ? `≤ ${bounds[at]} ${unit}` : `> ${bounds.at(-1)} ${unit}`,
  )
  const width = Math.max(...labels.map(({ length }) => length))
  const lines = counts.map((each, at) => `  ${labels[at]?.padStart(width)} ${bar(each / most)} ${each}`)
  return [
    `${title}: ${count}`,
    ...lines.slice(
      counts.findIndex((each) => each > 0),
      last + 1,
    ),
  ]
}

/** Sorts values into buckets, each of which ends at twice the bound of the one before. */
export function histogramOf(milliseconds: number[]): Histogram {
  const bounds = Array.from({ length: 16 }, (_, at) => 2 ** (at - 4))
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  for (const value of milliseconds) {
    const at = bounds.findIndex((bound) => value <= bound)
    counts[at < 0 ? bounds.length : at] = (counts[at < 0 ? bounds.length : at] ?? 0) + 1
  }
  const sum = milliseconds.reduce((sum, value) => sum + value, 0)
  return { unit: 'ms', bounds, counts, count: milliseconds.length, sum }
}

/** One line a step: how much of all the time went into it. */
export function drawShares(title: string, times: Map<string, number>): string[] {
  const all = [...times.values()].reduce((sum, time) => sum + time, 0)
  const width = Math.max(0, ...[...times.keys()].map(({ length }) => length))
  const line = ([name, time]: [string, number]) =>
    `  ${name.padStart(width)} ${bar(time / all)} ${((time / all) * 100).toFixed(0)} %`
  return [title, ...[...times].map(line)]
}
