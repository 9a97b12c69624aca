// What a process leaves of its transactions when it ends, and that it does end.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { inProcess } from '../helpers/processes'
import { test } from '../helpers/test'
import { raise, seed, versions } from '../helpers/transaction'

describe('a process that ends', () => {
  test('leaves a mark in .atomic, which the next one removes, as well as half a journal', async ({ dir }) => {
    const root = seed(dir)
    for (const n of [1, 2, 3]) {
      const process = inProcess(raise, [root, n])
      await process.returned
      await process.exit
      writeFileSync(join(root, '.atomic', '.journal.0123456789ab.atomic-tmp'), 'half a jour')
    }
    await inProcess(raise, [root, 4]).returned
    expect(versions(root)).toEqual([4, 4, 4, 4])
    const kept = readdirSync(join(root, '.atomic')).map((name) => name.replace(/^\w{4}\.live$/, 'mark'))
    expect(kept.sort()).toEqual(['.gitignore', 'journal', 'lock', 'mark', 'turn'])
  })

  test('is not kept alive by a timer that was due when the last transaction ended', async ({ dir }) => {
    const root = seed(dir)
    const blocked = inProcess(
      async ({ atomicTransaction }, root) => {
        await atomicTransaction(root, [{ write: 'one/a.txt', data: '1' }])
        // Its thread has no time for the timer until after the transaction's end.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
      },
      [root],
    )
    await blocked.returned
    expect((await blocked.exit).code).toBe(0)
  })

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
