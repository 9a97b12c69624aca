// Where freeing a replaced file takes long, it is held for a moment after the answer. Its space is not lost.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { There } from './helpers/elsewhere'
import { mounted, needs, tmpfs } from './helpers/needs'
import { systemCalls } from './helpers/system-calls'

describe('a replaced file', () => {
  const replace = async ({ atomicWrite }: There, file: string) => {
    for (const text of ['1', '2', '3']) await atomicWrite(file, text)
    await new Promise((resolve) => setTimeout(resolve, 300))
  }

  needs('strace that may attach')(
    'is freed after the flush of its directory, which would wait behind that',
    async ({ dir }) => {
      const file = join(dir, 'file')
      writeFileSync(file, '0')
      const { calls } = await systemCalls(replace, [file], {
        trace: ['renameat', 'fsync', 'close'],
        // Freeing seems slow, from the second time on.
        inject: ['renameat:delay_enter=20000'],
      })
      const freed = calls.filter(({ name, args }) => name === 'close' && /\/file>?\s*\(deleted\)/.test(args))
      expect(freed).toHaveLength(2)
      for (const { began } of freed) {
        const before = calls.filter(({ ended }) => ended < began)
        const renamed = before.filter(({ name }) => name === 'renameat').at(-1)
        const flushed = before
          .filter(({ name, args }) => name === 'fsync' && args.includes(`<${dir}>`))
          .at(-1)
        expect(flushed?.began).toBeGreaterThan(renamed?.ended ?? Number.NaN)
      }
    },
  )
})

describe('who finds the disk full', () => {
  /** Three times the same file, of which the disk has room for two versions. */
  const replace = async ({ atomicWrite }: There, file: string, size: number) => {
    const outcomes: string[] = []
    for (const fill of [1, 2, 3]) {
      const write = atomicWrite(file, Buffer.alloc(size, fill))
      outcomes.push(
        await write.then(
          () => 'written',
          ({ code }) => code,
        ),
      )
    }
    return outcomes
  }

  needs('root that may mount', 'strace that may attach')(
    'waits for the replaced files that are held, and tries once more',
    async ({ dir }) => {
      await mounted(join(dir, 'disk'), tmpfs('1m'), async (at) => {
        const file = join(at, 'file')
        writeFileSync(file, Buffer.alloc(400 << 10))
        const { returned, calls } = await systemCalls(replace, [file, 400 << 10], {
          trace: ['renameat', 'close', '/write'],
          // The first: freeing seems slow. A thread of its own closes what was replaced, first of all that it does.
          inject: ['renameat:delay_enter=20000', 'close:delay_enter=200000:when=1'],
          env: { UV_THREADPOOL_SIZE: '1' },
        })
        const full = calls.filter(({ result }) => result.includes('ENOSPC'))
        expect(full.length).toBeGreaterThan(0)
        expect(returned).toEqual(['written', 'written', 'written'])
      })
    },
  )
})
