// An order of the calls of threads and processes that agrees with their times, with what they have seen, and with what is promised of it.
// `npm run soak:orders` is the long form.

import { expect, inject } from 'vitest'
import { test } from '../helpers/test'
import { BLOCKING, type Mix, PROCESSES, REPLACED, type Step, THREADS, TOGETHER, TRANSACTIONS } from './plan'
import { rounds, type Setting } from './rounds'

async function explained(
  dir: string,
  setting: Omit<Setting, 'addon' | 'dir'>,
  wanted: number,
): Promise<void> {
  const report = await rounds({ addon: inject('addon'), dir, ...setting }, (sum) => {
    return sum.rounds >= wanted || sum.wrong.length > 0
  })
  expect(report.wrong.join('\n')).toBe('')
  expect(report.calls).toBeGreaterThan(wanted)
  // Where the machine is busy, more calls overlap.
  expect(report.undecided).toBeLessThanOrEqual(wanted / 2)
}

/** Two writes of one file by each thread, each of them with one that blocks right behind it. */
function pairs(round: number, threads: number): Step[][] {
  const flush = false
  return Array.from({ length: threads }, (_, thread) =>
    ['write', 'writeSync', 'write', 'writeSync'].map((call, i) => {
      return { id: `${round}-${thread}-${i}`, call, file: 'a', options: { flush } }
    }),
  )
}

test('a call that blocks comes after the writes of its thread, whatever other threads that block do', async ({
  dir,
}) => {
  const mix: Mix = { files: ['a'], indexes: [], ofFile: [], ofIndex: [], ofMany: [] }
  const setting = { processes: 1, threads: 3, mix, seed: 1, calls: 4 }
  await explained(dir, { ...setting, plans: (round) => [pairs(round, 3)] }, 200)
})

test('all that threads do with files and indexes', async ({ dir }) => {
  await explained(dir, { processes: 1, threads: 3, mix: THREADS, seed: 1, calls: 10 }, 25)
})

test('calls that block, and those that they come before', async ({ dir }) => {
  await explained(dir, { processes: 1, threads: 3, mix: BLOCKING, seed: 2, calls: 8 }, 25)
})

test('transactions of a process among its other calls', async ({ dir }) => {
  await explained(dir, { processes: 1, threads: 3, mix: TOGETHER, seed: 5, calls: 8 }, 20)
})

test('what finds its folder replaced', async ({ dir }) => {
  const setting = { processes: 2, threads: 2, mix: REPLACED, seed: 6, calls: 5, replaceEach: 2 }
  await explained(dir, setting, 20)
})

test('what processes do, of which some are killed', async ({ dir }) => {
  await explained(dir, { processes: 2, threads: 2, mix: PROCESSES, seed: 3, calls: 8, killEach: 4 }, 20)
})

test('transactions and snapshots of processes, of all files together', async ({ dir }) => {
  const setting = { processes: 2, threads: 2, mix: TRANSACTIONS, seed: 4, calls: 7, killEach: 4 }
  await explained(dir, { ...setting, together: true }, 12)
})
