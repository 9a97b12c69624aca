// Patches of the index that the updaters change.

import { atomicIndexPatch } from '@pipeline/atomic'

/** Changes the record of a number, and counts itself, as `change` does. */
export type Update = (number: number) => Promise<unknown>

export const patches = (path: string, records: number): Update => {
  return (number) => {
    const attempts = `/records/${number % records}/attempts`
    return atomicIndexPatch(
      path,
      { increment: { '/updates': 1 }, set: { [attempts]: number } },
      { timeout: 600_000 },
    )
  }
}
