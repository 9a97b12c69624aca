import { describe, expect } from 'vitest'
import { inProcess } from '../helpers/elsewhere'
import { test } from '../helpers/index-file'

describe('the event loop', () => {
  test('turns all the time while 64 MB are written', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite, require }, dir) => {
        const { performance } = require('node:perf_hooks')
        await atomicWrite(`${dir}/warm`, 'x')
        const data = Buffer.alloc(64 << 20, 7)
        const called = performance.now()
        let over = false
        const writing = atomicWrite(`${dir}/file`, data).finally(() => {
          over = true
        })
        const returned = performance.now()
        let [last, longest, turns] = [returned, 0, 0]
        while (!over) {
          await new Promise(setImmediate)
          const now = performance.now()
          longest = Math.max(longest, now - last)
          last = now
          turns++
        }
        await writing
        return { turns, longest, total: last - called }
      },
      [dir],
    )
    const { turns, longest, total } = await child.returned
    expect(turns).toBeGreaterThan(50)
    // What blocks the loop is part of the whole; were the write done on it, it would be all of it.
    expect(longest).toBeLessThan(Math.max(total / 2, 100))
  })

  test('answers others while hundreds of writes wait', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite }, dir) => {
        const writing = Promise.all(Array.from({ length: 150 }, (_, i) => atomicWrite(`${dir}/file`, `${i}`)))
        let ticks = 0
        const timer = setInterval(() => {
          ticks++
        }, 1)
        await writing
        clearInterval(timer)
        return ticks
      },
      [dir],
    )
    expect(await child.returned).toBeGreaterThan(20)
  })
})

describe('memory', () => {
  test('does not grow with the number of writes', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite }, dir) => {
        const round = async () => {
          for (let i = 0; i < 150; i++) {
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
        return ((await round()) - before) / (1 << 20)
      },
      [dir],
      { execArgv: ['--expose-gc'] },
    )
    // Each round writes 600 MB: losing a fifth of the copies would show.
    expect(await child.returned).toBeLessThan(100)
  })
})

describe('descriptors', () => {
  test('are all closed after a thousand writes that succeed and fail', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite, require }, dir) => {
        const fs = require('node:fs')
        const open = () => fs.readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length
        // Where freeing its blocks is slow, a replaced file is let go of a moment after the answer.
        const settled = async () => {
          for (let last = 0; last !== open(); await new Promise((resolve) => setTimeout(resolve, 50)))
            last = open()
          return open()
        }
        const round = async (count: number) => {
          const calls = Array.from({ length: count }, (_, i) => [
            atomicWrite(`${dir}/${i % 7}`, `${i}`, { flush: false }),
            atomicWrite(`${dir}/deep/${i % 7}/file`, `${i}`, { flush: false, ifChanged: true }),
            atomicWrite(dir, 'x').catch(() => {}),
            atomicWrite(`${dir}/0`, 'x', { flag: 'wx' }).catch(() => {}),
            atomicWrite(`${dir}/0/x`, 'x').catch(() => {}),
          ])
          await Promise.all(calls.flat())
        }
        await round(5)
        const before = await settled()
        await round(200)
        return (await settled()) - before
      },
      [dir],
    )
    expect(await child.returned).toBe(0)
  })
})
