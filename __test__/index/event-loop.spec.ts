import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { holderOf, readJson, untilLockIsWaitedFor } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

/** More than two turns of the event loop cannot pass while the JavaScript thread does the work itself. */
const MANY = 10

function turns() {
  let count = 0
  let immediate = setImmediate(function turn() {
    count++
    immediate = setImmediate(turn)
  })
  return { count: () => count, stop: () => clearImmediate(immediate) }
}

describe('while a big index is updated, the event loop turns', () => {
  // One string: little work for JSON.parse and JSON.stringify, and as much as ever for the rest.
  const big = { text: 'ü'.repeat(10_000_000) }

  test('before fn is called: reading and checking are done elsewhere', async ({ file }) => {
    writeFileSync(file, JSON.stringify(big))
    const loop = turns()
    let before = 0
    await atomicIndexUpdate(file, (index) => {
      before = loop.count()
      return index
    })
    loop.stop()
    expect(before).toBeGreaterThan(MANY)
  })

  test('after fn has returned: writing, flushing and verifying are done elsewhere', async ({ file }) => {
    const loop = turns()
    let before = 0
    await atomicIndexUpdate(file, () => {
      before = loop.count()
      return big
    })
    loop.stop()
    expect(loop.count() - before).toBeGreaterThan(MANY)
  })

  test('between the parsing and the printing', async ({ file }) => {
    writeFileSync(file, JSON.stringify(big))
    const loop = turns()
    const { parse } = JSON
    let parsed = 0
    JSON.parse = (text, reviver) => {
      parsed = loop.count()
      return parse(text, reviver)
    }
    onTestFinished(() => {
      JSON.parse = parse
    })
    let called = 0
    // The call of fn comes a millisecond later. Where the thread gets no processor for that long, it is the same turn.
    for (let round = 0; round < 20 && !(called > parsed); round++) {
      await atomicIndexUpdate(file, (index) => {
        called = loop.count()
        return index
      })
    }
    loop.stop()
    expect(called).toBeGreaterThan(parsed)
  })

  test('while a corrupt one is looked through', async ({ file }) => {
    writeFileSync(file, JSON.stringify(big).slice(0, -1))
    const loop = turns()
    await atomicIndexUpdate(file, () => ({})).catch(() => {})
    loop.stop()
    expect(loop.count()).toBeGreaterThan(MANY)
  })
})

describe('updates that wait for another process', () => {
  const others = async (
    { atomicIndexUpdate, require, send, receive }: Remote,
    file: string,
    readable: string,
  ) => {
    const { readFile } = require('node:fs/promises') as typeof import('node:fs/promises')
    const add = (index: any) => ({ n: index.n + 1 })
    const waiting = Promise.all(Array.from({ length: 5 }, () => atomicIndexUpdate(file, add)))
    await receive()
    send(await readFile(readable, 'utf8'))
    await waiting
  }

  for (const size of ['1', '4']) {
    test(`leave the ${size} of the thread pool to others: files can be read`, async ({ dir, file }) => {
      const holder = await holderOf(file)
      const readable = join(dir, 'readable')
      writeFileSync(readable, 'text')
      const child = inProcess(others, [file, readable], { env: { UV_THREADPOOL_SIZE: size } })
      await untilLockIsWaitedFor(file)
      child.send('it waits')
      expect(await child.next()).toBe('text')
      holder.send('go on')
      await child.returned
      expect(readJson(file)).toEqual({ n: 6 })
    })
  }

  test('leave the only thread of the pool to updates of another index', async ({ dir, file }) => {
    const main = async ({ atomicIndexUpdate, send, receive }: Remote, held: string, free: string) => {
      const waiting = Promise.all(Array.from({ length: 5 }, () => atomicIndexUpdate(held, (index) => index)))
      await receive()
      await atomicIndexUpdate(free, () => ({}))
      send('updated')
      await waiting
    }
    const holder = await holderOf(file)
    const child = inProcess(main, [file, join(dir, 'free.json')], { env: { UV_THREADPOOL_SIZE: '1' } })
    await untilLockIsWaitedFor(file)
    child.send('it waits')
    expect(await child.next()).toBe('updated')
    holder.send('go on')
    await child.returned
  })

  test('take little processor time', async ({ file }) => {
    const main = async ({ atomicIndexUpdate }: Remote, file: string) => {
      const calls = Array.from({ length: 5 }, () => atomicIndexUpdate(file, () => ({}), { timeout: 1000 }))
      const before = process.cpuUsage()
      await Promise.allSettled(calls)
      const { user, system } = process.cpuUsage(before)
      return (user + system) / 1000
    }
    await holderOf(file)
    expect(await inProcess(main, [file]).returned).toBeLessThan(500)
  })
})

test('the text of a big index is not kept with what was parsed from it', async ({ file }) => {
  const size = 32 << 20
  const child = inProcess(
    async ({ atomicIndexUpdate }, file, size) => {
      const used = () => {
        ;(globalThis as any).gc()
        return process.memoryUsage().heapUsed
      }
      await atomicIndexUpdate(file, () => ({ text: 'x'.repeat(size) }))
      const before = used()
      let inside = 0
      await atomicIndexUpdate(file, (index) => {
        inside = used()
        return index
      })
      return inside - before
    },
    [file, size],
    { execArgv: ['--expose-gc'] },
  )
  const more = await child.returned
  expect(more).toBeGreaterThan(size * 0.9)
  expect(more).toBeLessThan(size * 1.5)
})
