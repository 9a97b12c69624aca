// Calls of every kind at once, chosen at random, against a model that does one after the other.

import { atomicIndexUpdate, atomicWrite, type UpdateOptions } from '@pipeline/atomic'
import { expect } from 'vitest'
import { names } from '../helpers/files'
import { enqueued, held, times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { test } from '../helpers/test'

type Index = unknown[]

/** One kind of call: what it does, and what the model says that it does. */
interface Kind {
  make: (file: string, id: number, options: UpdateOptions) => Promise<unknown>
  after: (index: Index, id: number) => Index
  succeeds: boolean
}

const nextTurn = () => new Promise(setImmediate)
const failure = (id: number) => new Error(`${id}`)

function updating(fn: (index: Index, id: number) => unknown, after?: Kind['after']): Kind {
  return {
    make: (file, id, options) => atomicIndexUpdate(file, (index: any) => fn(index, id) as Index, options),
    after: after ?? ((index) => index),
    succeeds: after !== undefined,
  }
}

const added = (index: Index, id: number): Index => [...index, id]

/** Without the first number. What is not JSON must stay: in a group only the last result is serialized. */
function shortened(index: Index): Index {
  const first = index.findIndex((what) => typeof what === 'number')
  return index.filter((_, at) => at !== first)
}

const kinds: Kind[] = [
  updating((index, id) => {
    index.push(id)
    return index
  }, added),
  updating((index, id) => [...index, id], added),
  updating(async (index, id) => {
    await nextTurn()
    index.push(id)
    await nextTurn()
    return index
  }, added),
  updating(shortened, shortened),
  updating(
    (index) => index,
    (index) => index,
  ),
  updating((index, id) => {
    index.push('half')
    throw failure(id)
  }),
  updating(async (index, id) => {
    index.length = 0
    await nextTurn()
    throw failure(id)
  }),
  updating((index) => {
    index.push('half')
    return 'no index'
  }),
  updating((index) => [...index, 1n]),
  {
    make: (file, id, { flush }) => atomicWrite(file, JSON.stringify([id]), { flush: flush ?? true }),
    after: (_, id) => [id],
    succeeds: true,
  },
]

const choices: UpdateOptions[] = [
  { flush: false },
  { flush: false, space: 1 },
  { flush: false, verify: false },
]

/** Numbers below `limit`, the same for the same seed. */
function lots(seed: number) {
  let state = seed
  return (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

test.for(times(25, (seed) => seed))('calls of every kind at once, seed %i', async (seed, { dir, file }) => {
  const lot = lots(seed)
  writeJson(file, [])
  let [model, options]: [Index, UpdateOptions] = [[], {}]
  // Mostly updates that succeed, and mostly with the same options: otherwise groups are small.
  const drawn = times(60, () => kinds[lot(3) ? lot(5) : lot(kinds.length)]!)
  const holder = await held(file)
  const calls = drawn.map((kind, id) => {
    model = kind.after(model, id)
    if (lot(6) === 0) options = choices[lot(choices.length)]!
    return kind.make(file, id, options)
  })
  const settled = Promise.allSettled(calls)
  await enqueued(dir)
  holder.release()
  expect((await settled).map(({ status }) => status === 'fulfilled')).toEqual(
    drawn.map((kind) => kind.succeeds),
  )
  const reasons = (await settled).map((outcome) => 'reason' in outcome && outcome.reason)
  reasons.forEach((reason, id) => {
    if (reason instanceof Error && !('code' in reason)) expect(reason).toEqual(failure(id))
  })
  expect(readJson(file)).toEqual(model)
  expect(names(dir)).toEqual(['index.json'])
})
