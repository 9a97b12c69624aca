// Functions of patches look into a text where they are alone or among themselves, and into a value among others: nobody can tell which.

import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import {
  applyIndexPatch,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  type IndexPatch,
  type IndexView,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { times, together } from '../helpers/group'
import { writeJson } from '../helpers/index-file'
import { Random } from '../helpers/random-index'
import { plainlyPatched, plainView, randomChange, randomIndex } from '../helpers/random-views'
import { test } from '../helpers/test'

type Change = (view: IndexView) => IndexPatch | undefined
type Call = (file: string, change: Change) => Promise<unknown>

const alone: Call = (file, change) => atomicIndexPatch(file, change, { flush: false })
const later: Call = (file, change) =>
  atomicIndexPatch(
    file,
    async (view) => {
      await undefined
      return change(view)
    },
    { flush: false },
  )
const checked: Call = (file, change) => atomicIndexPatch(file, change, { flush: false, schema: z.any() })
const inTransaction: Call = (file, change) =>
  atomicTransaction(dirname(file), (tx) => void tx.patch(file, change), { flush: false })

/** One after another; all at once; and behind, or among, functions that get the value. */
const ways: Record<string, (file: string, changes: Change[]) => Promise<PromiseSettledResult<unknown>[]>> = {
  alone: inTurn(alone),
  'alone, later': inTurn(later),
  'alone, with a schema': inTurn(checked),
  'alone in transactions': inTurn(inTransaction),
  'in a group': (file, changes) => atOnce(file, changes, alone),
  'in a group with a schema': (file, changes) => atOnce(file, changes, checked),
  async 'behind an update'(file, changes) {
    const update = () => atomicIndexUpdate(file, (index) => index, { flush: false })
    const calls = await together<unknown>(file, () => [
      update(),
      ...changes.map((change) => alone(file, change)),
    ])
    return (await Promise.allSettled(calls)).slice(1)
  },
  async 'among updates that change records in place'(file, changes) {
    // There and back again, so that a table which was made of this goes wrong.
    const swap = () => atomicIndexUpdate(file, (index) => reversed(index), { flush: false })
    const calls = await together<unknown>(file, () =>
      changes.flatMap((change) => [swap(), swap(), alone(file, change)]),
    )
    return (await Promise.allSettled(calls)).filter((_, at) => at % 3 === 2)
  },
  'transactions in a group': inGroup,
}

function inTurn(call: Call) {
  return async (file: string, changes: Change[]) => {
    const all: PromiseSettledResult<unknown>[] = []
    for (const change of changes) all.push(...(await Promise.allSettled([call(file, change)])))
    return all
  }
}

function inGroup(file: string, changes: Change[]) {
  return Promise.allSettled(changes.map((change) => inTransaction(file, change)))
}

async function atOnce(file: string, changes: Change[], call: Call) {
  return Promise.allSettled(await together(file, () => changes.map((change) => call(file, change))))
}

function reversed(index: any) {
  const list = Array.isArray(index) ? index : index.posts
  if (Array.isArray(list)) list.reverse()
  return index
}

for (const [way, run] of Object.entries(ways)) {
  test(`what functions see and what their patches do is the same: ${way}`, async ({ file }) => {
    for (const seed of times(20, (at) => at)) {
      const random = new Random(seed)
      const index = randomIndex(random)
      const all = times(4 + random.below(14), () => randomChange(random))
      writeJson(file, index)
      let expected = index
      const outcomes: unknown[] = []
      const changes = all.filter((change) => {
        const seen: unknown[] = []
        let isDone = true
        try {
          expected = plainlyPatched(expected, change(plainView(expected), seen))
        } catch {
          isDone = false
        }
        // A transaction that fails behind others is tried once more, after those that are behind it.
        if (!isDone && run === inGroup) return false
        outcomes.push({ seen, isDone })
        return true
      })
      // A function may run again: its last run counts.
      const seen = changes.map(() => [] as unknown[])
      const settled = await run(
        file,
        changes.map((change, at) => (view) => {
          seen[at] = []
          return change(view, seen[at] as unknown[])
        }),
      )
      const made = settled.map(({ status }, at) => ({ seen: seen[at], isDone: status === 'fulfilled' }))
      if (!isDeepStrictEqual(made, outcomes)) expect(made, `${way}, seed ${seed}`).toEqual(outcomes)
      const written = JSON.parse(readFileSync(file, 'utf8'))
      expect(JSON.stringify(written), `${way}, seed ${seed}`).toBe(JSON.stringify(expected))
    }
  }, 120_000)
}

test('what a patch makes of an index that is a value is the same, and that stays as it is', () => {
  for (const seed of times(300, (at) => at)) {
    const random = new Random(seed)
    let index = randomIndex(random)
    for (const change of times(6, () => randomChange(random))) {
      const before = JSON.stringify(index)
      const seen: [unknown[], unknown[]] = [[], []]
      let expected: unknown
      try {
        expected = plainlyPatched(index, change(plainView(index), seen[0]))
      } catch {
        expect(() => applyIndexPatch(index, (view) => change(view, []))).toThrow()
        expect(JSON.stringify(index)).toBe(before)
        continue
      }
      const next = applyIndexPatch(index, (view) => change(view, seen[1]))
      if (!isDeepStrictEqual(seen[1], seen[0])) expect(seen[1]).toEqual(seen[0])
      expect(JSON.stringify(index)).toBe(before)
      expect(JSON.stringify(next), `seed ${seed}`).toBe(JSON.stringify(expected))
      expect(next === index, `seed ${seed}`).toBe(JSON.stringify(expected) === before)
      index = next
    }
  }
})
