// How evenly processes took turns while all of them were busy.

/** If the fastest process had fewer turns than this, they say nothing about fairness. */
const FEWEST_TURNS = 10

/**
 * The number of turns of the slowest process, divided by its even share; `undefined` if there were too few.
 * A turn is a commit, however many updates it holds. All processes are busy until the first has finished.
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
