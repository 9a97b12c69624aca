// What a directory is on is asked for once in the life of a process, for its sweep: not by each call that flushes nothing.

import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import { systemCalls } from '../helpers/system-calls'

needs('strace that may attach')(
  'a call that flushes nothing does not ask what its directory is on, if an earlier one has swept there',
  async ({ dir }) => {
    const { calls } = await systemCalls(
      async ({ atomicWrite, atomicWriteSync, require }, dir) => {
        const { statSync } = require('node:fs') as typeof import('node:fs')
        const write = async (n: number) => {
          await atomicWrite(`${dir}/file`, `${n}`, { flush: false })
          atomicWriteSync(`${dir}/file`, `${n} at once`, { flush: false })
        }
        await write(0)
        statSync('/a mark', { throwIfNoEntry: false })
        for (const n of [1, 2, 3, 4, 5]) await write(n)
      },
      [dir],
      { trace: ['fstatfs', 'statx', 'stat', 'rename', 'renameat', 'renameat2'] },
    )
    const mark = calls.findIndex(({ args }) => args.includes('/a mark'))
    const count = (of: typeof calls, name: RegExp) =>
      of.filter((call) => name.test(call.name) && call.args.includes(dir)).length
    expect(mark).toBeGreaterThan(0)
    expect(count(calls.slice(0, mark), /^fstatfs$/)).toBeGreaterThan(0)
    expect(count(calls.slice(mark), /^rename/)).toBe(10)
    expect(count(calls.slice(mark), /^fstatfs$/)).toBe(0)
  },
)
