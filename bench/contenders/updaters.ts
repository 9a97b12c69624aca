// Contenders that change an index.

import { readFile } from 'node:fs/promises'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { Low } from 'lowdb'
import { JSONFile } from 'lowdb/node'
import lockfile from 'proper-lockfile'
import writeFileAtomic from 'write-file-atomic'
import { formerLockedUpdate, formerUpdate } from './former'
import { type Guarantees, guarantee } from './guarantees'
import { changed, type Index, makeIndex } from './index-file'

export type Change = (index: Index) => Index

export interface Updater extends Guarantees {
  /** Concurrent calls in one process lose no update. Without that it is only measured one call at a time. */
  concurrent: boolean
  /** Makes the change of an update; in place without it. */
  change?: (number: number) => Change
  /** Prepares, and returns the function that makes one update and resolves with how many shared its commit. */
  open(path: string): Promise<(change: Change) => Promise<number>>
}

const ours = (name: string, options: UpdateOptions = {}): Updater => ({
  ...guarantee(name, 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion'),
  concurrent: true,
  open: async (path) => async (change) => {
    // The wait for the lock is part of what is measured, so no call may time out.
    const given = { timeout: 600_000, ...options }
    return (await atomicIndexUpdate<Index>(path, (index) => change(index as Index), given)).batchSize
  },
})

export const indexUpdater = ours('atomicIndexUpdate')

export const valueUpdater: Updater = {
  ...ours("atomicIndexUpdate, keep: 'value'", { keep: 'value' }),
  change: changed,
}

/** It does not look for numbers that JavaScript changes. */
export const lossyUpdater = ours("atomicIndexUpdate, numbers: 'lossy'", { numbers: 'lossy' })

export const lockedFormerUpdater: Updater = {
  ...guarantee('former locked update', 'readBack', 'exclusion'),
  concurrent: true,
  open: async (path) => (change) => alone(formerLockedUpdate(path, change)),
}

export const formerUpdater: Updater = {
  ...guarantee('former update, no lock', 'readBack'),
  concurrent: false,
  open: async (path) => (change) => alone(formerUpdate(path, change)),
}

/** It reads once and then keeps its own copy: what other processes write is overwritten. */
export const lowdbUpdater: Updater = {
  ...guarantee('lowdb'),
  concurrent: true,
  async open(path) {
    const db = new Low(new JSONFile<Index>(path), makeIndex(0))
    await db.read()
    return (change) =>
      alone(
        db.update((index) => {
          change(index)
        }),
      )
  },
}

/** By default it does not wait at all; these are short pauses, without a limit. */
const retries = { forever: true, retries: 8, factor: 1.5, minTimeout: 5, maxTimeout: 50, randomize: true }

export const properLockfileUpdater: Updater = {
  ...guarantee('proper-lockfile + write-file-atomic', 'fsyncFile', 'exclusion'),
  concurrent: true,
  open: async (path) => async (change) => {
    const release = await lockfile.lock(path, { retries })
    try {
      const index = change(JSON.parse(await readFile(path, 'utf8')))
      await writeFileAtomic(path, JSON.stringify(index, null, 2))
    } finally {
      await release()
    }
    return 1
  },
}

export const updaters = [
  indexUpdater,
  lockedFormerUpdater,
  formerUpdater,
  lowdbUpdater,
  properLockfileUpdater,
]

async function alone(update: Promise<unknown>): Promise<number> {
  await update
  return 1
}
