// Random transactions that come in several groups, beside updates of another process: those that resolve are there once and in their order, the others not at all.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, snapshotReadIndex } from '@pipeline/atomic'
import { expect } from 'vitest'
import { inProcess } from '../helpers/processes'
import { test } from '../helpers/test'

const SEEDS = 6
const CALLS = 60
const INDEXES = ['a.json', 'b.json', 'c.json']

/** mulberry32 */
function random(seed: number) {
  let state = seed
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface List {
  all: number[]
}

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed}`, async ({ dir }) => {
    const pick = random(seed)
    const other = inProcess(
      async ({ atomicIndexUpdate }, file, times) => {
        for (let at = 1; at <= times; at++) {
          await atomicIndexUpdate(file, (index: any) => ({ all: [...index.all, -at] }), {
            initial: { all: [] },
          })
        }
      },
      [join(dir, 'a.json'), seed % 2 === 0 ? 20 : 0],
    )
    const calls = Array.from({ length: CALLS }, async (_, at) => {
      // Spread over several turns of the event loop.
      for (let turns = Math.floor(at / 15); turns > 0; turns--) await new Promise(setImmediate)
      const [kind, busy, async] = [pick(10), pick(6) === 0, pick(8) === 0]
      const files = INDEXES.filter(() => pick(2) === 0)
      const controller = new AbortController()
      if (kind === 0) setTimeout(() => controller.abort(), pick(30))
      const change = (index: List) => {
        for (const end = performance.now() + (busy ? 30 : 0); performance.now() < end; );
        index.all.push(at)
        if (kind === 1) throw new Error('mine')
        return index
      }
      const update = atomicTransaction(
        dir,
        (tx) => {
          tx.write(`${at}`, '')
          return files.map((file) =>
            kind === 2
              ? tx.patch<List>(file, [{ op: 'add', path: '/all/-', value: at }], { initial: { all: [] } })
              : tx.update<List>(file, async ? async (index) => change(index) : change, {
                  initial: { all: [] },
                }),
          )
        },
        { signal: controller.signal },
      )
      const made = await update.then(
        ({ value }) => value.map((updated) => updated.value.all),
        (error: Error) => {
          if (kind > 1) throw error
          return undefined
        },
      )
      for (const all of made ?? []) expect(all).toContain(at)
      expect(existsSync(join(dir, `${at}`))).toBe(made !== undefined)
      return { at, files: made === undefined ? [] : files, made }
    })
    const done = await Promise.all(calls)
    await other.returned
    const found = (await snapshotReadIndex(dir, INDEXES)) as (List | undefined)[]
    for (const [position, file] of INDEXES.entries()) {
      const all = found[position]?.all ?? []
      const own = all.filter((at) => at >= 0)
      expect([...own].sort((a, b) => a - b)).toEqual(
        done.filter(({ files }) => files.includes(file)).map(({ at }) => at),
      )
      const others = all.filter((at) => at < 0)
      expect(others).toEqual(
        file === 'a.json' && seed % 2 === 0 ? Array.from({ length: 20 }, (_, at) => -at - 1) : [],
      )
      // Each is told what was written for its group.
      for (const { files, made } of done) {
        const told = made?.[files.indexOf(file)]
        if (told !== undefined && files.includes(file)) expect(all.slice(0, told.length)).toEqual(told)
      }
    }
  })
}
