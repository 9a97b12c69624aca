// A transaction that is done keeps no process alive.

import { describe, expect } from 'vitest'
import { inProcess } from '../helpers/processes'
import { test } from '../helpers/test'

describe('a process', () => {
  test('ends by itself after a transaction, also if it looks at its waiting calls at that moment', async ({
    dir,
  }) => {
    const child = inProcess(
      async ({ atomicTransaction }, dir) => {
        const { signal } = new AbortController()
        // Called when the transaction is done, before the timer that looks at waiting calls is stopped: it is due then.
        signal.removeEventListener = () => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
        }
        await atomicTransaction(dir, (tx) => tx.write('file', 'x'), { signal })
      },
      [dir],
    )
    await child.returned
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  })
})
