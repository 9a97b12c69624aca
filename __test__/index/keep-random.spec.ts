// With `keep: 'value'` an index is written as it is without: random indexes and functions, long sequences, other writers between.

import { deepStrictEqual } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  readIndexAt,
  type UpdateOptions,
  type UpdateResult,
} from '@pipeline/atomic'
import { describe, expect, vi } from 'vitest'
import { times } from '../helpers/group'
import { needs } from '../helpers/needs'
import { change, layOut, Random, value } from '../helpers/random-index'
import { test } from '../helpers/test'

const ROUNDS = 60
/** More for a long run: `SEEDS=1000 npx vitest run keep-random`. */
const SEEDS = Number(process.env.SEEDS ?? 8)
const numbers = 'rawJSON' in JSON ? (['strict', 'lossy', 'exact'] as const) : (['strict', 'lossy'] as const)
const spaces = [0, 2, '\t', '\n ', 12]

interface Outcome {
  told: unknown[]
  /** How many calls shared the commit of each that was resolved: that is up to chance. */
  sizes: (number | undefined)[]
  text: string
}

/** What comes of calls, without the name of the file in errors, and the text after them. */
async function outcomes(calls: Promise<UpdateResult>[], file: string): Promise<Outcome> {
  const sizes: Outcome['sizes'] = []
  const told = calls.map((call, at) =>
    call.then(
      ({ written, batchSize }) => {
        sizes[at] = batchSize
        return calls.length === 1 ? written : 'resolved'
      },
      ({ code, name, message }) => ({ code, name, message: String(message).replaceAll(file, 'FILE') }),
    ),
  )
  return { told: await Promise.all(told), sizes, text: readFileSync(file, 'utf8') }
}

const bare = (text: string) => JSON.parse(text.replace(/^\ufeff/, ''))

function checkFrozen(index: unknown): void {
  const rest = [index]
  for (const value of rest) {
    if (typeof value !== 'object' || value === null) continue
    expect(Object.isFrozen(value)).toBe(true)
    rest.push(...Object.values(value))
  }
}

describe('what is written with a kept value is what is written without, byte for byte', () => {
  /** Updates that were written, and those of them for which all was printed, which is with an indent. */
  const count = { written: 0, printed: 0 }

  for (let seed = 0; seed < SEEDS; seed++) {
    test(`seed ${seed}`, async ({ dir }) => {
      const random = new Random(seed)
      const [kept, plain] = [join(dir, 'kept.json'), join(dir, 'plain.json')]
      const list = times(random.below(90), (id) => ({ id, title: `${id}` }))
      const first = { ...Object(value(random)), list }
      const text = layOut(random.chance(50) ? first : [first, ...list], random)
      for (const file of [kept, plain]) writeFileSync(file, text)
      const [number, space] = [random.of(numbers), random.chance(70) ? undefined : random.of(spaces)]
      for (let round = 0; round < ROUNDS; round++) {
        const calls = random.chance(15) ? 3 : 1
        const given: unknown[] = []
        const update = (index: unknown, call: number) => {
          given.push(index)
          return change(index, new Random((seed * ROUNDS + round) * 10 + call, calls === 1))
        }
        const updates = (file: string, options: UpdateOptions) =>
          outcomes(
            times(calls, (call) => atomicIndexUpdate(file, (index) => update(index, call), options)),
            file,
          )
        const options: UpdateOptions = {
          flush: false,
          verify: false,
          numbers: random.chance(95) ? number : random.of(numbers),
          ...(random.chance(90) ? { space } : { space: random.of(spaces) }),
        }
        const printing = vi.spyOn(JSON, 'stringify')
        const ofKept = await updates(kept, { ...options, keep: 'value' })
        const all = printing.mock.calls.filter(({ length }) => length === 3).length
        printing.mockRestore()
        const [ofValue, ...others] = given.splice(0)
        const ofPlain = await updates(plain, options)
        // Functions run as often: edits that do not fit would make them run once more.
        if (calls === 1) expect(others.length, `round ${round}`).toBe(given.length - 1)
        if (String(ofKept.sizes) !== String(ofPlain.sizes)) {
          // An index that is empty between two commits loses its indent.
          expect(ofKept.told, `round ${round}`).toEqual(ofPlain.told)
          deepStrictEqual(bare(ofKept.text), bare(ofPlain.text))
          writeFileSync(kept, ofPlain.text)
        } else {
          expect(ofKept, `round ${round}`).toEqual(ofPlain)
        }
        if (calls === 1 && ofKept.told[0] === true) {
          count.written++
          count.printed += all
        }
        deepStrictEqual(ofValue, given[0])
        checkFrozen(ofValue)
        if (random.chance(10)) await another(random, [kept, plain])
      }
    })
  }

  // Elsewhere nothing is kept.
  needs('a temporary folder on ext4, xfs or btrfs')(
    'and at least a quarter of the texts is made without printing all',
    () => {
      expect(count.written).toBeGreaterThan(SEEDS * 10)
      expect(count.printed / count.written).toBeLessThan(0.75)
    },
  )
})

/** Somebody else changes both files, or looks at them. */
async function another(random: Random, files: string[]): Promise<void> {
  const [seed, way] = [random.below(1e9), random.below(6)]
  for (const file of files) {
    const random = new Random(seed)
    const text = layOut({ other: value(random), list: [1, { a: 2 }] }, random)
    const ways = [
      () => writeFileSync(file, text),
      () => atomicWrite(file, text),
      () => atomicIndexPatch(file, { merge: { patched: seed, other: { b: [seed] } } }).catch(() => {}),
      () => atomicIndexUpdate(file, (index) => change(index, random), { numbers: 'lossy' }).catch(() => {}),
      () => atomicTransaction(dirname(file), [{ write: basename(file), data: text }]),
      () => readIndexAt(file, '/list', { numbers: 'lossy' }),
    ]
    await ways[way]?.()
  }
}
