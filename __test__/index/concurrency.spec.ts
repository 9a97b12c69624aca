import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { increment, readJson } from '../helpers/index-file'
import { inProcess, inThread, inWorker, type ProcessOptions, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

/** `rounds` updates, one after the other; every fourth is async. */
async function count(
  { atomicIndexUpdate }: Remote,
  file: string,
  rounds: number,
  flush: boolean,
): Promise<void> {
  const add = (index: { n: number }) => ({ n: index.n + 1 })
  const slowly = async (index: { n: number }) => {
    await new Promise(setImmediate)
    return add(index)
  }
  const options = { initial: { n: 0 }, flush, timeout: Number.POSITIVE_INFINITY }
  for (let round = 0; round < rounds; round++) {
    await atomicIndexUpdate(file, round % 4 === 0 ? slowly : add, options)
  }
}

function processes(
  file: string,
  howMany: number,
  rounds: number,
  options?: ProcessOptions,
): Promise<unknown> {
  return Promise.all(
    Array.from({ length: howMany }, () => inProcess(count, [file, rounds, true], options).returned),
  )
}

/** Worker threads of one other process. */
function threads(file: string, howMany: number, rounds: number, options?: ProcessOptions): Promise<unknown> {
  const main = ({ require }: Remote, code: string, howMany: number) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
    const exits = Array.from({ length: howMany }, () => {
      const worker = new Worker(code, { eval: true })
      return new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    })
    return Promise.all(exits)
  }
  return inProcess(main, [inWorker(count, file, rounds, true), howMany], options).returned
}

const pools: [pool: string, options: ProcessOptions][] = [
  ['with the usual thread pool', {}],
  ['with a thread pool of one', { env: { UV_THREADPOOL_SIZE: '1' } }],
]

for (const [pool, options] of pools) {
  describe(`every update is counted, ${pool}`, () => {
    test('8 processes with 50 updates each', async ({ dir, file }) => {
      await processes(file, 8, 50, options)
      expect(readJson(file)).toEqual({ n: 400 })
      expect(names(dir)).toEqual(['index.json'])
    })

    test('4 worker threads with 50 updates each', async ({ dir, file }) => {
      await threads(file, 4, 50, options)
      expect(readJson(file)).toEqual({ n: 200 })
      expect(names(dir)).toEqual(['index.json'])
    })

    test('processes and worker threads mixed', async ({ dir, file }) => {
      await Promise.all([
        processes(file, 3, 25, options),
        threads(file, 3, 25, options),
        threads(file, 3, 25, options),
      ])
      expect(readJson(file)).toEqual({ n: 225 })
      expect(names(dir)).toEqual(['index.json'])
    })

    test('1,000 calls at once in one process', async ({ dir, file }) => {
      const main = async ({ atomicIndexUpdate }: Remote, file: string) => {
        const add = (index: { n: number }) => ({ n: index.n + 1 })
        const calls = Array.from({ length: 1000 }, () =>
          atomicIndexUpdate(file, add, { initial: { n: 0 }, flush: false }),
        )
        await Promise.all(calls)
      }
      await inProcess(main, [file], options).returned
      expect(readJson(file)).toEqual({ n: 1000 })
      expect(names(dir)).toEqual(['index.json'])
    })
  })
}

describe('in one process', () => {
  test('every thread and the main thread share one queue', async ({ file }) => {
    const workers = [1, 2].map(() => inThread(count, [file, 50, false]).returned)
    for (let round = 0; round < 50; round++) {
      await atomicIndexUpdate(file, increment, { initial: { n: 0 }, flush: false })
    }
    await Promise.all(workers)
    expect(readJson(file)).toEqual({ n: 150 })
  })

  test('300 indexes at once are 300 indexes', async ({ dir }) => {
    const files = Array.from({ length: 300 }, (_, at) => join(dir, `${at}.json`))
    await Promise.all(files.map((file, at) => atomicIndexUpdate(file, () => ({ at }), { flush: false })))
    expect(files.map((file) => readJson(file).at)).toEqual(files.map((_, at) => at))
    expect(names(dir)).toHaveLength(300)
  })

  test('each call at once gets a result of its own options', async ({ file }) => {
    const results = await Promise.all(
      [0, 1, 2].map((space) => atomicIndexUpdate(file, () => ({ a: 0 }), { space })),
    )
    expect(results.map(({ bytes }) => bytes)).toEqual([7, 11, 12])
  })
})

describe('readers', () => {
  test('in a loop never find the index partial, empty or missing', async ({ file }) => {
    const grow = async ({ atomicIndexUpdate }: Remote, file: string) => {
      for (let round = 0; round < 60; round++) {
        const next = { round, pad: Array.from({ length: (round % 10) * 1000 }, (_, at) => at), end: round }
        await atomicIndexUpdate(file, () => next, { flush: false, backup: round % 2 === 0 })
      }
    }
    await atomicIndexUpdate(file, () => ({ round: -1, end: -1 }))
    let running = true
    const writers = Promise.all([1, 2].map(() => inProcess(grow, [file]).returned)).finally(() => {
      running = false
    })
    let reads = 0
    while (running) {
      for (let burst = 0; burst < 20; burst++, reads++) {
        const { round, end } = JSON.parse(readFileSync(file, 'utf8'))
        expect(round).toBe(end)
      }
      await new Promise(setImmediate)
    }
    await writers
    expect(reads).toBeGreaterThan(100)
  })
})
