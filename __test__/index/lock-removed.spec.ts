// The lock file of an index that another program removes, moves or replaces while it is held: the kernel's lock is on a file that nobody
// finds any more, and the next process makes another one. What was read under the old one counts for nothing.

import { tracingChannel } from 'node:diagnostics_channel'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  acquireIndexLock,
  atomicIndexUpdate,
  atomicTransaction,
  recoverIndex,
  restoreIndex,
  type TraceMessage,
  type UpdateOptions,
} from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
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
import { rejection, until } from '../helpers/promises'
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

/** Another process, which updates `file` when it is sent a message, says when it is in the function, and waits there for the next message. */
const taker = (file: string) =>
  inProcess(
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

/** Removes the lock file, and returns when `other` has made and locked a new one. It blocks, as a function that does so may not wait. */
function passOn(lock: string, other: ReturnType<typeof taker>) {
  rmSync(lock)
  other.send('go on')
  for (const end = Date.now() + 10_000; !existsSync(lock); )
    if (Date.now() > end) throw new Error('nobody has taken the lock')
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
    const other = taker(file)
    const { change, calls } = first(async () => {
      rmSync(lock)
      other.send('go on')
      await other.next()
    })
    const update = atomicIndexUpdate(file, change)
    await untilLockIsWaitedFor(file)
    const since = performance.now()
    expect(readJson(file)).toEqual({ n: 0 })
    await sleep(50)
    const waited = performance.now() - since
    other.send('go on')
    expect((await update).lockWaitMs).toBeGreaterThanOrEqual(waited)
    await other.returned
    expect(calls()).toBe(2)
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('removed when the time of the update is up: it waits for nobody any more', async ({ file, lock }) => {
    writeJson(file, { n: 0 })
    const other = taker(file)
    const timeout = 100
    const since = performance.now()
    const change = async (index: any) => {
      rmSync(lock)
      other.send('go on')
      await other.next()
      await until(() => performance.now() - since > 2 * timeout)
      return increment(index)
    }
    const error = await rejection(atomicIndexUpdate(file, change, { timeout }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    // It would have looked who has it.
    expect(error.message).not.toContain(`process ${other.pid}`)
    other.send('go on')
    await other.returned
  })

  test('removed for a group, and taken by another process: each call waits for as long as it wants', async ({
    file,
    lock,
  }) => {
    writeJson(file, { n: 0 })
    const other = taker(file)
    const controller = new AbortController()
    let isRemoved = false
    // A group takes no more calls after a slow function, so it is the last one that waits.
    const remove = (index: any) => {
      if (!isRemoved) {
        isRemoved = true
        passOn(lock, other)
      }
      return increment(index)
    }
    const before = await acquireIndexLock(file)
    const hasty = atomicIndexUpdate(file, increment, { timeout: 500 })
    const aborted = atomicIndexUpdate(file, increment, { signal: controller.signal })
    const patient = [increment, remove].map((change) => atomicIndexUpdate(file, change))
    aborted.catch(() => {})
    // All are in line when one after them is refused.
    await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))
    await before.release()
    expect(await rejection(hasty)).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    controller.abort()
    expect(await rejection(aborted)).toMatchObject({ name: 'AbortError' })
    expect(readJson(file)).toEqual({ n: 0 })
    other.send('go on')
    for (const result of await Promise.all(patient)) expect(result).toMatchObject({ written: true })
    await other.returned
    expect(readJson(file)).toEqual({ n: 3 })
  })

  test('removed for a group, and taken by another process: each call is told how long it has waited itself, and has the wait among its steps', async ({
    file,
    lock,
  }) => {
    writeJson(file, { n: 0 })
    const other = taker(file)
    const waits: number[] = []
    const channel = tracingChannel<unknown, TraceMessage>('@pipeline/atomic:update')
    const asyncEnd = ({ steps }: TraceMessage) => void waits.push(steps?.lock ?? 0)
    channel.subscribe({ asyncEnd } as never)
    onTestFinished(() => channel.unsubscribe({ asyncEnd } as never))
    let isRemoved = false
    const remove = (index: any) => {
      isRemoved = true
      passOn(lock, other)
      return increment(index)
    }
    const before = await acquireIndexLock(file)
    const timeouts = [2000, 2300, 2600]
    const updates = timeouts.map((timeout) =>
      atomicIndexUpdate(file, timeout === 2600 ? remove : increment, { timeout }),
    )
    const errors = Promise.all(updates.map(rejection))
    // All are in line when one after them is refused.
    await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))
    waits.length = 0
    await before.release()
    for (const [at, { code, message }] of (await errors).entries()) {
      expect(code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
      const waited = Number(/after (\d+) ms/.exec(message)?.[1])
      expect(waited).toBeGreaterThanOrEqual(timeouts[at] as number)
    }
    // On a machine that is so slow that no function has run, it is still to be asked to take the lock.
    for (let message = 0; message < 2; message++) other.send('go on')
    await other.returned
    if (isRemoved) expect(waits.at(-1)).toBeGreaterThan(0)
    expect(readJson(file)).toEqual({ n: 1 })
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

  test('removed while an index is recovered or restored: that is refused, and the next call uses what is set aside', async ({
    dir,
    file,
    lock,
  }) => {
    writeFileSync(file, '{')
    const refused = async (call: Promise<unknown>) => {
      const error = await rejection(call)
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_LOST', path: file })
      expect(error.message).toContain(`nothing was written, '${file}': repeat the call`)
    }
    const rebuild = () => {
      rmSync(lock)
      return { n: 8 }
    }
    await refused(recoverIndex(file, { rebuild }))
    writeJson(`${file}.backup`, { n: 1 })
    let parsed = 0
    const parse = (text: string) => {
      if (parsed++ === 0) rmSync(lock)
      return JSON.parse(text)
    }
    await refused(restoreIndex(file, 0, { codec: { parse, stringify: (value) => JSON.stringify(value) } }))
    expect(readFileSync(file, 'utf8')).toBe('{')
    // Another call that has the lock by now may rely on the name, so it is not taken back.
    const [, , aside] = names(dir)
    expect(names(dir)).toEqual([
      'index.json',
      'index.json.backup',
      expect.stringMatching(/^index\.json\.corrupt-/),
    ])
    expect(await restoreIndex(file, 0)).toMatchObject({ setAside: join(dir, `${aside}`) })
    expect(readJson(file)).toEqual({ n: 1 })
    expect(names(dir)).toHaveLength(3)
  })

  test('removed while an index is restored: no backup is made, and the next call restores the same one', async ({
    dir,
    file,
    lock,
  }) => {
    writeJson(file, { n: 2 })
    writeJson(`${file}.backup`, { n: 1 })
    const parse = (text: string) => {
      rmSync(lock, { force: true })
      return JSON.parse(text)
    }
    const codec = { parse, stringify: (value: unknown) => JSON.stringify(value) }
    expect(await rejection(restoreIndex(file, 0, { codec }))).toMatchObject({ code: 'ERR_ATOMIC_LOCK_LOST' })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
    await restoreIndex(file, 0)
    expect(readJson(file)).toEqual({ n: 1 })
    expect(readJson(`${file}.backup`)).toEqual({ n: 2 })
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
      expect(error.message).toContain('release the lock, take it again')
    }
    await refused(held.update(increment))
    await refused(held.write({ n: 7 }))
    expect(await outcomeElsewhere(file)).toBe('resolved')
    expect(readJson(file)).toEqual({ changed: true })
    writeFileSync(file, '{')
    await refused(held.recover({ rebuild: () => ({ n: 8 }) }))
    await held.release()
    expect(readFileSync(file, 'utf8')).toBe('{')
    expect(names(dir)).toEqual(['index.json', expect.stringMatching(/^index\.json\.corrupt-/)])
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { timeout: 0 })
  })
})
