import { writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type AtomicError,
  acquireIndexLock,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  readIndex,
  type StandardSchema,
  withIndexLock,
} from '@pipeline/atomic'
import * as v from 'valibot'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { names, state } from '../helpers/files'
import { enqueued } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const never = () => expect.fail('fn was called')

interface Index {
  count: number
  names?: string[]
}

/** One that counts what it is asked, and may take its time. */
function counting(isAsync = false) {
  const asked: unknown[] = []
  const validate = (value: unknown) => {
    asked.push(structuredClone(value))
    const isGood = typeof (value as Index)?.count === 'number'
    const result = isGood ? { value } : { issues: [{ message: 'no number', path: ['count'] }] }
    return isAsync ? new Promise<typeof result>((resolve) => setTimeout(resolve, 1, result)) : result
  }
  const schema = { '~standard': { version: 1, vendor: 'spec', validate } } as StandardSchema<Index>
  return { schema, asked }
}

const schemas: [string, StandardSchema<Index>][] = [
  ['zod', z.object({ count: z.number(), names: z.array(z.string()).optional() })],
  ['valibot', v.object({ count: v.number(), names: v.optional(v.array(v.string())) })],
  ['one that is asynchronous', counting(true).schema],
]

describe.each(schemas)('%s', (_, schema) => {
  test('an index that passes is updated', async ({ file }) => {
    writeJson(file, { count: 1 })
    await atomicIndexUpdate(file, (index) => ({ count: (index?.count ?? 0) + 1 }), { schema })
    expect(readJson(file)).toEqual({ count: 2 })
  })

  test('one that does not pass is refused before fn, and stays', async ({ dir, file }) => {
    writeJson(file, { count: '1' })
    const before = state(file)
    const error = await rejection(atomicIndexUpdate(file, never, { schema }))
    expect(error).toMatchObject({ name: 'Error', code: 'ERR_ATOMIC_SCHEMA', path: file })
    const path = (error as AtomicError).issues?.[0]?.path
    expect(path?.map((step) => (typeof step === 'object' ? step.key : step))).toEqual(['count'])
    expect(error.message).toContain('the index in the file does not pass the schema: index.count: ')
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('what fn returns is checked before it is written', async ({ dir, file }) => {
    writeJson(file, { count: 1 })
    const before = state(file)
    const update = atomicIndexUpdate(file, () => ({ count: 'two' }) as never, { schema })
    const error = await rejection(update)
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA', path: file })
    expect(error.message).toContain('the new index does not pass the schema: index.count: ')
    const others = [
      atomicIndexPatch(file, { set: { count: 'two' } }, { schema }),
      withIndexLock(file, (lock) => lock.write({ count: 'two' }, { schema: schema as never })),
    ]
    for (const { message } of await Promise.all(others.map(rejection)))
      expect(message).toContain(': the new index does not pass')
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('of calls that share a commit only the one fails that returned it', async ({ file }) => {
    writeJson(file, { count: 0 })
    const plus = (index: Index | undefined) => ({ count: (index?.count ?? 0) + 1 })
    const update = (fn: (index: Index | undefined) => Index) => atomicIndexUpdate(file, fn, { schema })
    const calls = Array.from({ length: 20 }, (_, i) =>
      update(i === 7 ? () => ({ count: 'x' }) as never : plus),
    )
    const settled = await Promise.allSettled(calls)
    expect(settled.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([7])
    expect(settled[7]).toMatchObject({ reason: { code: 'ERR_ATOMIC_SCHEMA', path: file } })
    expect(readJson(file)).toEqual({ count: 19 })
  })
})

test('what a group has made is checked once', async ({ file }) => {
  const { schema, asked } = counting()
  writeJson(file, { count: 0 })
  const plus = (index?: Index) => ({ count: (index?.count ?? 0) + 1 })
  await atomicIndexUpdate(file, plus, { schema })
  asked.length = 0
  const lock = await acquireIndexLock(file)
  const calls = Array.from({ length: 50 }, () => atomicIndexUpdate(file, plus, { schema }))
  await enqueued(dirname(file))
  await lock.release()
  for (const { batchSize } of await Promise.all(calls)) expect(batchSize).toBe(50)
  expect(asked).toEqual([{ count: 1 }, { count: 51 }])
})

test('calls with different schemas, and without one, share no commit', async ({ file }) => {
  writeJson(file, { count: 0 })
  const plus = (index?: Index) => ({ count: (index?.count ?? 0) + 1 })
  const [one, other] = [counting(), counting()]
  const all = [one.schema, other.schema, undefined, one.schema]
  const results = await Promise.all(
    all.map((schema) => atomicIndexUpdate(file, plus, schema ? { schema } : {})),
  )
  expect(results.map(({ batchSize }) => batchSize)).toEqual([1, 1, 1, 1])
  expect(readJson(file)).toEqual({ count: 4 })
})

test('the index is passed on as it is: nothing is stripped, and no default is put in', async ({ file }) => {
  writeJson(file, { count: 1, unknown: true })
  const schema = z.object({ count: z.number(), names: z.array(z.string()).default([]) })
  await atomicIndexUpdate(
    file,
    (index) => {
      expect(index).toEqual({ count: 1, unknown: true })
      return { ...index, count: 2 }
    },
    { schema },
  )
  expect(readJson(file)).toEqual({ count: 2, unknown: true })
})

test('a missing file is not checked, initial is', async ({ file }) => {
  const { schema } = counting()
  const bad = atomicIndexUpdate(file, never, { schema, initial: {} as Index })
  expect(await rejection(bad)).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
  await atomicIndexUpdate(file, (index) => index ?? { count: 1 }, { schema })
  expect(readJson(file)).toEqual({ count: 1 })
})

describe('migrate', () => {
  const old = { total: 3 }
  const migrate = ({ total }: { total: number }) => ({ count: total })

  test.for([false, true])(
    'an old index is migrated once, and then passes (async: %s)',
    async (isAsync, { file }) => {
      writeJson(file, old)
      const { schema } = counting(isAsync)
      let times = 0
      const count = (index: typeof old) => {
        times++
        return isAsync ? Promise.resolve(migrate(index)) : migrate(index)
      }
      const same = (index?: Index) => index as Index
      await Promise.all(
        Array.from({ length: 5 }, () => atomicIndexUpdate(file, same, { schema, migrate: count })),
      )
      await atomicIndexUpdate(file, same, { schema, migrate: count })
      expect(readJson(file)).toEqual({ count: 3 })
      expect(times).toBe(1)
    },
  )

  test('what it returns has to pass, and what it throws is what the caller catches', async ({ file }) => {
    writeJson(file, old)
    const before = state(file)
    const { schema } = counting()
    const bad = await rejection(atomicIndexUpdate(file, never, { schema, migrate: () => ({}) as Index }))
    expect(bad.message).toContain("what the function 'migrate' returned does not pass the schema")
    const reason = new Error('no way')
    const thrown = atomicIndexUpdate(file, never, { schema, migrate: () => Promise.reject(reason) })
    expect(await rejection(thrown)).toBe(reason)
    expect(state(file)).toEqual(before)
  })
})

test('wrong arguments', async ({ file }) => {
  const update = (options: object) => rejection(atomicIndexUpdate(file, never, options))
  expect(await update({ schema: {} })).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect((await update({ schema: 1 })).message).toContain('"options.schema"')
  expect(await update({ migrate: () => ({}) })).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect(await update({ schema: counting().schema, migrate: 1 })).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
  })
  expect(names(file.replace(/[^/]*$/, ''))).toEqual([])
})

test('a stack leads to the caller', async ({ file }) => {
  writeJson(file, {})
  async function theCaller() {
    await atomicIndexUpdate(file, never, { schema: counting().schema })
  }
  expect((await rejection(theCaller())).stack).toContain('theCaller')
})

describe.each([
  ['at once', false],
  ['in its time', true],
])('a schema that answers %s, in transactions of one group', (_, isAsync) => {
  const transact = (dir: string, fn: (index: Index) => Index, schema: StandardSchema<Index>) =>
    atomicTransaction(dir, (tx) => {
      tx.write('beside.txt', 'beside')
      tx.update<Index>('index.json', (index) => fn(index!), { schema })
    })
  const add = ({ count, ...rest }: Index) => ({ ...rest, count: count + 1 })

  test('what they make is checked together', async ({ dir }) => {
    writeJson(`${dir}/index.json`, { count: 0 })
    const { schema, asked } = counting(isAsync)
    // What a schema is like is found out by its first answer.
    await transact(dir, add, schema)
    asked.length = 0
    const all = await Promise.all(Array.from({ length: 50 }, () => transact(dir, add, schema)))
    expect(readJson(`${dir}/index.json`)).toEqual({ count: 51 })
    const groups = new Set(all.map(({ transaction }) => transaction)).size
    // What is read and what is made. One that takes its time is asked in each run, whose timeout holds for it.
    if (isAsync) expect(asked.length).toBeGreaterThanOrEqual(50 + groups)
    else expect(asked.length).toBe(2 * groups)
    expect(groups).toBeLessThan(50)
  })

  test('the one whose result does not pass is left out, with all that it changes', async ({ dir }) => {
    writeJson(`${dir}/index.json`, { count: 0 })
    const { schema } = counting(isAsync)
    const bad = () => ({ names: ['bad'] }) as unknown as Index
    const settled = await Promise.allSettled([
      ...[add, add, bad, add].map((fn) => transact(dir, fn, schema)),
      atomicTransaction(dir, (tx) => {
        tx.write('of-bad.txt', 'x')
        tx.update<Index>('index.json', bad, { schema })
      }),
    ])
    expect(settled.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      'rejected',
    ])
    expect(settled[2]).toMatchObject({ reason: { code: 'ERR_ATOMIC_SCHEMA' } })
    expect(readJson(`${dir}/index.json`)).toEqual({ count: 3 })
    expect(names(dir)).not.toContain('of-bad.txt')
  })

  test('what is replaced by a later write passes, too', async ({ dir }) => {
    writeJson(`${dir}/index.json`, { count: 0 })
    const { schema } = counting(isAsync)
    const settled = await Promise.allSettled([
      transact(dir, add, schema),
      transact(dir, () => ({}) as Index, schema),
      atomicTransaction(dir, (tx) => tx.write('index.json', '{ "count": 7 }')),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(readJson(`${dir}/index.json`)).toEqual({ count: expect.any(Number) })
  })
})

test('what a transaction reads passes', async ({ dir, file }) => {
  const { schema } = counting()
  writeFileSync(file, '{}')
  const read = atomicTransaction(dir, (tx) => tx.readIndex(file, { schema }))
  expect(await rejection(read)).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
})

test('readIndex checks, and migrates what it returns', async ({ file }) => {
  writeJson(file, { total: 3 })
  const before = state(file)
  for (const isAsync of [false, true]) {
    const { schema } = counting(isAsync)
    expect(await rejection(readIndex(file, { schema }))).toMatchObject({
      code: 'ERR_ATOMIC_SCHEMA',
      path: file,
    })
    const migrate = ({ total }: { total: number }) => ({ count: total })
    expect(await readIndex(file, { schema, migrate })).toMatchObject({ value: { count: 3 }, source: 'file' })
  }
  expect(state(file)).toEqual(before)
})

test('what goes by a lock is checked too', async ({ file }) => {
  writeJson(file, { total: 1 })
  const { schema } = counting()
  const migrate = ({ total }: { total: number }) => ({ count: total })
  await withIndexLock(file, async (lock) => {
    expect(await rejection(lock.read({ schema }))).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA', path: file })
    expect(await lock.read({ schema, migrate })).toMatchObject({ value: { count: 1 } })
    expect(await rejection(lock.write({} as Index, { schema }))).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
    expect(readJson(file)).toEqual({ total: 1 })
    await lock.update((index) => index as Index, { schema, migrate })
    const update = lock.update(() => ({}) as Index, { schema })
    expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
  })
  expect(readJson(file)).toEqual({ count: 1 })
})

test('a function is told of its run also with a schema', async ({ file }) => {
  const attempts: number[] = []
  const change = (index: Index | undefined, { attempt }: { attempt: number }) => {
    attempts.push(attempt)
    return index ?? { count: 1 }
  }
  await atomicIndexUpdate(file, change, { schema: counting().schema })
  expect(attempts).toEqual([1])
})

describe('a schema that takes its time', () => {
  const never = () => new Promise<never>(() => {})
  /** Accepts what is read, and never says what it thinks of more than that. */
  const stuck = (accepted: number): StandardSchema<Index> => {
    const validate = (value: unknown) =>
      (value as Index).count <= accepted ? Promise.resolve({ value: value as Index }) : never()
    return { '~standard': { version: 1, vendor: 'spec', validate } }
  }

  test.for<[string, (stop: AbortController) => object, string]>([
    ['fnTimeout', () => ({ fnTimeout: 50 }), 'ERR_ATOMIC_FN_TIMEOUT'],
    ['a signal', (stop) => ({ signal: stop.signal }), 'ABORT_ERR'],
  ])('is given up by %s, and the next call goes on', async ([, options, code], { file }) => {
    writeJson(file, { count: 1 })
    const stop = new AbortController()
    const next = () => {
      setTimeout(() => stop.abort(), 20)
      return { count: 2 }
    }
    const update = atomicIndexUpdate(file, next, { schema: stuck(1), ...options(stop) })
    expect(await rejection(update)).toMatchObject({ code })
    await atomicIndexUpdate(file, () => ({ count: 3 }))
    expect(readJson(file)).toEqual({ count: 3 })
  })

  test('does not call a function whose call is over', async ({ file }) => {
    writeJson(file, { count: 1 })
    let goOn = () => {}
    const checked = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const validate = (value: unknown) => checked.then(() => ({ value: value as Index }))
    const schema: StandardSchema<Index> = { '~standard': { version: 1, vendor: 'spec', validate } }
    const update = atomicIndexUpdate(file, never, { schema, fnTimeout: 30 })
    expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_FN_TIMEOUT' })
    goOn()
    // It would be called, and would fail, before this update is over.
    await atomicIndexUpdate(file, () => ({ count: 2 }))
  })
})

test('modules that are loaded twice keep their schemas apart', async ({ file }) => {
  const settled = await inProcess(
    async ({ require, addon }, file) => {
      const load = () => {
        for (const name of Object.keys(require.cache)) delete require.cache[name]
        return require(addon) as typeof import('@pipeline/atomic')
      }
      const schema = (isGood: boolean): StandardSchema => {
        const validate = (value: unknown) => (isGood ? { value } : { issues: [{ message: 'no' }] })
        return { '~standard': { version: 1, vendor: 'spec', validate } }
      }
      const [one, other] = [load(), load()]
      const settled = await Promise.allSettled([
        one.atomicIndexUpdate(file, () => ({}), { schema: schema(true) }),
        other.atomicIndexUpdate(file, () => ({}), { schema: schema(false) }),
      ])
      return settled.map(({ status }) => status)
    },
    [file],
  ).returned
  expect(settled).toEqual(['fulfilled', 'rejected'])
})
