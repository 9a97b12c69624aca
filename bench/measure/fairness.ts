// How evenly processes took turns while all of them were busy.

/** Fewer turns than this of the quickest process say nothing about who is preferred. */
const FEWEST_TURNS = 10

/**
 * The slowest process's share of turns, of what an even share would be; `undefined` if there were too few.
 * A turn is a commit, however many updates it holds. All are busy from the start until the first is done.
 *
 * @param turns the process of every update, in the order of the commits
 * @param sizes for every process and each of its updates: how many shared its commit
 */
export function slowestShare(turns: number[], sizes: number[][]): number | undefined {
  const left = sizes.map((own) => own.length)
  const taken = sizes.map(() => 0)
  let at = 0
  while (at < turns.length && left.every((count) => count > 0)) {
    const process = turns[at] ?? 0
    const own = sizes[process] ?? []
    const size = own[own.length - (left[process] ?? 0)] ?? 1
    left[process] = (left[process] ?? 0) - size
    taken[process] = (taken[process] ?? 0) + 1
    at += size
  }
  if (Math.max(...taken) < FEWEST_TURNS) return undefined
  const all = taken.reduce((sum, count) => sum + count, 0)
  return Math.min(...taken) / (all / taken.length)
}
