// `keep: 'value'` in transactions: what functions make of an index for the next ones, and when a schema checks it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, type Transaction, type TransactionUpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { readJson, writeJson } from '../helpers/index-file'
import { add, first, keep } from '../helpers/keep'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** A transaction of one update of `index.json`, and of a page. */
const update = (dir: string, fn: (index: any) => any, options: TransactionUpdateOptions) =>
  atomicTransaction(dir, (tx) => {
    tx.write('page.txt', 'page')
    return tx.update('index.json', fn, { ...keep, ...options })
  })

test('a schema checks what is read and what is made, and what it refuses is not kept', async ({
  file,
  dir,
}) => {
  const schema = z.looseObject({ n: z.number() })
  writeJson(file, first)
  for (let round = 0; round < 3; round++) {
    await update(dir, add, { schema })
    const refused = await rejection(update(dir, (index) => ({ ...index, n: 'no' }), { schema }))
    expect(refused).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
    await update(dir, add, { schema })
  }
  expect(readJson(file)).toEqual({ ...first, n: 6 })
  const migrate = (index: any) => ({ ...index, n: index.old })
  writeJson(file, { ...first, n: undefined, old: 40 })
  for (const _ of [1, 2]) await update(dir, add, { schema, migrate })
  expect(readJson(file)).toEqual({ ...first, n: 42, old: 40 })
})

/** Under version 2 the posts are called items. */
const migrating = {
  schema: {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: any) => (value.v === 2 ? { value } : { issues: [{ message: 'old version' }] }),
    },
  },
  migrate: ({ posts }: any) => ({ v: 2, items: posts }),
}

/** What knows of no version. */
const old = (index: any) => ({ ...index })
/** What would lose items if it were given posts. */
const addItem = ({ items = [] }: any) => ({ v: 2, items: [...items, 'c'] })

const updateOld = (tx: Transaction, path: string) => void tx.update(path, old, keep)

type Step = (tx: Transaction) => void
const cases: [what: string, result: string, steps: Step[]][] = [
  [
    'another path of the file',
    'a/index.json',
    [
      (tx) => updateOld(tx, 'a/../a/index.json'),
      (tx) => void tx.update('a/index.json', addItem, { ...migrating, ...keep }),
    ],
  ],
  [
    'the name that it had before',
    'new.json',
    [
      (tx) => {
        updateOld(tx, 'a/index.json')
        tx.rename('a/index.json', 'new.json')
      },
      (tx) => void tx.update('new.json', addItem, { ...migrating, ...keep }),
    ],
  ],
  [
    'another path, and one without the option behind it',
    'a/index.json',
    [(tx) => updateOld(tx, 'a/../a/index.json'), (tx) => void tx.update('a/index.json', addItem, migrating)],
  ],
]

describe('what was made without a schema is migrated for a function that has one, by', () => {
  for (const [what, result, steps] of cases) {
    for (const group of [false, true]) {
      test(`${what}, ${group ? 'in the same group' : 'in the same transaction'}`, async ({ dir }) => {
        mkdirSync(join(dir, 'a'))
        writeJson(join(dir, 'a/index.json'), { posts: ['a', 'b'] })
        if (group) {
          const done = await Promise.all(steps.map((step) => atomicTransaction(dir, step)))
          expect(done.map(({ batchSize }) => batchSize)).toEqual([2, 2])
        } else {
          await atomicTransaction(dir, (tx) => {
            for (const step of steps) step(tx)
          })
        }
        expect(readJson(join(dir, result))).toEqual({ v: 2, items: ['a', 'b', 'c'] })
      })
    }
  }
})

test('what functions with the same schema make of each other is migrated once, and checked when all have run', async ({
  file,
  dir,
}) => {
  writeJson(file, { posts: ['a'] })
  let migrations = 0
  const migrate = (index: any) => {
    migrations++
    return migrating.migrate(index)
  }
  await atomicTransaction(dir, (tx) => {
    for (const how of [keep, {}, keep])
      tx.update('index.json', addItem, { schema: migrating.schema, migrate, ...how })
  })
  expect([migrations, readJson(file).items]).toEqual([1, ['a', 'c', 'c', 'c']])
})

describe('what JSON has of an index is what the next function is given', () => {
  const without = {}
  for (const [what, one, other] of [
    ['both have the option', keep, keep],
    ['only the first one has it', keep, without],
    ['only the second one has it', without, keep],
  ] as const) {
    test(`if ${what}`, async ({ file, dir }) => {
      writeJson(file, first)
      const both = (made: unknown) =>
        atomicTransaction(dir, (tx) => {
          tx.update('index.json', (index) => ({ ...index, made }), one)
          tx.update('index.json', (index) => ({ made: typeof index.made }), other)
        })
      await both(new Date(0))
      expect(readJson(file)).toEqual({ made: 'string' })
      expect(await rejection(both(new Set([1])))).toHaveProperty('code', 'ERR_INVALID_RETURN_VALUE')
    })
  }
})
