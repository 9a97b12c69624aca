// The lock file of an index that another program removes, moves or replaces while it is held: the kernel's lock is on a file that nobody
// finds any more, and the next process makes another one. What was read under the old one counts for nothing.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acquireIndexLock, atomicIndexUpdate, atomicTransaction, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import {
  increment,
  lockOf,
  outcomeElsewhere,
  readJson,
  untilLockIsWaitedFor,
  writeJson,
} from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const ways: [how: string, remove: (lock: string) => void][] = [
  ['removed', (lock) => rmSync(lock)],
  ['moved away', (lock) => renameSync(lock, `${lock}.away`)],
  [
    'replaced',
    (lock) => {
      writeFileSync(`${lock}.copy`, readFileSync(lock))
      renameSync(`${lock}.copy`, lock)
    },
  ],
]

/** Runs `meddle` in the first call of the function only. */
function first(meddle: () => unknown) {
  let calls = 0
  const change = async (index: any) => {
    if (calls++ === 0) await meddle()
    return increment(index)
  }
  return { change, calls: () => calls }
}

describe('a lock file that is', () => {
  for (const [how, remove] of ways) {
    test(`${how} while fn runs: fn runs again under a new lock`, async ({ dir, file, lock }) => {
      writeJson(file, { n: 1 })
      const { change, calls } = first(() => remove(lock))
      expect(await atomicIndexUpdate(file, change)).toMatchObject({ written: true, batchSize: 1 })
      expect(calls()).toBe(2)
      expect(readJson(file)).toEqual({ n: 2 })
      expect(names(dir)).toEqual(
        how === 'moved away' ? ['.index.json.lock.away', 'index.json'] : ['index.json'],
      )
    })
  }

  const options: [what: string, options: UpdateOptions][] = [
    ['a backup', { backup: true }],
    ['no flush', { flush: false }],
    ['leave to overwrite it', { fallback: 'in-place' }],
    ['no index before', { initial: { n: 1 } }],
  ]
  for (const [what, how] of options) {
    test(`removed while fn runs, with ${what}: fn runs again`, async ({ file, lock }) => {
      if (!how.initial) writeJson(file, { n: 1 })
      const { change, calls } = first(() => rmSync(lock))
      await atomicIndexUpdate(file, change, how)
      expect(calls()).toBe(2)
      expect(readJson(file)).toEqual({ n: 2 })
      if (how.backup) expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
    })
  }

  test('removed for a group: all of its functions run again, and each counts once', async ({
    dir,
    file,
    lock,
  }) => {
    writeJson(file, { n: 0 })
    let isFirst = true
    let runs = 0
    const updates = Array.from({ length: 20 }, (_, at) =>
      atomicIndexUpdate(file, (index) => {
        runs++
        if (at === 19 && isFirst) {
          isFirst = false
          rmSync(lock)
        }
        return increment(index)
      }),
    )
    await Promise.all(updates)
    expect(runs).toBeGreaterThan(20)
    expect(readJson(file)).toEqual({ n: 20 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('removed, and taken by another process: the update waits for that one', async ({ file, lock }) => {
    writeJson(file, { n: 0 })
    const other = inProcess(
      async ({ atomicIndexUpdate, send, receive }, file) => {
        await receive()
        await atomicIndexUpdate(file, async (index) => {
          send('inside')
          await receive()
          return { n: index.n + 1 }
        })
      },
      [file],
    )
    const { change, calls } = first(async () => {
      rmSync(lock)
      other.send('go on')
      await other.next()
    })
    const update = atomicIndexUpdate(file, change)
    await untilLockIsWaitedFor(file)
    expect(readJson(file)).toEqual({ n: 0 })
    other.send('go on')
    await Promise.all([update, other.returned])
    expect(calls()).toBe(2)
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('removed each time: the update gives up after its timeout', async ({ file, lock }) => {
    writeJson(file, { n: 0 })
    const remove = (index: any) => {
      rmSync(lock)
      return increment(index)
    }
    const error = await rejection(atomicIndexUpdate(file, remove, { timeout: 100 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    expect(readJson(file)).toEqual({ n: 0 })
  })

  test('removed while functions of a transaction run: they run again', async ({ dir }) => {
    const [a, b] = ['a.json', 'b.json'].map((name) => join(dir, name)) as [string, string]
    for (const file of [a, b]) writeJson(file, { n: 1 })
    const { change, calls } = first(() => rmSync(lockOf(b)))
    for (const names of [[a, b], [b]]) {
      const before = calls()
      await atomicTransaction(dir, (tx) => {
        for (const name of names) tx.update(name, change)
      })
      expect(calls() - before).toBe(before === 0 ? 4 : 1)
    }
    expect([readJson(a), readJson(b)]).toEqual([{ n: 2 }, { n: 3 }])
    expect(names(dir)).toEqual(['.atomic', 'a.json', 'b.json'])
  })

  test('removed while it is held over several steps: what would be written is refused', async ({
    dir,
    file,
    lock,
  }) => {
    writeJson(file, { n: 1 })
    const held = await acquireIndexLock(file)
    await held.update(increment)
    rmSync(lock)
    const refused = async (call: Promise<unknown>) => {
      const error = await rejection(call)
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_LOST', path: file })
      expect(error.message).toContain('removed or replaced the lock file')
    }
    await refused(held.update(increment))
    await refused(held.write({ n: 7 }))
    expect(await outcomeElsewhere(file)).toBe('resolved')
    expect(readJson(file)).toEqual({ changed: true })
    writeFileSync(file, '{')
    await refused(held.recover({ rebuild: () => ({ n: 8 }) }))
    await held.release()
    expect(readFileSync(file, 'utf8')).toBe('{')
    expect(names(dir)).toEqual(['index.json'])
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { timeout: 0 })
  })
})
