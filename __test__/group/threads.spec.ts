// Groups of several threads and processes on one index: each thread has its own, and they take turns.

import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { append, batchSizes, enqueued, held, inTime, times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess, inThread, inWorker, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('updates at once in several threads', () => {
  test('of several processes are all counted', async ({ dir, file }) => {
    const burst = async ({ atomicIndexUpdate }: Remote, file: string) => {
      const add = (index: { n: number }) => ({ n: index.n + 1 })
      const slowly = async (index: { n: number }) => {
        await new Promise(setImmediate)
        return add(index)
      }
      for (let round = 0; round < 4; round++) {
        const calls = Array.from({ length: 50 }, (_, at) =>
          atomicIndexUpdate(file, at % 5 ? add : slowly, { initial: { n: 0 } }),
        )
        await Promise.all(calls)
      }
    }
    const threads = ({ require }: Remote, code: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const exits = [1, 2].map(() => {
        const worker = new Worker(code, { eval: true })
        return new Promise<void>((resolve, reject) => {
          worker.once('exit', () => resolve()).once('error', reject)
        })
      })
      return Promise.all(exits).then(() => 'done')
    }
    const processes = times(3, () => inProcess(threads, [inWorker(burst, file)]).returned)
    expect(await Promise.all(processes)).toEqual(['done', 'done', 'done'])
    expect(readJson(file)).toEqual({ n: 3 * 2 * 4 * 50 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('run in the order in which they joined the queue', inTime, async ({ dir, file }) => {
    writeJson(file, [])
    const holder = await held(file)
    const ours = (at: number) => atomicIndexUpdate(file, append(`ours ${at}`))
    const calls = [ours(0), ours(1)]
    await enqueued(dir)
    const other = inThread(
      async ({ atomicIndexUpdate, atomicWrite, send }, file, elsewhere) => {
        const theirs = (at: number) => atomicIndexUpdate(file, (index: any) => [...index, `theirs ${at}`])
        const calls = [theirs(0), theirs(1), theirs(2)]
        // Done after those before it have their places.
        await atomicWrite(elsewhere, '')
        send('enqueued')
        return (await Promise.all(calls)).map(({ batchSize }) => batchSize)
      },
      [file, join(dir, 'elsewhere')],
    )
    await other.next()
    calls.push(ours(2), ours(3))
    await enqueued(dir)
    holder.release()
    expect(batchSizes(await Promise.all(calls))).toEqual([2, 2, 2, 2])
    expect(await other.returned).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual([
      ...['ours 0', 'ours 1', 'theirs 0', 'theirs 1', 'theirs 2', 'ours 2', 'ours 3'],
    ])
  })
})
