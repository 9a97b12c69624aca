// What a group leaves behind when its caller aborts, or is gone, at the wrong moment.

import { writeFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('an abort while the calls still join the queue', () => {
  const races = async ({ atomicIndexUpdate, require }: Remote, file: string, late: boolean) => {
    const fs = require('node:fs') as typeof import('node:fs')
    const race = async () => {
      fs.writeFileSync(file, '{}')
      const controller = new AbortController()
      const turnsLater = async () => {
        for (let turn = 0; turn < 30; turn++) await null
        controller.abort()
      }
      const aborted = (index: any) => {
        if (late) turnsLater()
        return { ...index, b: 1 }
      }
      const calls = [
        atomicIndexUpdate(file, (index) => ({ ...index, a: 1 })),
        atomicIndexUpdate(file, aborted, { signal: controller.signal }),
      ]
      if (!late) {
        const fails = async () => {
          controller.abort()
          for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
          throw new Error('no')
        }
        calls.push(atomicIndexUpdate(file, fails))
      }
      // All of them are read and joined on the one worker before JavaScript hears of the first.
      for (const start = Date.now(); Date.now() - start < 30; );
      const [, second] = await Promise.allSettled(calls)
      await atomicIndexUpdate(file, (index) => ({ ...index, next: 1 }), { timeout: Number.POSITIVE_INFINITY })
      return { resolved: second?.status === 'fulfilled', index: JSON.parse(fs.readFileSync(file, 'utf8')) }
    }
    const outcomes = []
    for (let round = 0; round < 12; round++) outcomes.push(await race())
    return outcomes
  }

  for (const late of [false, true]) {
    const when = late ? 'after' : 'before'
    test(`${when} its group has written: it is in the file or rejected, and the index is free`, async ({
      file,
    }) => {
      const outcomes = await inProcess(races, [file, late], { env: { UV_THREADPOOL_SIZE: '1' } }).returned
      for (const { resolved, index } of outcomes) {
        expect(index).toEqual({ a: 1, ...(resolved ? { b: 1 } : {}), next: 1 })
      }
    })
  }
})

test('nothing of async functions of a group is kept', async ({ file }) => {
  const main = async ({ atomicIndexUpdate, require }: Remote, file: string) => {
    require('node:v8').setFlagsFromString('--expose-gc')
    const collect = require('node:vm').runInNewContext('gc') as () => void
    const heap = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const rounds = async (count: number) => {
      for (let round = 0; round < count; round++) {
        await Promise.all(
          Array.from({ length: 10 }, () =>
            atomicIndexUpdate(file, async (index) => ({ ...index }), { flush: false }),
          ),
        )
      }
    }
    await rounds(10)
    const before = heap()
    await rounds(60)
    return heap() - before
  }
  const records = Array.from({ length: 2_000 }, (_, at) => [`record-${at}`, { at, text: 'x'.repeat(50) }])
  writeFileSync(file, JSON.stringify(Object.fromEntries(records)))
  // An index of this size has half a megabyte; one of ten calls was kept each time.
  expect(await inProcess(main, [file]).returned).toBeLessThan(5e6)
})
