// Locks for code that cannot wait.

import { pbkdf2 } from 'node:crypto'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  acquireIndexLock,
  acquireIndexLockSync,
  atomicIndexUpdate,
  atomicTransaction,
  inspectIndexLock,
  inspectIndexLockSync,
  readIndexSync,
  type TraceMessage,
  withIndexLock,
} from '@pipeline/atomic'
import { expect, onTestFinished } from 'vitest'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, inThread } from '../helpers/processes'
import { gate, thrown } from '../helpers/promises'
import { test } from '../helpers/test'

const timeout = { code: 'ERR_ATOMIC_LOCK_TIMEOUT' }
const increment = ({ n }: any) => ({ n: n + 1 })

test('a free lock is had at once, keeps others out, and is free again at its release', async ({
  dir,
  file,
}) => {
  expect(inspectIndexLockSync(file)).toEqual({ held: false, lock: expect.any(String) })
  const lock = acquireIndexLockSync(file)
  expect(inspectIndexLockSync(file)).toMatchObject({ held: true, holder: { pid: process.pid } })
  expect(inspectIndexLockSync(file)).toEqual(await inspectIndexLock(file))
  const refused = thrown(() => acquireIndexLockSync(file))
  expect(refused).toMatchObject({ ...timeout, path: file })
  expect(refused.message).toContain('an earlier call of this process; call acquireIndexLock, which waits')
  const waiting = [acquireIndexLock(file), atomicIndexUpdate(file, () => ({ n: 1 }))]
  expect(await lock.write({ n: 0 })).toMatchObject({ written: true })
  lock.releaseSync()
  lock.releaseSync()
  await lock.release()
  expect(thrown(() => lock.releaseSync.call({} as never)).name).toBe('TypeError')
  await expect(lock.read()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' })
  const next = (await waiting[0]) as Awaited<ReturnType<typeof acquireIndexLock<string>>>
  expect(readIndexSync(file).value).toEqual({ n: 0 })
  next.releaseSync()
  await waiting[1]
  expect(readJson(file)).toEqual({ n: 1 })
  const again = acquireIndexLockSync(file)
  again.releaseSync()
  expect(names(dir)).toEqual(['index.json'])
})

test('calls that were made before and have not begun come after it', async ({ file }) => {
  writeJson(file, { n: 0 })
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  const busy = Array.from({ length: 2 * threads }, () =>
    promisify(pbkdf2)('secret', 'salt', 100_000, 64, 'sha512'),
  )
  const before = Array.from({ length: 8 }, () => atomicIndexUpdate(file, increment))
  const lock = acquireIndexLockSync(file)
  expect(readIndexSync(file).value).toEqual({ n: 0 })
  await Promise.all(busy)
  expect(await lock.update(increment)).toMatchObject({ written: true })
  expect(readIndexSync(file).value).toEqual({ n: 1 })
  lock.releaseSync()
  await Promise.all(before)
  expect(readJson(file)).toEqual({ n: 9 })
})

test('it excludes the calls that were made before, whether they have begun or not, and waits for none', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  for (let round = 0; round < 30; round++) {
    const before = Array.from({ length: 8 }, () => atomicIndexUpdate(file, increment, { flush: false }))
    if (round % 2) await new Promise(setImmediate)
    try {
      using _ = acquireIndexLockSync(file)
      const { n } = readIndexSync(file).value
      const until = Date.now() + 2
      while (Date.now() < until);
      expect(readIndexSync(file).value).toEqual({ n })
    } catch (thrown) {
      expect(thrown).toMatchObject(timeout)
    }
    await Promise.all(before)
  }
  expect(readJson(file)).toEqual({ n: 240 })
})

test('a release leaves the index to the calls on the lock that are under way', async ({ file }) => {
  writeJson(file, { n: 0 })
  const [{ open, opened }, end] = [gate(), gate()]
  const lock = acquireIndexLockSync(file)
  const updating = lock.update(async (index: any) => {
    open()
    await end.opened
    return increment(index)
  })
  await opened
  lock.releaseSync()
  expect(inspectIndexLockSync(file).held).toBe(true)
  expect(thrown(() => acquireIndexLockSync(file))).toMatchObject(timeout)
  const other = atomicIndexUpdate(file, increment)
  let isReleased = false
  const released = lock.release().then(() => {
    isReleased = true
    return readJson(file).n
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isReleased).toBe(false)
  end.open()
  expect(await updating).toMatchObject({ written: true })
  expect(await released).toBeGreaterThan(0)
  await lock.release()
  await other
  expect(readJson(file)).toEqual({ n: 2 })
  expect(inspectIndexLockSync(file).held).toBe(false)
})

test('withIndexLock waits for the calls that keep the lock after its synchronous release', async ({
  file,
}) => {
  const [{ open, opened }, end] = [gate(), gate()]
  let isOver = false
  const over = withIndexLock(file, async (lock) => {
    void lock.update(
      async () => {
        open()
        await end.opened
        return { n: 1 }
      },
      { initial: {} as any },
    )
    await opened
    lock.releaseSync()
  }).then(() => {
    isOver = true
    return inspectIndexLockSync(file).held
  })
  await opened
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isOver).toBe(false)
  end.open()
  expect(await over).toBe(false)
})

test('a synchronous release counts, also when another one is refused before or after it', async ({
  file,
}) => {
  const refused = { code: 'ERR_ATOMIC_REENTRANT' }
  for (const isSyncFirst of [false, true]) {
    const lock = acquireIndexLockSync(file)
    await lock.update(
      async () => {
        await new Promise(setImmediate)
        if (isSyncFirst) lock.releaseSync()
        const released = lock.release()
        if (!isSyncFirst) lock.releaseSync()
        await expect(released).rejects.toMatchObject(refused)
        return {}
      },
      { initial: {} as any },
    )
    await lock.release()
    expect(inspectIndexLockSync(file).held).toBe(false)
  }
  const lock = acquireIndexLockSync(file)
  await lock.update(
    async () => {
      await expect(lock.release()).rejects.toMatchObject(refused)
      return { n: 1 }
    },
    { initial: {} as any },
  )
  expect(inspectIndexLockSync(file).held).toBe(true)
  lock.releaseSync()
  expect(inspectIndexLockSync(file).held).toBe(false)
})

test('a block that has it by using gives it back at its end', ({ file }) => {
  {
    using lock = acquireIndexLockSync(file, { timeout: 0 })
    expect(inspectIndexLockSync(lock.path).held).toBe(true)
  }
  expect(inspectIndexLockSync(file).held).toBe(false)
})

test('in exit handlers no function is in the way, only locks', async ({ dir, file }) => {
  const run = async (
    { acquireIndexLockSync, atomicIndexUpdate, atomicTransaction, withIndexLock, require }: any,
    dir: string,
    what: string,
  ) => {
    const { writeFileSync } = require('node:fs')
    process.on('exit', () => {
      const codes = ['free', 'index'].map((name) => {
        try {
          acquireIndexLockSync(`${dir}/${name}`).releaseSync()
          return 'had'
        } catch (error: any) {
          return error.code
        }
      })
      writeFileSync(`${dir}/codes`, JSON.stringify(codes))
    })
    const exit = () => process.exit()
    if (what === 'update') await atomicIndexUpdate(`${dir}/index`, exit)
    if (what === 'lock') await withIndexLock(`${dir}/index`, async () => exit())
    if (what === 'transaction') await atomicTransaction(dir, (tx: any) => tx.update('index', exit))
  }
  for (const what of ['update', 'lock', 'transaction']) {
    await inProcess(run, [dir, what]).exit
    expect([what, readJson(join(dir, 'codes'))]).toEqual([what, ['had', timeout.code]])
    acquireIndexLockSync(join(dir, 'index')).releaseSync()
  }
  acquireIndexLockSync(file).releaseSync()
})

needs('linux')('a process that holds as many locks as it may is told so', async ({ dir }) => {
  const run = async ({ acquireIndexLock, acquireIndexLockSync }: any, dir: string) => {
    const locks: any[] = []
    const messages: string[] = []
    try {
      for (;;) locks.push(acquireIndexLockSync(`${dir}/${locks.length}`))
    } catch (error: any) {
      messages.push(error.code, error.message)
    }
    await acquireIndexLock(`${dir}/more`, { timeout: 0 }).catch((error: any) => messages.push(error.message))
    for (const lock of locks) lock.releaseSync()
    return messages
  }
  const messages = await inProcess(run, [dir], { before: 'ulimit -n 200' }).returned
  const told = expect.stringContaining('a lock that this process holds')
  expect(messages).toEqual([timeout.code, told, told])
  expect(messages[1]).not.toContain('options.timeout')
  expect(messages[2]).toContain('options.timeout')
})

test('what another process has is not waited for, and is free when that is killed', async ({ file }) => {
  const run = async ({ acquireIndexLockSync, send, receive }: any, file: string) => {
    ;(globalThis as any).held = acquireIndexLockSync(file)
    send('held')
    await receive()
  }
  const other = inProcess(run, [file])
  await other.next()
  const since = performance.now()
  expect(thrown(() => acquireIndexLockSync(file))).toMatchObject({ ...timeout, holder: { pid: other.pid } })
  // Far less than anything that waits.
  expect(performance.now() - since).toBeLessThan(5000)
  const waiting = acquireIndexLock(file)
  other.kill()
  ;(await waiting).releaseSync()
  acquireIndexLockSync(file).releaseSync()
})

test('threads that take it as they can never have it at the same time', async ({ dir, file }) => {
  mkdirSync(join(dir, 'd'))
  const run = ({ acquireIndexLockSync, require }: any, file: string, guard: string) => {
    const { mkdirSync, rmdirSync } = require('node:fs')
    let had = 0
    while (had < 30) {
      let lock: any
      try {
        lock = acquireIndexLockSync(file)
      } catch (error: any) {
        if (error.code !== 'ERR_ATOMIC_LOCK_TIMEOUT') throw error
        continue
      }
      mkdirSync(guard)
      rmdirSync(guard)
      lock.releaseSync()
      had++
    }
    return had
  }
  const guard = join(dir, 'd', 'guard')
  const all = [inThread(run, [file, guard]), inThread(run, [file, guard]), inProcess(run, [file, guard])]
  expect(await Promise.all(all.map(({ returned }) => returned))).toEqual([30, 30, 30])
})

test('it is refused where it would wait for ever, and takes no options that wait', async ({ dir, file }) => {
  const caught: any[] = []
  const acquire = () => void caught.push(thrown(() => acquireIndexLockSync(file)).code)
  await atomicIndexUpdate(file, () => {
    acquire()
    return {}
  })
  await withIndexLock(file, async () => acquire())
  await atomicTransaction(dir, (tx) =>
    tx.update('other.json', () => {
      acquire()
      return {}
    }),
  )
  expect(caught).toEqual(['ERR_ATOMIC_REENTRANT', 'ERR_ATOMIC_REENTRANT', 'ERR_ATOMIC_NESTED'])
  for (const options of [{ timeout: 1 }, { signal: new AbortController().signal }]) {
    const wrong = thrown(() => acquireIndexLockSync(file, options as object))
    expect(wrong.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(wrong.message).toContain(`options.${Object.keys(options)[0]}`)
  }
  expect(thrown(() => acquireIndexLockSync(join(dir, 'none', 'i'), { mkdir: false })).code).toBe('ENOENT')
  expect(thrown(() => inspectIndexLockSync(join(dir, 'none', 'i'))).code).toBe('ENOENT')
  expect(thrown(() => acquireIndexLockSync(dir))).toMatchObject({ code: 'EISDIR', path: dir })
  expect(thrown(() => acquireIndexLockSync([file] as never)).code).toBe('ERR_INVALID_ARG_TYPE')
  for (const call of [acquireIndexLockSync, inspectIndexLockSync]) {
    expect(thrown(() => call('s3://bucket/key')).code).toBe('ERR_ATOMIC_UNSUPPORTED')
  }
  acquireIndexLockSync(join(dir, 'new', 'i')).releaseSync()
  expect(names(dir)).toEqual(['.atomic', 'index.json', 'new', 'other.json'])
})

test('it is published', ({ file }) => {
  const heard: TraceMessage[] = []
  const channel = tracingChannel<unknown, TraceMessage>('@pipeline/atomic:lock')
  const subscribers = { end: (message: TraceMessage) => heard.push({ ...message }) }
  channel.subscribe(subscribers as unknown as TracingChannelSubscribers<TraceMessage>)
  onTestFinished(() => channel.unsubscribe(subscribers as never))
  acquireIndexLockSync(file).releaseSync()
  const message = { function: 'acquireIndexLockSync', path: file, milliseconds: expect.any(Number) }
  expect(heard).toMatchObject([{ ...message, steps: { lock: expect.any(Number) } }])
})
