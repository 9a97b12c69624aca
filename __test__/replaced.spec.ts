// Where freeing a replaced file takes long, it is held for a moment after the answer. Its space is not lost.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { There } from './helpers/elsewhere'
import { mounted, needs, tmpfs } from './helpers/needs'
import { systemCalls } from './helpers/system-calls'

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
