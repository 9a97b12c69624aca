// An index that stays locked over several steps, in one process.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  acquireIndexLock,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('withIndexLock', () => {
  test('gives the lock to the function, returns what it returns, and releases it', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const returned = await withIndexLock(file, async (lock) => {
      expect(lock.path).toBe(file)
      expect(names(dir)).toContain('.index.json.lock')
      expect(await lock.read()).toMatchObject({ value: { n: 1 }, source: 'file' })
      await lock.update(increment)
      await lock.update(increment)
      expect((await lock.read()).value).toEqual({ n: 3 })
      await lock.write({ n: 10 })
      return 'done'
    })
    expect(returned).toBe('done')
    expect(readJson(file)).toEqual({ n: 10 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('rejects with what the function throws, when the lock is free', async ({ dir, file }) => {
    const thrown = { not: 'an error' }
    const failing = [
      () => {
        throw thrown
      },
      async (lock: any) => {
        await lock.update(() => ({ n: 1 }))
        throw thrown
      },
    ]
    for (const fail of failing) {
      expect(await rejection(withIndexLock(file, fail))).toBe(thrown)
      expect(names(dir)).not.toContain('.index.json.lock')
    }
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('keeps updates of the same process waiting, which come after it in their order', async ({ file }) => {
    writeJson(file, { seen: [] })
    const note = (what: string) => (index: any) => ({ seen: [...index.seen, what] })
    const [entered, go] = [gate(), gate()]
    const locked = withIndexLock(file, async (lock) => {
      entered.open()
      await go.opened
      await lock.update(note('lock 1'))
      await new Promise(setImmediate)
      await lock.update(note('lock 2'))
    })
    const updates = [1, 2, 3].map((n) => atomicIndexUpdate(file, note(`update ${n}`)))
    await entered.opened
    expect((await rejection(atomicIndexUpdate(file, note('late'), { timeout: 0 }))).code).toBe(
      'ERR_ATOMIC_LOCK_TIMEOUT',
    )
    go.open()
    await Promise.all([locked, ...updates])
    expect(readJson(file).seen).toEqual(['lock 1', 'lock 2', 'update 1', 'update 2', 'update 3'])
  })

  const reentrant: [what: string, call: (file: string) => Promise<unknown>][] = [
    ['atomicIndexUpdate', (file) => atomicIndexUpdate(file, () => ({}))],
    ['atomicIndexPatch', (file) => atomicIndexPatch(file, { set: { n: 1 } })],
    ['atomicWrite', (file) => atomicWrite(file, '{}')],
    ['withIndexLock', (file) => withIndexLock(file, () => {})],
    ['acquireIndexLock of several', (file) => acquireIndexLock([`${file}.other`, file])],
  ]
  test.for(reentrant)(
    'refuses %s of its file in its function, and says what to call',
    async ([, call], { file }) => {
      await withIndexLock(file, async (lock) => {
        const error = await rejection(call(file))
        expect(error).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT', path: file })
        expect(error.message).toContain('use lock.update or lock.write')
        // Another one is free.
        await atomicIndexUpdate(`${file}.other`, () => ({}))
        // As is this one when the lock is given back early.
        await lock.release()
        const made = await call(file)
        if (Array.isArray(made)) await Promise.all(made.map((lock) => lock.release()))
      })
    },
  )

  test('refuses a call on the lock inside the function of an update of the lock', async ({ file }) => {
    writeJson(file, { n: 1 })
    await withIndexLock(file, async (lock) => {
      const error = await rejection(
        lock.update(async (index) => {
          await lock.update(increment)
          return index
        }),
      )
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT' })
      await lock.update(increment)
    })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('refuses a call by path inside the function of an update of an acquired lock', async ({ file }) => {
    await using lock = await acquireIndexLock(file)
    const call = lock.update(async () => {
      await atomicIndexUpdate(file, increment)
      return {}
    })
    expect((await rejection(call)).code).toBe('ERR_ATOMIC_REENTRANT')
  })

  test('refuses a transaction in its function, and is refused in that of one', async ({ dir, file }) => {
    await withIndexLock(file, async () => {
      const error = await rejection(atomicTransaction(dir, (tx) => tx.write('a', 'b')))
      expect(error.code).toBe('ERR_ATOMIC_NESTED')
    })
    const error = await rejection(
      atomicTransaction(dir, (tx) => {
        tx.update('other.json', async (index) => {
          await withIndexLock(file, () => {})
          return index
        })
      }),
    )
    expect(error.code).toBe('ERR_ATOMIC_NESTED')
  })

  test('locks several indexes together, in the order of the paths', async ({ dir }) => {
    const [b, a] = [join(dir, 'b.json'), join(dir, 'a.json')]
    await withIndexLock([b, a], async (locks) => {
      expect(locks.map(({ path }) => path)).toEqual([b, a])
      expect(names(dir)).toEqual(['.a.json.lock', '.b.json.lock'])
      await locks[0].write({ is: 'b' })
      await locks[1].write({ is: 'a' })
    })
    expect([readJson(a), readJson(b)]).toEqual([{ is: 'a' }, { is: 'b' }])
    expect(names(dir)).toEqual(['a.json', 'b.json'])
    expect(await withIndexLock([], (locks) => locks.length)).toBe(0)
  })

  test('takes all locks within the timeout, or none', async ({ dir }) => {
    const [a, b] = [join(dir, 'a.json'), join(dir, 'b.json')]
    const held = await acquireIndexLock(b)
    const error = await rejection(withIndexLock([a, b], () => {}, { timeout: 50 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    await atomicIndexUpdate(a, () => ({}), { timeout: 0 })
    await held.release()
    await withIndexLock([a, b], () => {}, { timeout: 0 })
  })

  test('refuses one file under two names', async ({ dir, file }) => {
    writeJson(file, {})
    const error = await rejection(withIndexLock([file, join(dir, 'other'), `${dir}/./index.json`], () => {}))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_DUPLICATE', entry: 2, duplicateOf: 0 })
  })

  test('locks two files whose names differ in case', async ({ dir }) => {
    writeFileSync(join(dir, 'a.json'), '{}')
    // Where both names mean one file it is refused.
    if (existsSync(join(dir, 'A.json'))) return
    await withIndexLock([join(dir, 'a.json'), join(dir, 'A.json')], async ([small, large]) => {
      await small.write({ is: 'small' })
      await large.write({ is: 'large' })
    })
    expect(readJson(join(dir, 'a.json'))).toEqual({ is: 'small' })
  })
})

describe('a lock', () => {
  test('refuses what is called after its release, which can be repeated', async ({ file }) => {
    const lock = await acquireIndexLock(file)
    const update = lock.update(() => ({ n: 1 }))
    const released = lock.release()
    for (const call of [() => lock.read(), () => lock.update(increment), () => lock.write({})]) {
      const error = await rejection(call())
      expect(error.code).toBe('ERR_INVALID_STATE')
      expect(error.message).toContain('acquire it again')
    }
    await Promise.all([released, lock.release(), lock[Symbol.asyncDispose]()])
    // What was called before has its place.
    expect((await update).written).toBe(true)
  })

  test('has its calls one after the other, and updates that wait share a commit', async ({ file }) => {
    await using lock = await acquireIndexLock(file)
    const sizes = Promise.all(
      Array.from({ length: 100 }, () =>
        lock.update((index) => ({ n: index.n + 1 }), { initial: { n: 0 } }).then((done) => done.batchSize),
      ),
    )
    expect((await lock.read()).value).toEqual({ n: 100 })
    expect(Math.max(...(await sizes))).toBeGreaterThan(1)
  })

  test('can be disposed of', async ({ dir, file }) => {
    {
      await using lock = await acquireIndexLock(file)
      await lock.write([1])
    }
    expect(names(dir)).toEqual(['index.json'])
  })

  test('replaces what is no JSON, and what has numbers that JavaScript would change', async ({ file }) => {
    await using lock = await acquireIndexLock(file)
    for (const broken of ['{"torn": ', '', '{"id": 1161888007138312192}']) {
      writeFileSync(file, broken)
      expect((await rejection(lock.read())).code).toMatch(/ERR_ATOMIC_(CORRUPT|LOSSY)_INDEX/)
      expect((await rejection(lock.update(() => ({})))).code).toMatch(/ERR_ATOMIC_(CORRUPT|LOSSY)_INDEX/)
      expect((await lock.write({ whole: true }, { backup: true })).written).toBe(true)
      expect(readJson(file)).toEqual({ whole: true })
      expect(readFileSync(`${file}.backup`, 'utf8')).toBe(broken)
    }
    expect((await lock.write({ whole: true })).written).toBe(false)
  })

  test('keeps the layout of the index that it replaces', async ({ file }) => {
    writeFileSync(file, '{\r\n\t"a": 1\r\n}\r\n')
    await withIndexLock(file, (lock) => lock.write({ b: 2 }))
    expect(readFileSync(file, 'utf8')).toBe('{\r\n\t"b": 2\r\n}\r\n')
  })

  test('refuses a value that is no index, and options that are those of the lock', async ({ file }) => {
    await using lock = await acquireIndexLock(file)
    for (const value of [undefined, null, 1, 'text', () => {}]) {
      expect((await rejection(lock.write(value as any))).code).toBe('ERR_INVALID_ARG_TYPE')
    }
    expect((await rejection(lock.write(new Map()))).code).toBe('ERR_INVALID_ARG_VALUE')
    expect((await rejection(lock.update(1 as any))).code).toBe('ERR_INVALID_ARG_TYPE')
    for (const options of [{ network: 'allow' }, { fallback: 'in-place' }]) {
      expect((await rejection(lock.write({}, options as any))).code).toBe('ERR_INVALID_ARG_VALUE')
    }
  })

  test('waits for an earlier call on it no longer than the timeout says', async ({ file }) => {
    await using lock = await acquireIndexLock(file)
    const [entered, go] = [gate(), gate()]
    const slow = lock.update(async () => {
      entered.open()
      await go.opened
      return {}
    })
    await entered.opened
    // At once: one that rejects while another is awaited would be unhandled.
    const calls = [lock.read({ timeout: 0 }), lock.update(increment, { timeout: 0 })]
    for (const { code } of await Promise.all(calls.map(rejection)))
      expect(code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    const aborting = new AbortController()
    const aborted = lock.update(increment, { signal: aborting.signal })
    aborting.abort()
    expect((await rejection(aborted)).name).toBe('AbortError')
    go.open()
    await slow
  })
})

test('waiting for a lock ends with its signal, and leaves nothing', async ({ dir, file }) => {
  const lock = await acquireIndexLock(file)
  const aborting = new AbortController()
  const waiting = withIndexLock([file, join(dir, 'other')], () => {}, { signal: aborting.signal })
  aborting.abort(new Error('enough'))
  expect(await rejection(waiting)).toMatchObject({ name: 'AbortError', cause: { message: 'enough' } })
  await lock.release()
  expect(names(dir)).toEqual([])
})

test('arguments are checked as those of other functions', async ({ file }) => {
  const wrong: [call: () => Promise<unknown>, code: string][] = [
    [() => acquireIndexLock(1 as any), 'ERR_INVALID_ARG_TYPE'],
    [() => acquireIndexLock([file, 1 as any]), 'ERR_INVALID_ARG_TYPE'],
    [() => acquireIndexLock(file, { timeout: -1 }), 'ERR_INVALID_ARG_VALUE'],
    [() => acquireIndexLock(file, { network: 'maybe' as any }), 'ERR_INVALID_ARG_VALUE'],
    [() => withIndexLock(file, undefined as any), 'ERR_INVALID_ARG_TYPE'],
    [() => acquireIndexLock('s3://bucket/index.json'), 'ERR_ATOMIC_UNSUPPORTED'],
    [() => withIndexLock([file, 's3://bucket/index.json'], () => {}), 'ERR_ATOMIC_UNSUPPORTED'],
    [() => acquireIndexLock(join(file, 'missing', 'index.json'), { mkdir: false }), 'ENOENT'],
  ]
  for (const [call, code] of wrong) expect((await rejection(call())).code).toBe(code)
})
