// Patches of the index that the updaters change.

import { atomicIndexPatch, type IndexPatch } from '@pipeline/atomic'

/** Changes the record of a number, and counts itself, as `change` does. */
export type Update = (number: number) => Promise<unknown>

export const patchOf = (number: number, records: number): IndexPatch => ({
  increment: { '/updates': 1 },
  set: { [`/records/${number % records}/attempts`]: number },
})

export const PATCH_OPTIONS = Object.freeze({ timeout: 600_000 })

export const patches = (path: string, records: number): Update => {
  return (number) => atomicIndexPatch(path, patchOf(number, records), { ...PATCH_OPTIONS })
}
