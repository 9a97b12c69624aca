// Large data: copied into memory that has been used before, written in pieces.

import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const SIZE = 8 << 20
const TIMES = 4

type Times = (there: Remote, file: string, size: number, times: number) => Promise<void>

const writers: Record<string, Times> = {
  atomicWrite: async ({ atomicWrite }, file, size, times) => {
    for (let turn = 0; turn < times; turn++) await atomicWrite(file, Buffer.alloc(size, turn))
  },
  atomicWriteAll: async ({ atomicWriteAll }, path, size, times) => {
    for (let turn = 0; turn < times; turn++) await atomicWriteAll([{ path, data: Buffer.alloc(size, turn) }])
  },
  AtomicFile: async ({ AtomicFile }, path, size, times) => {
    const file = await AtomicFile.open(path)
    for (let turn = 0; turn < times; turn++) await file.write(Buffer.alloc(size, turn))
    await file.commit()
  },
}

describe('large data', () => {
  for (const [name, write] of Object.entries(writers)) {
    needs('linux', 'strace that may attach')(
      `of ${name} is copied into memory that was used before, and written in pieces of 512 KiB`,
      async ({ dir }) => {
        const { calls } = await systemCalls(write, [join(dir, 'file'), SIZE, TIMES], {
          trace: ['madvise', 'write'],
        })
        // For fresh memory huge pages are requested; it is as large as the data, less a part of a page.
        const fresh = calls.filter(({ name, args }) => {
          const length = Number(/, (\d+), MADV_HUGEPAGE/.exec(args)?.[1])
          return name === 'madvise' && Math.abs(length - SIZE) < 64 << 10
        })
        // A piece may be copied before the previous one is written.
        expect(fresh.length).toBeGreaterThan(0)
        expect(fresh.length).toBeLessThan(TIMES)
        const pieces = calls.filter(({ name, result }) => name === 'write' && Number(result) >= 64 << 10)
        expect(pieces).toHaveLength((SIZE * TIMES) / (512 << 10))
        expect(new Set(pieces.map(({ result }) => result))).toEqual(new Set([`${512 << 10}`]))
      },
    )
  }
})
