// With `keep: 'value'` transactions write what they write without: random indexes, functions and patches, groups, other writers between.

import { deepStrictEqual } from 'node:assert'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  type Transaction,
  type TransactionUpdateOptions,
} from '@pipeline/atomic'
import { describe, expect, vi } from 'vitest'
import { times } from '../helpers/group'
import { needs } from '../helpers/needs'
import { change, layOut, Random, value } from '../helpers/random-index'
import { test } from '../helpers/test'

const ROUNDS = 60
/** More for a long run: `SEEDS=1000 npx vitest run transaction/keep-random`. */
const SEEDS = Number(process.env.SEEDS ?? 8)
const INDEXES = ['one/index.json', 'two/index.json']
const ONE = ['one/index.json', 'two/../one/index.json']
/** What transactions call the indexes, the first one by two names, and another file. */
const PATHS = [...INDEXES, 'two/../one/index.json', 'moved.json']
/** So many functions of a group are given a frozen value of one index. */
const MOST_FROZEN = 8
const FILES = [...INDEXES, 'one/index.json.backup', 'moved.json', 'page.txt']

const contents = (root: string) =>
  FILES.map((file) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : undefined))

const frozenThrough = (value: any): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (Object.isFrozen(value) && Object.values(value).every(frozenThrough))

function copy(from: string, to: string): void {
  if (existsSync(from)) writeFileSync(to, readFileSync(from))
  else rmSync(to, { force: true })
}

/** A schema that an index passes if it has this version, which `migrate` gives it. */
const versioned = (version: number) => ({
  schema: {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: any) => (value.version === version ? { value } : { issues: [{ message: 'old' }] }),
    },
  },
  migrate: (index: any) => ({ ...(Array.isArray(index) ? { list: index } : index), version }),
})

/** Options of the updates by each path: an index has another schema, or none, by its other name, and by a name that it is moved to. */
function optionsOf(random: Random, how: TransactionUpdateOptions): Record<string, TransactionUpdateOptions> {
  const kinds = [{}, versioned(1), versioned(2)]
  const first = random.below(3)
  const all = PATHS.map((path, at) => [
    path,
    { ...how, ...kinds[(first + at) % 3], ...(path === INDEXES[0] && { backup: true }) },
  ])
  return Object.fromEntries(all)
}

/** Registers random operations; the same for the same seed. */
async function operate(tx: Transaction, seed: number, options: Options, given: unknown[]): Promise<void> {
  const random = new Random(seed, options.isAlone)
  let isRead = false
  const paths = options.isAlone ? INDEXES : random.chance(50) ? ONE : PATHS
  const howMany = options.isAlone ? 1 : 1 + random.below(3)
  for (let at = 0; at < howMany; at++) {
    const file = random.of(paths)
    const own = options.how[file] as TransactionUpdateOptions
    const isKept = random.chance(85) && options.keep
    const keep = isKept ? ({ keep: 'value' } as const) : {}
    const kind = options.isAlone ? 0 : random.below(20)
    if (kind < 11) {
      const of = random.below(1e9)
      const fails = random.chance(6)
      tx.update(
        file,
        (index) => {
          given.push(index)
          // What is migrated is a new index, and so is what a read makes.
          if (isKept && !own.migrate && !isRead && options.calls * 3 <= MOST_FROZEN)
            expect(frozenThrough(index)).toBe(true)
          if (fails) throw new Error(`no ${of}`)
          return change(index ?? {}, new Random(of, options.isAlone))
        },
        { ...own, ...keep, initial: { made: seed } },
      )
    } else if (kind < 15) {
      const patch = { set: { '/patched': random.below(9), '/n': value(random, 1) } }
      tx.patch(file, random.chance(90) ? patch : { increment: { '/none/n': 1 } }, { ...own })
    } else if (kind === 15 && options.calls === 1) {
      // Of several calls those that wait for a read come later, in any order.
      isRead = true
      await tx.readIndex(file, { numbers: 'lossy' }).then((index) => given.push(index))
      isRead = false
    } else if (kind === 16) {
      tx.write('page.txt', `${seed}`)
    } else if (kind === 17) {
      tx.write(file, layOut({ written: seed, list: [{ id: seed }] }, random))
    } else if (kind === 18) {
      tx.remove(file, { missing: 'ignore' })
    } else {
      tx.rename(file, random.of(PATHS))
    }
  }
}

interface Options {
  how: Record<string, TransactionUpdateOptions>
  keep: boolean
  /** It is one operation of one transaction. */
  isAlone: boolean
  calls: number
}

interface Outcome {
  told: unknown[]
  sizes: (number | undefined)[]
  given: unknown[]
  contents: (string | undefined)[]
}

async function outcome(root: string, seed: number, options: Options): Promise<Outcome> {
  const given: unknown[] = []
  const sizes: (number | undefined)[] = []
  const made = times(options.calls, (at) =>
    atomicTransaction(root, (tx) => operate(tx, seed * 100 + at, options, given), {
      flush: false,
      verify: false,
    }),
  )
  const told = made.map((call, at) =>
    call.then(
      ({ files, batchSize }) => {
        sizes[at] = batchSize
        return files
      },
      ({ code, name, message }) => ({ code, name, message: String(message).replaceAll(root, 'ROOT') }),
    ),
  )
  return { told: await Promise.all(told), sizes, given, contents: contents(root) }
}

describe('what transactions write with kept values is what they write without, byte for byte', () => {
  const count = { written: 0, printed: 0, parted: 0 }
  for (let seed = 0; seed < SEEDS; seed++) {
    test(`seed ${seed}`, async ({ dir }) => {
      const random = new Random(seed)
      const roots = ['kept', 'plain'].map((name) => join(dir, name))
      for (const file of INDEXES) {
        const text = layOut(
          { ...Object(value(random)), list: times(random.below(60), (id) => ({ id })) },
          random,
        )
        for (const root of roots) {
          mkdirSync(join(root, file, '..'), { recursive: true })
          writeFileSync(join(root, file), text)
        }
      }
      const numbers = random.of(['strict', 'lossy'] as const)
      const how = optionsOf(random, { numbers, space: random.of([undefined, undefined, 2, '\t']) })
      for (let round = 0; round < ROUNDS; round++) {
        const calls = random.chance(70) ? 1 : random.chance(90) ? 1 + random.below(4) : 14
        const isAlone = calls === 1 && random.chance(70)
        const options = { how, isAlone, calls }
        const [kept, plain] = roots as [string, string]
        const of = seed * ROUNDS + round
        const printing = vi.spyOn(JSON, 'stringify')
        const ofKept = await outcome(kept, of, { ...options, keep: true })
        // All of an index is printed with an indent.
        const printed = printing.mock.calls.some(({ length }) => length === 3)
        printing.mockRestore()
        const ofPlain = await outcome(plain, of, { ...options, keep: false })
        const what = `round ${round}`
        if (calls === 1) {
          expect(ofKept, what).toMatchObject({ told: ofPlain.told, contents: ofPlain.contents })
        } else if (String(ofKept.sizes) === String(ofPlain.sizes)) {
          // What a call fails with depends on those before it in its commit, and for one that has failed nothing says which these were.
          const toldOf = ({ told }: Outcome) => told.map((one) => (Array.isArray(one) ? one : 'failed'))
          expect(toldOf(ofKept), what).toEqual(toldOf(ofPlain))
          expect(ofKept.contents, what).toEqual(ofPlain.contents)
        } else {
          // Which calls shared a commit is up to the time that their functions took, and so is the order of those that failed.
          count.parted++
          for (const file of FILES) copy(join(plain, file), join(kept, file))
        }
        if (isAlone) {
          deepStrictEqual(ofKept.given[0], ofPlain.given[0])
          count.written++
          count.printed += +printed
        }
        if (random.chance(10)) await another(random, roots)
      }
    })
  }

  // Elsewhere nothing is kept.
  needs('a temporary folder on ext4, xfs or btrfs')(
    'and at least a quarter of the texts is made without printing all',
    () => {
      expect(count.written).toBeGreaterThan(SEEDS * 10)
      expect(count.printed / count.written).toBeLessThan(0.75)
      expect(count.parted / (SEEDS * ROUNDS)).toBeLessThan(0.25)
    },
  )
})

/** Somebody else changes an index below both roots. */
async function another(random: Random, roots: string[]): Promise<void> {
  const [seed, way, index] = [random.below(1e9), random.below(5), random.of(INDEXES)]
  for (const root of roots) {
    const file = join(root, index)
    const random = new Random(seed)
    const text = layOut({ other: value(random), list: [1, { a: 2 }] }, random)
    const ways = [
      () => writeFileSync(file, text),
      () => atomicWrite(file, text),
      () => atomicIndexPatch(file, { set: { '/patched': seed } }).catch(() => {}),
      () =>
        atomicIndexUpdate(file, (index) => change(index, new Random(seed)), {
          numbers: 'lossy',
          initial: {},
          keep: seed % 2 ? 'value' : 'text',
        }).catch(() => {}),
      () => atomicTransaction(root, (tx) => void tx.patch(index, { set: { '/by': seed } })).catch(() => {}),
    ]
    await ways[way]?.()
  }
}
