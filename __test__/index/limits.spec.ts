import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

const FEW_DESCRIPTORS = { before: 'ulimit -n 256' }

describe('with 256 descriptors', () => {
  const updateAll = async ({ atomicIndexUpdate }: Remote, dir: string, howMany: number) => {
    const files = Array.from({ length: howMany }, (_, at) => `${dir}/${at}.json`)
    const update = async (file: string) => {
      const add = (index: { n: number }) => ({ n: index.n + 1 })
      await atomicIndexUpdate(file, add, { initial: { n: 0 }, flush: false })
    }
    await Promise.all(files.map(update))
    await Promise.all(files.map(update))
  }

  test('300 indexes are updated at once, twice', async ({ dir }) => {
    const child = inProcess(updateAll, [dir, 300], FEW_DESCRIPTORS)
    await child.returned
    expect(names(dir)).toHaveLength(300)
    expect(names(dir).every((name) => readJson(join(dir, name)).n === 2)).toBe(true)
  })

  test('300 async updates at once take their turns', async ({ dir }) => {
    const main = async ({ atomicIndexUpdate }: Remote, dir: string) => {
      const slowly = async () => {
        await new Promise(setImmediate)
        return { done: true }
      }
      const files = Array.from({ length: 300 }, (_, at) => `${dir}/${at}.json`)
      await Promise.all(files.map((file) => atomicIndexUpdate(file, slowly, { flush: false })))
    }
    await inProcess(main, [dir], FEW_DESCRIPTORS).returned
    expect(names(dir)).toHaveLength(300)
  })

  test('24 async updates at once can each update another index from inside', async ({ dir }) => {
    const main = async ({ atomicIndexUpdate }: Remote, dir: string) => {
      let [inside, enter] = [0, () => {}]
      const entered = new Promise<void>((resolve) => {
        enter = resolve
      })
      const outer = (at: number) =>
        atomicIndexUpdate(`${dir}/${at}.outer.json`, async () => {
          // When all have the locks of their outer indexes.
          if (++inside === 24) enter()
          await entered
          const options = { flush: false, timeout: Number.POSITIVE_INFINITY }
          await atomicIndexUpdate(`${dir}/${at}.inner.json`, () => ({}), options)
          return {}
        })
      await Promise.all(Array.from({ length: 24 }, (_, at) => outer(at)))
    }
    await inProcess(main, [dir], FEW_DESCRIPTORS).returned
    expect(names(dir)).toHaveLength(48)
  })
})

needs('linux')('no descriptor is leaked', async ({ dir }) => {
  const main = async ({ atomicIndexUpdate, require, until, openBelow }: Remote, dir: string) => {
    const fs = require('node:fs') as typeof import('node:fs')
    const open = () => fs.readdirSync('/proc/self/fd').length
    const fail = () => {
      throw new Error('no')
    }
    const round = async (name: string) => {
      const file = `${dir}/${name}.json`
      const outcomes = [
        atomicIndexUpdate(file, () => ({ name }), { backup: true }),
        atomicIndexUpdate(file, (index) => ({ ...index, more: 1 }), { backup: true }),
        atomicIndexUpdate(file, (index) => index),
        atomicIndexUpdate(file, fail),
        atomicIndexUpdate(file, () => Promise.reject(new Error('no'))),
        atomicIndexUpdate(file, () => 1 as never),
        atomicIndexUpdate(file, () => ({ n: 1 }), { signal: AbortSignal.timeout(0) }),
        atomicIndexUpdate(file, () => ({ n: 2 }), { timeout: 0 }),
        atomicIndexUpdate(dir, () => ({})),
        atomicIndexUpdate(`${dir}/corrupt`, () => ({})),
      ]
      await Promise.allSettled(outcomes)
    }
    fs.writeFileSync(`${dir}/corrupt`, '{')
    await round('warm')
    const before = open()
    for (let at = 0; at < 20; at++) await round(String(at))
    // A replaced file may be closed a moment after the answer.
    await until(() => openBelow(dir).length === 0)
    return open() - before
  }
  expect(await inProcess(main, [dir]).returned).toBeLessThanOrEqual(2)
  expect(names(dir).filter((name) => name.startsWith('.'))).toEqual([])
})

describe('a disk that refuses', () => {
  function fill({ atomicIndexUpdate }: Remote, file: string): Promise<unknown> {
    return atomicIndexUpdate(file, () => ({ pad: 'x'.repeat(1_000_000) }), { backup: true }).then(
      () => 'resolved',
      ({ code, errno, syscall, path }) => ({ code, errno, syscall, path }),
    )
  }

  /** The old index and backup, byte for byte, and nothing else. */
  async function expectRefused(child: Promise<unknown>, file: string, code: string, dir: string) {
    const [before, backup] = [state(file), state(`${file}.backup`)]
    expect(await child).toMatchObject({ code, syscall: 'write', path: file, errno: expect.any(Number) })
    expect(state(file)).toEqual(before)
    expect(state(`${file}.backup`)).toEqual(backup)
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
  }

  test('a limit on the size of files: EFBIG, and the index stands', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    writeJson(`${file}.backup`, { n: 0 })
    const child = inProcess(fill, [file], { before: 'ulimit -f 100' })
    await expectRefused(child.returned, file, 'EFBIG', dir)
  })

  needs('root that may mount')('a full one: ENOSPC, and the index stands', ({ dir }) =>
    mounted(join(dir, 'full'), tmpfs('256k'), async (full) => {
      const file = join(full, 'index.json')
      writeJson(file, { n: 1 })
      writeJson(`${file}.backup`, { n: 0 })
      await expectRefused(inProcess(fill, [file]).returned, file, 'ENOSPC', full)
    }),
  )
})
