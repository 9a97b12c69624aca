// How atomicWriteAll goes through its entries: as `for await` does.

import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { atomicWrite, atomicWriteAll, type WriteEntry } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { times } from '../helpers/group'
import { gate, rejection, until } from '../helpers/promises'
import { test } from '../helpers/test'

const file = (dir: string, at: number): WriteEntry => ({ path: join(dir, `${at}`), data: `${at}` })

/** An iterator that notes what is called. */
function noting(values: Iterable<unknown>, async: boolean) {
  const calls: string[] = []
  const inner = values[Symbol.iterator]()
  const answer = (result: object) => (async ? Promise.resolve(result) : result)
  const iterator = {
    next() {
      calls.push('next')
      return answer(inner.next())
    },
    return() {
      calls.push('return')
      return answer({ done: true, value: undefined })
    },
  }
  const iterable = { [async ? Symbol.asyncIterator : Symbol.iterator]: () => iterator }
  return { calls, iterable: iterable as unknown as Iterable<WriteEntry>, iterator }
}

describe('entries may come from', () => {
  test('an async generator that awaits in between', async ({ dir }) => {
    async function* entries() {
      for (let at = 0; at < 20; at++) {
        await nextTurn()
        yield file(dir, at)
      }
    }
    expect(await atomicWriteAll(entries())).toHaveLength(20)
    expect(names(dir)).toHaveLength(20)
  })

  test('a stream of objects', async ({ dir }) => {
    expect(await atomicWriteAll(Readable.from(times(30, (at) => file(dir, at))))).toHaveLength(30)
  })

  test('an array of promises, and of other thenables', async ({ dir }) => {
    // biome-ignore lint/suspicious/noThenProperty: what is awaited need not be a promise.
    const thenable = { then: (resolve: (entry: WriteEntry) => void) => resolve(file(dir, 2)) }
    const entries = [nextTurn(file(dir, 0)), Promise.resolve(file(dir, 1)), thenable]
    expect(await atomicWriteAll(entries as unknown as WriteEntry[])).toHaveLength(3)
    expect(names(dir)).toStrictEqual(['0', '1', '2'])
  })

  test('an object that has both kinds of iterator: the async one is taken', async ({ dir }) => {
    const both = {
      [Symbol.iterator]: () => [file(dir, 0)][Symbol.iterator](),
      async *[Symbol.asyncIterator]() {
        yield file(dir, 1)
      },
    }
    await atomicWriteAll(both)
    expect(names(dir)).toStrictEqual(['1'])
  })

  test('an iterator whose results are inherited and whose done is merely truthy', async ({ dir }) => {
    const results = [Object.create({ value: file(dir, 0), done: '' }), { done: 'yes', value: 5 }]
    const entries = { [Symbol.iterator]: () => ({ next: () => results.shift() }) }
    expect(await atomicWriteAll(entries)).toHaveLength(1)
  })
})

for (const async of [false, true]) {
  describe(`${async ? 'an async' : 'a plain'} iterator`, () => {
    test('that comes to its end is not closed', async ({ dir }) => {
      const { calls, iterable } = noting([file(dir, 0), file(dir, 1)], async)
      await atomicWriteAll(iterable)
      expect(calls).toStrictEqual(['next', 'next', 'next'])
    })

    test('is closed, once, after a bad entry, and asked for no more', async ({ dir }) => {
      const { calls, iterable } = noting([file(dir, 0), 5, file(dir, 1)], async)
      expect(await rejection(atomicWriteAll(iterable))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        entry: 1,
      })
      expect(calls).toStrictEqual(['next', 'next', 'return'])
      expect(names(dir)).toStrictEqual([])
    })

    test('is closed after a failed write', async ({ dir }) => {
      function* endless() {
        yield { path: dir, data: '' }
        for (let at = 0; ; at++) yield file(dir, at)
      }
      const { calls, iterable } = noting(endless(), async)
      expect(await rejection(atomicWriteAll(iterable))).toMatchObject({ code: 'EISDIR', entry: 0, path: dir })
      expect(calls.at(-1)).toBe('return')
      expect(calls.filter((call) => call === 'return')).toHaveLength(1)
      expect(names(dir)).toStrictEqual([])
    })

    for (const value of [new Error('mine'), undefined, 0]) {
      test(`that throws ${String(value)} rejects with that very value, and is not closed`, async ({
        dir,
      }) => {
        const { calls, iterable, iterator } = noting([], async)
        let first = true
        iterator.next = () => {
          calls.push('next')
          if (!first) throw value
          first = false
          const result = { done: false, value: file(dir, 0) }
          return async ? Promise.resolve(result) : (result as any)
        }
        expect(await rejection(atomicWriteAll(iterable))).toBe(value)
        expect(calls).toStrictEqual(['next', 'next'])
        expect(names(dir)).toStrictEqual([])
      })
    }

    test('whose return throws does not hide the first error', async ({ dir }) => {
      const { iterable, iterator } = noting([5], async)
      iterator.return = () => {
        throw new Error('no')
      }
      expect(await rejection(atomicWriteAll(iterable))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
      expect(names(dir)).toStrictEqual([])
    })

    test('whose result is no object is a TypeError', async () => {
      const { iterable, iterator } = noting([], async)
      iterator.next = () => 5 as any
      expect(await rejection(atomicWriteAll(iterable))).toBeInstanceOf(TypeError)
    })
  })
}

describe('a generator', () => {
  test('has run its finally block before the call rejects', async ({ dir }) => {
    const done: string[] = []
    async function* entries() {
      try {
        yield file(dir, 0)
        yield { path: dir, data: '' }
        for (let at = 1; ; at++) yield file(dir, at)
      } finally {
        await nextTurn()
        done.push('closed')
      }
    }
    expect(await rejection(atomicWriteAll(entries()))).toMatchObject({ code: 'EISDIR', entry: 1 })
    expect(done).toStrictEqual(['closed'])
  })

  test('that rejects rejects the call with that very value', async ({ dir }) => {
    const mine = { not: 'an error' }
    async function* entries() {
      for (let at = 0; at < 300; at++) yield file(dir, at)
      throw mine
    }
    expect(await rejection(atomicWriteAll(entries()))).toBe(mine)
    expect(names(dir)).toStrictEqual([])
  })

  test('may wait for writes, batches and updates of other files', async ({ dir }) => {
    async function* inner() {
      for (let at = 0; at < 5; at++) {
        await atomicWrite(join(dir, 'inner-log'), `${at}`)
        yield { path: join(dir, `inner-${at}`), data: '' }
      }
    }
    async function* entries() {
      for (let at = 0; at < 5; at++) {
        await atomicWrite(join(dir, 'log'), `${at}`)
        yield file(dir, at)
      }
      await atomicWriteAll(inner())
    }
    expect(await atomicWriteAll(entries())).toHaveLength(5)
    expect(names(dir)).toHaveLength(12)
  })

  test('may even write a file of the batch meanwhile: the batch is later', async ({ dir }) => {
    async function* entries() {
      yield file(dir, 0)
      await atomicWrite(join(dir, '0'), 'from within')
      yield file(dir, 1)
    }
    await atomicWriteAll(entries())
    expect(readFileSync(join(dir, '0'), 'utf8')).toBe('0')
  })

  test('runs in the async context of the caller', async ({ dir }) => {
    const storage = new AsyncLocalStorage<string>()
    const seen = new Set<string | undefined>()
    async function* entries() {
      for (let at = 0; at < 300; at++) {
        seen.add(storage.getStore())
        if (at % 100 === 0) await nextTurn()
        yield file(dir, at)
      }
    }
    const onProgress = () => void seen.add(storage.getStore())
    await storage.run('mine', () => atomicWriteAll(entries(), { onProgress, flush: false }))
    expect([...seen]).toStrictEqual(['mine'])
  })
})

describe('back-pressure', () => {
  for (const async of [false, true]) {
    test(`keeps ${async ? 'an async' : 'a plain'} iterator at most two waves ahead`, async ({ dir }) => {
      let [pulled, staged, most] = [0, 0, 0]
      function* plain() {
        for (; pulled < 1200; pulled++) {
          most = Math.max(most, pulled - staged)
          yield file(dir, pulled)
        }
      }
      const entries = async
        ? (async function* () {
            yield* plain()
          })()
        : plain()
      await atomicWriteAll(entries, {
        flush: false,
        onProgress: (done) => {
          staged = done
        },
      })
      expect(most).toBeLessThanOrEqual(512)
    })
  }

  test('counts bytes, too', async ({ dir }) => {
    let [pulled, staged, most] = [0, 0, 0]
    function* entries() {
      for (; pulled < 24; pulled++) {
        most = Math.max(most, pulled - staged)
        yield { path: join(dir, `${pulled}`), data: Buffer.alloc(4 << 20) }
      }
    }
    await atomicWriteAll(entries(), {
      flush: false,
      verify: false,
      onProgress: (done) => {
        staged = done
      },
    })
    expect(most).toBeLessThanOrEqual(8)
  })

  test('does not keep what a slow iterator has given from being staged', async ({ dir }) => {
    const { open, opened } = gate()
    const progress: number[] = []
    async function* entries() {
      yield file(dir, 0)
      yield file(dir, 1)
      await opened
      yield file(dir, 2)
    }
    const writing = atomicWriteAll(entries(), { onProgress: (done) => void progress.push(done) })
    await until(() => progress.at(-1) === 2)
    expect(names(dir).filter((name) => !name.startsWith('.'))).toStrictEqual([])
    open()
    expect(await writing).toHaveLength(3)
  })
})
