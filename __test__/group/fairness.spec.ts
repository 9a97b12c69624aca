// A group is bounded, and between groups others have their turn, even behind an endless stream.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { batchSizes, times, together } from '../helpers/group'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { inProcess, inThread, type ProcessOptions, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('a group', () => {
  const pools: [pool: string, options: ProcessOptions][] = [
    ['with the usual thread pool', {}],
    ['with a thread pool of one', { env: { UV_THREADPOOL_SIZE: '1' } }],
  ]
  for (const [pool, options] of pools) {
    test(`has no more than 1,000 calls, and 5,000 at once are all counted, ${pool}`, async ({
      dir,
      file,
    }) => {
      const main = async ({ atomicIndexUpdate }: Remote, file: string) => {
        const add = (index: { n: number }) => ({ n: index.n + 1 })
        const calls = Array.from({ length: 5000 }, () => atomicIndexUpdate(file, add, { initial: { n: 0 } }))
        return (await Promise.all(calls)).map(({ batchSize }) => batchSize)
      }
      const sizes: number[] = await inProcess(main, [file], options).returned
      expect(readJson(file)).toEqual({ n: 5000 })
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1000)
      // Each commit counts as one, whatever its size.
      expect(sizes.reduce((commits, size) => commits + 1 / size, 0)).toBeLessThan(100)
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  const slowly: [what: string, fn: (index: any) => any][] = [
    [
      'at work',
      (index) => {
        for (const end = performance.now() + 20; performance.now() < end; );
        return increment(index)
      },
    ],
    [
      'waiting',
      async (index) => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        return increment(index)
      },
    ],
  ]
  test.for(slowly)(
    'takes no more calls when its functions have been %s for long',
    async ([, fn], { file }) => {
      writeJson(file, { n: 0 })
      const calls = await together(file, () => times(20, () => atomicIndexUpdate(file, fn)))
      expect(Math.max(...batchSizes(await Promise.all(calls)))).toBeLessThan(10)
      expect(readJson(file)).toEqual({ n: 20 })
    },
  )

  test('is written without those that come later, however many do', async ({ file }) => {
    writeJson(file, { n: 0 })
    let coming = true
    const stream = async () => {
      while (coming) {
        for (let call = 0; call < 10; call++) void atomicIndexUpdate(file, increment, { flush: false })
        await new Promise(setImmediate)
      }
    }
    const streaming = stream()
    // It could wait without end if its group did not close.
    for (let round = 0; round < 5; round++) await atomicIndexUpdate(file, increment, { flush: false })
    coming = false
    await streaming
    await atomicIndexUpdate(file, (index) => index)
  })
})

describe('while one process updates without end, fifty calls at once', () => {
  /** Counts, in the index, its own commits: each begins with an object that is not the one before. */
  const stream = async ({ atomicIndexUpdate, send, receive }: Remote, file: string, atOnce: number) => {
    let [last, over]: [unknown, boolean] = [undefined, false]
    const add = (index: { commits: number }) => {
      if (index !== last) index.commits++
      last = index
      return index
    }
    const options = { initial: { commits: 0 }, flush: false }
    const updates = async () => {
      while (!over) await atomicIndexUpdate(file, add, options)
    }
    const streams = Array.from({ length: atOnce }, updates)
    await atomicIndexUpdate(file, add, options)
    const stop = receive()
    send('streaming')
    await stop
    over = true
    await Promise.all(streams)
  }

  /** How many commits of the stream came before each of ten updates, one after the other. */
  const single = async ({ atomicIndexUpdate, require }: Remote, file: string) => {
    const fs = require('node:fs') as typeof import('node:fs')
    const waits: number[] = []
    for (let round = 0; round < 10; round++) {
      // Or it would have the lock again before any other call looks.
      await new Promise((resolve) => setTimeout(resolve, 10))
      const { commits } = JSON.parse(fs.readFileSync(file, 'utf8'))
      await atomicIndexUpdate(file, (index: any) => {
        waits[round] = index.commits - commits
        return { ...index, round }
      })
    }
    return waits
  }

  /** Far more than pass with fair turns, also on a busy machine, and far fewer than pass without. */
  const BOUND = 200

  const total = (waits: number[]) => waits.reduce((sum, wait) => sum + wait, 0)

  /** Has `other` make its updates while that many threads of this process stream. */
  async function waitsOf(other: () => Promise<number[]>, file: string, threads: number) {
    const streams = times(threads, () => inThread(stream, [file, 50]))
    for (const stream of streams) await stream.next()
    const waits = await other()
    for (const stream of streams) stream.send('stop')
    await Promise.all(streams.map(({ returned }) => returned))
    return waits
  }

  // With several threads the next call is there the moment that one releases the lock.
  for (const threads of [1, 3]) {
    test(`on ${threads} threads, another process gets through`, async ({ file }) => {
      const waits = await waitsOf(() => inProcess(single, [file]).returned, file, threads)
      expect(total(waits)).toBeLessThan(BOUND)
      expect(readJson(file)).toMatchObject({ round: 9 })
    })
  }

  test('another thread of that process gets through', async ({ file }) => {
    const waits = await waitsOf(() => inThread(single, [file]).returned, file, 1)
    expect(total(waits)).toBeLessThan(BOUND)
    expect(readJson(file)).toMatchObject({ round: 9 })
  })
})
