// What many calls leave behind in their process: nothing.

import { expect } from 'vitest'
import { inProcess } from '../helpers/processes'
import { test } from '../helpers/test'

test('memory does not grow with the number of writes', async ({ dir }) => {
  const child = inProcess(
    async ({ atomicWrite }, dir) => {
      const round = async () => {
        for (let i = 0; i < 60; i++) {
          const data = Buffer.alloc(1 << 20, i)
          await Promise.all([
            atomicWrite(`${dir}/file`, data, { flush: false, verify: false }),
            atomicWrite(`${dir}/file`, '\ud800').catch(() => {}),
            atomicWrite(dir, data).catch(() => {}),
            atomicWrite(`${dir}/text`, data.toString('latin1'), { flush: false, verify: false }),
          ])
        }
        ;(globalThis as any).gc()
        return process.memoryUsage().rss
      }
      await round()
      const before = await round()
      for (let more = 0; more < 2; more++) await round()
      return ((await round()) - before) / (1 << 20)
    },
    [dir],
    { execArgv: ['--expose-gc'] },
  )
  // The rounds in between write 700 MB.
  expect(await child.returned).toBeLessThan(100)
})

test('memory does not grow with the number of patches in transactions, though garbage is collected when V8 wants to', async ({
  dir,
}) => {
  const child = inProcess(
    async ({ atomicTransaction, require }, dir) => {
      const fs = require('node:fs') as typeof import('node:fs')
      const list = Array.from({ length: 1000 }, (_, n) => ({ slug: `s${n}`, text: 'x'.repeat(8192) }))
      fs.writeFileSync(`${dir}/index.json`, JSON.stringify({ n: 0, list }))
      const round = async () => {
        for (let i = 0; i < 60; i++) {
          await atomicTransaction(dir, (tx) => void tx.patch('index.json', { increment: { '/n': 1 } }), {
            flush: false,
          })
        }
        return process.memoryUsage().rss / (1 << 20)
      }
      const before = await round()
      return (await round()) - before
    },
    [dir],
  )
  // A round makes texts of 480 MB.
  expect(await child.returned).toBeLessThan(240)
})

/** How a transaction of two files with 4 MB each ends. */
const ends = ['written', 'wrong', 'aborted', 'thrown', 'rolled back'] as const

test.for(ends)('memory does not grow with transactions of large data that are %s', async (end, { dir }) => {
  const child = inProcess(
    async ({ atomicTransaction, beginTransaction }, dir, end) => {
      const data = Buffer.alloc(4 << 20, 1)
      const paths = end === 'wrong' ? ['a', 'none/b'] : ['a', 'b']
      const list = paths.map((write) => ({ write, data }))
      const once = async () => {
        if (end === 'rolled back') {
          const tx = await beginTransaction(dir)
          for (const { write } of list) tx.write(write, data)
          return tx.rollback()
        }
        if (end === 'thrown') {
          return atomicTransaction(dir, (tx) => {
            for (const { write } of list) tx.write(write, data)
            throw new Error('on purpose')
          })
        }
        const controller = new AbortController()
        const call = atomicTransaction(dir, list, { flush: false, signal: controller.signal })
        if (end === 'aborted') controller.abort()
        return call
      }
      const round = async (count: number) => {
        for (let i = 0; i < count; i++) await once().catch(() => {})
        return process.memoryUsage().rss / (1 << 20)
      }
      const before = await round(4)
      return (await round(60)) - before
    },
    [dir, end],
  )
  // The second round has 480 MB.
  expect(await child.returned).toBeLessThan(160)
})

test('all descriptors are closed after a thousand writes that succeed and fail', async ({ dir }) => {
  const child = inProcess(
    async ({ atomicWrite, require, until, openBelow }, dir) => {
      const fs = require('node:fs') as typeof import('node:fs')
      // A replaced file may be closed a moment after the answer.
      const open = async () => {
        await until(() => process.platform !== 'linux' || openBelow(dir).length === 0)
        return fs.readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length
      }
      const round = async (count: number) => {
        const calls = Array.from({ length: count }, (_, i) => [
          atomicWrite(`${dir}/${i % 7}`, `${i}`, { flush: false }),
          atomicWrite(`${dir}/deep/${i % 7}/file`, `${i}`, { flush: false, ifChanged: true }),
          atomicWrite(dir, 'x').catch(() => {}),
          atomicWrite(`${dir}/0`, 'x', { flag: 'wx' }).catch(() => {}),
          atomicWrite(`${dir}/plain/x`, 'x').catch(() => {}),
        ])
        await Promise.all(calls.flat())
      }
      // So that no call makes a directory of that name.
      fs.writeFileSync(`${dir}/plain`, '')
      await round(5)
      const before = await open()
      await round(200)
      return (await open()) - before
    },
    [dir],
  )
  expect(await child.returned).toBe(0)
})
