// A snapshot that finds the files changed each time it looks.

import { join } from 'node:path'
import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'
import { contentOf, FILES, raise, seed } from '../helpers/transaction'

needs('strace that may attach')(
  'waits for the root in turn after eight rounds, and keeps transactions out of the next one',
  async ({ dir }) => {
    const root = seed(dir)
    let n = 1
    await raise({ atomicTransaction }, root, n)
    const main = ({ snapshotRead }: Remote, root: string, files: readonly string[]) =>
      snapshotRead(root, [...files])
    let code: unknown
    const { returned, calls } = await systemCalls(main, [root, FILES], {
      trace: ['pread64'],
      paths: [join(root, FILES[0])],
      // It stops in each look at the first of the files, which change then.
      inject: ['pread64:signal=SIGSTOP'],
      async whileStopped() {
        const data = contentOf(FILES[0], n + 1)
        const late = atomicTransaction(
          root,
          [
            { write: FILES[0], data },
            { write: 'other', data },
          ],
          {
            timeout: 1000,
          },
        )
        const failed = await late.then(
          () => undefined,
          (error) => error,
        )
        if (failed) code = failed.code
        else n++
      },
    })
    expect(code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    expect(returned[0]?.toString()).toBe(contentOf(FILES[0], n))
    expect(calls.length).toBeGreaterThan(8)
    expect(n).toBe(1 + 8)
  },
)
