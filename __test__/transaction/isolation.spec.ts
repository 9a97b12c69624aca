// Transactions at the same time: of one thread, of several processes, beside updates, writes and batches.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory, atomicTransaction, atomicWrite, snapshotRead } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { readJson } from '../helpers/index-file'
import { inProcess, inThread, type Remote } from '../helpers/processes'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { raise, seed, versions } from '../helpers/transaction'

describe('transactions of one thread', () => {
  test('that wait are committed together, each function on what the one before it has made', async ({
    dir,
  }) => {
    const order: number[] = []
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        atomicTransaction(dir, (tx) => {
          tx.write(`posts/${at}.json`, `{"at":${at}}`)
          tx.update<{ all: number[] }>(
            'index.json',
            (index) => {
              order.push(at)
              index.all.push(at)
              return index
            },
            { initial: { all: [] } },
          )
          return at
        }),
      ),
    )
    expect(results.map(({ value }) => value)).toEqual(order)
    expect(readJson(join(dir, 'index.json')).all).toEqual(order)
    expect(readdirSync(join(dir, 'posts'))).toHaveLength(200)
    expect(new Set(results.map(({ transaction }) => transaction)).size).toBeLessThan(20)
    expect(Math.max(...results.map(({ batchSize }) => batchSize))).toBeGreaterThan(10)
  })

  test('that fail are left out as a whole, and the others are not', async ({ dir }) => {
    const bad = (at: number) => at % 7 === 3
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) =>
        atomicTransaction(dir, (tx) => {
          tx.write(`posts/${at}`, '')
          tx.update<{ all: number[] }>(
            'one.json',
            (index) => {
              index.all.push(at)
              return index
            },
            { initial: { all: [] } },
          )
          tx.update<{ all: number[] }>(
            'two.json',
            (index) => {
              if (bad(at)) throw new Error(`no ${at}`)
              index.all.push(at)
              return index
            },
            { initial: { all: [] } },
          )
        }),
      ),
    )
    const good = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []))
    expect(good).toEqual(Array.from({ length: 100 }, (_, at) => at).filter((at) => !bad(at)))
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') expect(outcome.reason.message).toBe(`no ${at}`)
    }
    const sorted = (name: string) => readJson(join(dir, name)).all.toSorted((a: number, b: number) => a - b)
    expect([sorted('one.json'), sorted('two.json')]).toEqual([good, good])
    expect(
      readdirSync(join(dir, 'posts'))
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual(good)
  })

  test('one whose result is no JSON does not fail the others', async ({ dir }) => {
    const outcomes = await Promise.allSettled(
      [1, 2n, 3].map((value, at) =>
        atomicTransaction(dir, (tx) => {
          tx.update('index.json', (index) => ({ ...index, [at]: value }), { initial: {} })
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(readJson(join(dir, 'index.json'))).toEqual({ 0: 1, 2: 3 })
  })

  test('that read and then write count exactly, however many there are', async ({ dir }) => {
    writeFileSync(join(dir, 'n'), '0')
    const results = await Promise.all(
      Array.from({ length: 30 }, () =>
        atomicTransaction(dir, async (tx) => {
          const n = Number(await tx.read('n', 'utf8'))
          tx.write('n', String(n + 1))
        }),
      ),
    )
    expect(await snapshotRead(dir, ['n'])).toEqual(['30'])
    expect(Math.max(...results.map(({ attempts }) => attempts))).toBeGreaterThan(1)
  })

  test('a conflict with another program runs build again, and ends after so many retries', async ({
    dir,
  }) => {
    const file = join(dir, 'a')
    writeFileSync(file, '0')
    let runs = 0
    const meddle = async (times: number) => {
      runs = 0
      return atomicTransaction(
        dir,
        async (tx) => {
          const before = await tx.read('a', 'utf8')
          if (runs++ < times) writeFileSync(file, `${before}.`)
          tx.write('b', `${before}`)
        },
        { retries: 2 },
      )
    }
    expect(await meddle(2)).toMatchObject({ attempts: 3 })
    expect(await snapshotRead(dir, ['b'])).toEqual(['0..'])
    const error = await rejection(meddle(3))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_CONFLICT' })
    expect([runs, error.committed]).toEqual([3, undefined])
    expect(await snapshotRead(dir, ['b'])).toEqual(['0..'])
  })

  test('wait behind a slow function no longer than their timeout', async ({ dir }) => {
    const { opened, open } = gate()
    const { opened: inside, open: begin } = gate()
    const slow = atomicTransaction(dir, (tx) => {
      tx.update('index.json', async () => {
        begin()
        await opened
        return {}
      })
    })
    await inside
    const error = await rejection(atomicTransaction(dir, (tx) => tx.write('a', ''), { timeout: 50 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    open()
    await slow
  })

  test('come after a write that was called before, and before one that is called after', async ({ dir }) => {
    const calls = [atomicWrite(join(dir, 'a'), '1'), atomicTransaction(dir, (tx) => tx.write('a', '2'))]
    await Promise.all(calls)
    await Promise.all([
      atomicTransaction(dir, (tx) => tx.write('a', '3')).then(() => atomicWrite(join(dir, 'a'), '4')),
    ])
    expect(await snapshotRead(dir, ['a'])).toEqual(['4'])
  })
})

describe('transactions of several processes', () => {
  test('lose nothing, beside updates, writes and batches, in opposite orders', async ({ dir }) => {
    const root = seed(dir)
    const work = async (
      { atomicTransaction, atomicIndexUpdate, atomicWrite, atomicWriteAll }: any,
      root: string,
      turn: number,
    ) => {
      const up = (index: any) => ({ n: index.n + 1 })
      const files = turn % 2 ? ['two/index.json', 'two/topics.json'] : ['two/topics.json', 'two/index.json']
      for (let round = 0; round < 25; round++) {
        await Promise.all([
          atomicTransaction(root, (tx: any) => {
            for (const file of files) tx.update(file, up)
            tx.write('one/a.txt', `version ${round}`)
          }),
          atomicIndexUpdate(`${root}/two/index.json`, up),
          atomicWrite(`${root}/one/b.txt`, `version ${round}`),
          atomicWriteAll([
            { path: `${root}/one/a.txt`, data: 'version 7' },
            { path: `${root}/one/b.txt`, data: 'version 7' },
          ]),
        ])
      }
    }
    const running = [0, 1, 2].map((turn) => inProcess(work, [root, turn]))
    const thread = inThread(work, [root, 3])
    await Promise.all([...running, thread].map(({ returned }) => returned))
    const [, , index, topics] = versions(root)
    expect([index, topics]).toEqual([200, 100])
  })

  test('are seen by snapshotRead before or after, never in between', async ({ dir }) => {
    const root = seed(dir)
    const writer = inProcess(
      async ({ atomicTransaction, send }, root) => {
        for (let n = 1; n <= 150; n++) {
          await atomicTransaction(
            root,
            (tx) => {
              for (const file of ['one/a.txt', 'one/b.txt']) tx.write(file, `version ${n}`)
              tx.update('two/index.json', () => ({ n }))
            },
            { flush: false },
          )
        }
        send('done')
      },
      [root],
    )
    let isDone = false
    void writer.next().then(() => {
      isDone = true
    })
    let last = 0
    let changes = 0
    while (!isDone) {
      const [a, b, index] = await snapshotRead(root, ['one/a.txt', 'one/b.txt', 'two/index.json'])
      const seen = [a, b, index].map((text) => Number(/\d+/.exec(text as string)))
      expect(seen).toEqual([seen[0], seen[0], seen[0]])
      expect(seen[0]).toBeGreaterThanOrEqual(last)
      if (seen[0] !== last) changes++
      last = seen[0] as number
    }
    expect(changes).toBeGreaterThan(1)
    await writer.returned
  })

  test('take turns', async ({ dir }) => {
    const root = seed(dir)
    const work = async ({ atomicTransaction, send, receive }: Remote, root: string, name: string) => {
      const goOn = receive()
      send('ready')
      await goOn
      const at: (number | null)[] = []
      let isOver = false
      receive().then(() => {
        isOver = true
      })
      // So many only if the other process never has its turn.
      for (let n = 0; !isOver && n < 1000; n++) {
        const { transaction } = await atomicTransaction(root, [
          { write: `one/${name}.txt`, data: `${n}` },
          { write: `two/${name}.txt`, data: `${n}` },
        ])
        at.push(transaction)
        if (n === 40) send('made forty')
      }
      return at
    }
    const processes = ['x', 'y'].map((name) => inProcess(work, [root, name]))
    for (const process of processes) await process.next()
    for (const process of processes) process.send('go on')
    for (const process of processes) await process.next()
    for (const process of processes) process.send('stop')
    const [x = [], y = []] = await Promise.all(processes.map(({ returned }) => returned as Promise<number[]>))
    expect(new Set([...x, ...y]).size).toBe(x.length + y.length)
    const both = [...x.map((at) => [at, 'x'] as const), ...y.map((at) => [at, 'y'] as const)]
    const order = both.sort(([a], [b]) => a - b).map(([, who]) => who)
    // One that is left out comes when the other one has ended.
    expect(order.filter((who, at) => at > 0 && who !== order[at - 1]).length).toBeGreaterThan(5)
  })
})

test('a directory that is replaced while functions run: all goes to the new one', async ({ dir }) => {
  const root = seed(dir)
  let runs = 0
  const { transaction } = await atomicTransaction(root, (tx) => {
    tx.write('one/a.txt', 'version 9')
    tx.update('two/index.json', async (index) => {
      if (runs++ === 0) {
        const files = { 'index.json': '{"n":70}', 'topics.json': '{"n":70}' }
        await atomicDirectory(join(root, 'two'), (staging) => {
          for (const [name, text] of Object.entries(files)) writeFileSync(join(staging, name), text)
        })
      }
      return { n: index.n + 1 }
    })
  })
  expect([versions(root), runs, transaction]).toEqual([[9, 0, 71, 70], 2, 1])
})

test('a killed process gives back what it holds', async ({ dir }) => {
  const root = seed(dir)
  const holder = inProcess(
    ({ atomicTransaction, send }, root) =>
      atomicTransaction(root, (tx) => {
        tx.update('two/index.json', () => {
          send('inside')
          for (;;);
        })
      }),
    [root],
  )
  await holder.next()
  holder.kill()
  await holder.exit
  await raise({ atomicTransaction }, root, 5)
  expect(versions(root)).toEqual([5, 5, 5, 5])
})

test('a root whose lock is held by a stopped program: calls end by their timeout, and by their signal', async ({
  dir,
}) => {
  const root = seed(dir)
  await raise({ atomicTransaction }, root, 1)
  const holder = spawn('flock', [join(root, '.atomic', 'lock'), 'sh', '-c', 'echo held; sleep 100'])
  try {
    await once(holder.stdout, 'data')
    const both = () => [
      { write: 'one/a.txt', data: 'x' },
      { write: 'one/b.txt', data: 'x' },
    ]
    const error = await rejection(atomicTransaction(root, both(), { timeout: 200 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', lock: join(root, '.atomic', 'lock') })
    const controller = new AbortController()
    const { signal } = controller
    // Two calls are one group. An abort that it does not notice, or that they forget when they are tried one by one, would take an hour.
    const patient = { signal, timeout: 3_600_000 }
    const calls = [0, 1].map(() => rejection(atomicTransaction(root, both(), patient)))
    await new Promise((resolve) => setTimeout(resolve, 50))
    controller.abort()
    for (const call of calls) expect((await call).name).toBe('AbortError')
    expect(versions(root)).toEqual([1, 1, 1, 1])
  } finally {
    spawn('pkill', ['-P', String(holder.pid)])
    holder.kill('SIGKILL')
  }
})
