// A snapshot that finds the files changed each time it looks.

import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'
import { contentOf, FILES, raise, seed } from '../helpers/transaction'

needs('strace that may attach')(
  'keeps transactions out after eight rounds, and is read however close they follow',
  async ({ dir }) => {
    const root = seed(dir)
    await raise({ atomicTransaction }, root, 1)
    let isOver = false
    const writing = (async () => {
      for (let n = 2; !isOver; n++) await raise({ atomicTransaction }, root, n)
    })()
    const main = ({ snapshotRead }: Remote, root: string, files: readonly string[]) =>
      snapshotRead(root, [...files], { timeout: 60_000 })
    // A look at all files takes longer than a transaction does.
    const reading = systemCalls(main, [root, FILES], {
      trace: ['pread64'],
      inject: ['pread64:delay_enter=15000'],
    })
    const { returned } = await reading.finally(() => {
      isOver = true
    })
    await writing
    const n = Number(/\d+/.exec(`${returned[0]}`))
    expect(returned).toEqual(FILES.map((file) => contentOf(file, n)))
  },
)
