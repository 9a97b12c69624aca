// Transactions that are committed together: each fails, waits and is aborted by itself, with its own options.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, snapshotRead, snapshotReadIndex } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir } from '../helpers/files'
import { increment, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('one call does not decide for others', () => {
  const push = (at: number) => (index: { all: number[] }) => ({ all: [...index.all, at] })

  test('what its function throws is what it rejects with, whatever that is', async ({ dir }) => {
    const odd: unknown[] = [
      undefined,
      null,
      'text',
      Object.freeze(Object.assign(new Error('mine'), { syscall: 'x' })),
    ]
    for (const thrown of odd) {
      let builds = 0
      const outcomes = await Promise.allSettled([
        atomicTransaction(dir, (tx) => tx.write('innocent', 'x')),
        atomicTransaction(dir, (tx) => {
          builds++
          tx.update('index.json', () => {
            throw thrown
          })
        }),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect((outcomes[1] as PromiseRejectedResult).reason).toBe(thrown)
      expect(builds).toBe(1)
    }
  })

  test('a stack of the user stays as it is', async ({ dir }) => {
    const { readFile } = await import('node:fs/promises')
    const mine = await rejection(readFile(join(dir, 'none')))
    const before = mine.stack
    const update = atomicTransaction(dir, (tx) => {
      tx.update('index.json', () => Promise.reject(mine))
    })
    expect((await rejection(update)).stack).toBe(before)
  })

  test('options of an update are those of its own call', async ({ dir }) => {
    writeFileSync(join(dir, 'index.json'), '{"big":12345678901234567890123}')
    const touch = (numbers: 'strict' | 'lossy') =>
      atomicTransaction(dir, (tx) => {
        tx.update('index.json', (index) => ({ ...index, at: numbers }), { numbers })
      })
    const [strict, lossy] = await Promise.allSettled([touch('strict'), touch('lossy')])
    expect([strict?.status, lossy?.status]).toEqual(['rejected', 'fulfilled'])
  })

  test('each backup is made, and a later write to its name wins', async ({ dir }) => {
    writeJson(join(dir, 'index.json'), { n: 1 })
    await Promise.all(
      ['one.json', 'two.json'].map((backup) =>
        atomicTransaction(dir, (tx) => {
          tx.update('index.json', increment, { backup })
        }),
      ),
    )
    expect(await snapshotReadIndex(dir, ['one.json', 'two.json', 'index.json'])).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
    await atomicTransaction(dir, (tx) => {
      tx.update('index.json', increment, { backup: 'one.json' })
      tx.write('one.json', 'mine')
    })
    expect(await snapshotRead(dir, ['one.json'])).toEqual(['mine'])
    await atomicTransaction(dir, (tx) => {
      tx.write('index.json', '{"n":7}')
      tx.update('index.json', increment, { backup: 'one.json' })
    })
    expect(await snapshotReadIndex(dir, ['one.json', 'index.json'])).toEqual([{ n: 4 }, { n: 8 }])
  })

  test('an index that cannot be locked fails its own calls only', async ({ dir }) => {
    mkdirSync(join(dir, '.bad.json.lock'))
    const outcomes = await Promise.allSettled([
      atomicTransaction(dir, (tx) => tx.write('innocent', 'x')),
      atomicTransaction(dir, (tx) => {
        tx.update('bad.json', () => ({}))
      }),
      atomicTransaction(dir, (tx) => {
        tx.update('good.json', push(1), { initial: { all: [] } })
      }),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  test('functions run as long as their index takes to be parsed and written, and the event loop has its turn', async ({
    dir,
  }) => {
    const FUNCTION_MS = 10
    // So many fit into the 50 ms that functions run in any case.
    const FIT = 6
    const text = 'x'.repeat(100)
    writeJson(join(dir, 'index.json'), { n: 0, all: Array.from({ length: 80_000 }, () => ({ text })) })
    let turns = 0
    const calls = Array.from({ length: 30 }, async (_, at) => {
      let turn = 0
      const { batchSize, transaction } = await atomicTransaction(dir, (tx) => {
        tx.write(`${at}`, 'x')
        tx.update('index.json', (index: any) => {
          const end = performance.now() + FUNCTION_MS
          while (performance.now() < end);
          turn = turns
          return increment(index)
        })
      })
      return { batchSize, transaction, turn }
    })
    const count = () => {
      turns++
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    const done = await Promise.all(calls).finally(() => clearImmediate(counting))
    const [largest] = done.sort((a, b) => b.batchSize - a.batchSize)
    expect(largest?.batchSize).toBeGreaterThan(FIT)
    const together = done.filter(({ transaction }) => transaction === largest?.transaction)
    expect(new Set(together.map(({ turn }) => turn)).size).toBeGreaterThan(1)
    expect((await snapshotReadIndex(dir, ['index.json']))[0]).toMatchObject({ n: 30 })
  })

  test('a function that never settles keeps no call waiting for ever', async ({ dir }) => {
    const controller = new AbortController()
    const never = rejection(
      atomicTransaction(
        dir,
        (tx) => {
          tx.update('index.json', () => new Promise<object>(() => {}))
        },
        { signal: controller.signal },
      ),
    )
    // The first of the group is committed without it, the other one waits.
    const before = atomicTransaction(dir, (tx) => tx.write('before', ''))
    const behind = rejection(atomicTransaction(dir, (tx) => tx.write('behind', ''), { timeout: 300 }))
    expect((await behind).code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    controller.abort()
    expect((await never).name).toBe('AbortError')
    await before
    await atomicTransaction(dir, (tx) => tx.write('later', ''))
  })

  test('an abort during build is told at once, and is no unhandled rejection', async ({ dir }) => {
    const controller = new AbortController()
    const { opened, open } = gate()
    const building = rejection(
      atomicTransaction(
        dir,
        async (tx) => {
          await opened
          tx.write('a', '')
        },
        { signal: controller.signal },
      ),
    )
    await new Promise(setImmediate)
    controller.abort()
    expect((await building).name).toBe('AbortError')
    open()
    await atomicTransaction(dir, (tx) => tx.write('b', ''))
    expect(await snapshotRead(dir, ['a', 'b'])).toEqual([null, ''])
  })

  test('a file that was read as missing, with its folder, must still be missing', async ({ dir }) => {
    let runs = 0
    const { value } = await atomicTransaction(dir, async (tx) => {
      const flag = await tx.read('d/flag', 'utf8')
      if (runs++ === 0) await atomicTransaction(dir, [{ write: 'd/flag', data: 'set' }])
      tx.write('seen', String(flag))
      return flag
    })
    expect([value, runs]).toEqual(['set', 2])
  })

  test('what is renamed and then updated must be what it was', async ({ dir }) => {
    const root = makeDir(dir, 'root')
    writeJson(join(root, 'a.json'), { n: 1 })
    const other = inProcess(
      async ({ atomicIndexUpdate, send, receive }, file) => {
        send('ready')
        await receive()
        await atomicIndexUpdate(file, (index) => ({ n: index.n + 100 }))
      },
      [join(root, 'a.json')],
    )
    await other.next()
    let runs = 0
    await atomicTransaction(root, (tx) => {
      tx.rename('a.json', 'b.json')
      tx.update('b.json', async (index) => {
        if (runs++ === 0) {
          other.send('go on')
          await other.returned
        }
        return { n: index.n + 1 }
      })
    })
    expect([await snapshotReadIndex(root, ['b.json']), runs]).toEqual([[{ n: 102 }], 2])
  })

  test('two names that are no UTF-8 are two files', async ({ dir }) => {
    await atomicTransaction(dir, (tx) => {
      tx.write(Buffer.from('a\xff', 'latin1'), '1')
      tx.write(Buffer.from('a\xfe', 'latin1'), '2')
    })
    const found = readdirSync(dir, { encoding: 'buffer' }).filter((name) => name[0] === 'a'.charCodeAt(0))
    expect(found).toHaveLength(2)
  })
})
