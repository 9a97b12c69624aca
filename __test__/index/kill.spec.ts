import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { holderOf, increment, lockOf, readJson, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { inProcess, inWorker, type Remote } from '../helpers/processes'
import { until } from '../helpers/promises'
import { test } from '../helpers/test'

describe('a holder that is killed with SIGKILL', () => {
  test('inside fn: the next update need not wait, and nothing is left', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const holder = await holderOf(file)
    expect(names(dir)).toEqual(['.index.json.lock', 'index.json'])
    holder.kill()
    await holder.exit
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while others wait for it: they go ahead', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const holder = await holderOf(file)
    const updates = Promise.all([1, 2, 3].map(() => atomicIndexUpdate(file, increment)))
    await untilLockIsWaitedFor(file)
    holder.kill()
    await updates
    expect(readJson(file)).toEqual({ n: 4 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while it waits itself: no other update is affected', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const waiting = ({ atomicIndexUpdate }: Remote, file: string) => atomicIndexUpdate(file, (index) => index)
    const other = inProcess(waiting, [file])
    await untilLockIsWaitedFor(file)
    other.kill()
    await other.exit
    holder.send('go on')
    await holder.returned
    await atomicIndexUpdate(file, increment)
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('at any moment: the index is whole, no acknowledged update is lost, and others go on', async ({
    dir,
    file,
  }) => {
    const count = async ({ atomicIndexUpdate, send }: Remote, file: string) => {
      const options = { initial: { n: 0 }, backup: true, flush: false }
      for (;;) {
        let n = 0
        await atomicIndexUpdate(
          file,
          (index: { n: number }) => {
            n = index.n + 1
            return { n }
          },
          options,
        )
        send(n)
      }
    }
    for (let victim = 0; victim < 12; victim++) {
      const child = inProcess(count, [file])
      let acknowledged = 0
      for (let at = 0; at < 1 + victim * 5; at++) acknowledged = await child.next()
      child.kill()
      await child.exit
      // What it sent before it died.
      for (let n = acknowledged; n > 0; n = await child.next().catch(() => 0)) acknowledged = n
      expect(readJson(file).n).toBeGreaterThanOrEqual(acknowledged)
      expect(readJson(file).n).toBeLessThanOrEqual(acknowledged + 1)
      await atomicIndexUpdate(file, increment, { timeout: 0, flush: false })
    }
    const others = names(dir).filter((name) => !/^index\.json(\.backup)?$/.test(name))
    expect(
      others.filter((name) => !/^\.index\.json(\.backup)?\.[A-Za-z0-9]{12}\.atomic-tmp$/.test(name)),
    ).toEqual([])
    const sweeper = inProcess(
      ({ atomicIndexUpdate }, file) => atomicIndexUpdate(file, (index) => ({ n: index.n + 1 })),
      [file],
    )
    await sweeper.returned
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })
})

describe('a worker thread that is terminated', () => {
  /**
   * A process whose worker thread runs `work`, is terminated when that sends a message, and is followed by an update.
   * `isBehind`: the worker's call waits behind one of the main thread.
   */
  const terminate = async (
    { atomicIndexUpdate, require, send }: Remote,
    code: string,
    file: string,
    isBehind: boolean,
    timeout: number | null,
  ) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
    let release: ((index: object) => void) | undefined
    const held = () => new Promise<object>((resolve) => (release = resolve))
    const first = isBehind && atomicIndexUpdate(file, held)
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
    send('terminated')
    const options = { timeout: timeout ?? Number.POSITIVE_INFINITY }
    const last = atomicIndexUpdate(file, (index) => ({ ...index, last: true }), options)
    release?.({ first: true })
    await Promise.all([first, last])
  }

  const insideAsync = ({ atomicIndexUpdate, send }: Remote, file: string) => {
    setInterval(() => {}, 1000)
    return atomicIndexUpdate(file, async () => {
      setImmediate(send, 'inside')
      return new Promise(() => {})
    })
  }
  const insideSync = ({ atomicIndexUpdate, send }: Remote, file: string) =>
    atomicIndexUpdate(file, () => {
      send('inside')
      for (;;);
    })
  const insideJson = ({ atomicIndexUpdate, send }: Remote, file: string) => {
    const toJSON = () => {
      send('inside')
      for (;;);
    }
    return atomicIndexUpdate(file, () => ({ toJSON }))
  }
  const works = { 'an async fn': insideAsync, 'a sync fn': insideSync, 'a toJSON of the result': insideJson }
  for (const [where, work] of Object.entries(works)) {
    test(`inside ${where}: the process lives, and the next update need not wait`, async ({ dir, file }) => {
      const child = inProcess(terminate, [inWorker(work, file), file, false, 0])
      await child.returned
      expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(readJson(file)).toEqual({ last: true })
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  test('while its call waits: the process lives, and the others go on', async ({ dir, file }) => {
    const work = ({ atomicIndexUpdate, atomicWrite, send }: Remote, file: string, other: string) => {
      void atomicIndexUpdate(file, () => ({ lost: true }))
      // Written when the update has its place.
      return atomicWrite(other, '').then(() => send('waiting'))
    }
    const code = inWorker(work, file, join(dir, 'other'))
    const child = inProcess(terminate, [code, file, true, null])
    await child.returned
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ first: true, last: true })
    expect(names(dir)).toEqual(['index.json', 'other'])
  })

  test('inside fn: another process goes ahead, too', async ({ dir, file }) => {
    const main = async ({ require, send, receive }: Remote, code: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const worker = new Worker(code, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
      send('terminated')
      await receive()
    }
    await inProcess(main, [inWorker(insideAsync, file)]).next()
    await atomicIndexUpdate(file, () => ({ other: true }), { timeout: 0 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while it waits for another process: its own process goes on', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const work = async ({ atomicIndexUpdate, require, send, until }: Remote, file: string, lock: string) => {
      void atomicIndexUpdate(file, () => ({ lost: true }))
      await until(() => require('node:fs').statSync(lock).size > 255)
      send('waiting')
    }
    const child = inProcess(terminate, [inWorker(work, file, lockOf(file)), file, false, null])
    expect(await child.next()).toBe('terminated')
    holder.send('go on')
    await child.returned
    expect(readJson(file)).toEqual({ n: 1, last: true })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('at any moment of its updates: the process lives, and nothing is held', async ({ dir, file }) => {
    const busy = async ({ atomicIndexUpdate, send }: Remote, file: string) => {
      send('started')
      const pad = 'x'.repeat(100_000)
      for (let n = 0; ; n++) {
        await Promise.all([
          atomicIndexUpdate(file, () => ({ n, pad }), { flush: false }),
          atomicIndexUpdate(file, async () => ({ n }), { flush: false }),
        ])
      }
    }
    const main = async ({ atomicIndexUpdate, require }: Remote, code: string, file: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      for (let victim = 0; victim < 12; victim++) {
        const worker = new Worker(code, { eval: true })
        await new Promise((resolve) => worker.once('message', resolve))
        await new Promise((resolve) => setTimeout(resolve, victim))
        await worker.terminate()
        await atomicIndexUpdate(file, () => ({ victim }), { timeout: Number.POSITIVE_INFINITY })
      }
    }
    const child = inProcess(main, [inWorker(busy, file), file])
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ victim: 11 })
    expect(names(dir)).toEqual(['index.json'])
  })
})

describe('a process', () => {
  test('ends by itself after its updates', async ({ file }) => {
    const child = inProcess(
      async ({ atomicIndexUpdate }, file) => {
        await atomicIndexUpdate(file, () => ({}))
        await Promise.all([1, 2].map((n) => atomicIndexUpdate(file, () => ({ n }))))
      },
      [file],
    )
    await child.returned
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  })

  test('ends by itself after it has waited for another', async ({ file }) => {
    const holder = await holderOf(file)
    const child = inProcess(
      async ({ atomicIndexUpdate }, file) => {
        const { code } = await atomicIndexUpdate(file, () => ({}), { timeout: 50 }).catch((error) => error)
        return code
      },
      [file],
    )
    expect(await child.returned).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    holder.kill()
  })

  test('does not end while an update is on its way, awaited or not', async ({ file }) => {
    const child = inProcess(
      ({ atomicIndexUpdate }, file) => void atomicIndexUpdate(file, () => ({ n: 1 })),
      [file],
    )
    expect(await child.exit).toMatchObject({ code: 0 })
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('does not end while an update waits for another process', async ({ file }) => {
    const holder = await holderOf(file)
    const child = inProcess(
      ({ atomicIndexUpdate }, file) => void atomicIndexUpdate(file, (index) => ({ n: index.n + 1 })),
      [file],
    )
    await untilLockIsWaitedFor(file)
    holder.send('go on')
    expect(await child.exit).toMatchObject({ code: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('is not kept alive by an fn that never settles, and leaves no lock', async ({ dir, file }) => {
    const child = inProcess(
      ({ atomicIndexUpdate }, file) => void atomicIndexUpdate(file, () => new Promise(() => {})),
      [file],
    )
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(names(dir)).toEqual([])
  })

  test('that calls process.exit inside fn blocks no other', async ({ dir, file }) => {
    const child = inProcess(
      ({ atomicIndexUpdate }, file) =>
        void atomicIndexUpdate(file, async () => {
          await new Promise(setImmediate)
          process.exit(7)
        }),
      [file],
    )
    expect(await child.exit).toMatchObject({ code: 7, signal: null, stderr: '' })
    await atomicIndexUpdate(file, () => ({}), { timeout: 0 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('that calls process.exit while updates run does not crash', async ({ dir, file }) => {
    for (let delay = 0; delay < 10; delay += 2) {
      const child = inProcess(
        ({ atomicIndexUpdate }, file, delay) => {
          const pad = 'x'.repeat(100_000)
          for (let n = 0; n < 50; n++) void atomicIndexUpdate(file, () => ({ n, pad }), { flush: false })
          setTimeout(() => process.exit(0), delay)
        },
        [file, delay],
      )
      expect(await child.exit).toEqual({ code: 0, signal: null, stderr: '' })
    }
    await atomicIndexUpdate(file, () => ({ n: -1 }), { timeout: 0 })
    expect(readJson(file)).toEqual({ n: -1 })
    expect(names(dir).filter((name) => !name.endsWith('.atomic-tmp'))).toEqual(['index.json'])
  })
})

test('the lock of an fn whose promise is garbage is free again', async ({ dir, file }) => {
  const child = inProcess(
    async ({ atomicIndexUpdate, receive, send }, file) => {
      void receive()
      await new Promise<void>((resolve) => {
        void atomicIndexUpdate(file, () => {
          resolve()
          return new Promise(() => {})
        })
      })
      const collect = globalThis.gc as () => void
      const timer = setInterval(collect, 10)
      await atomicIndexUpdate(file, () => ({ n: 1 }), { timeout: Number.POSITIVE_INFINITY })
      clearInterval(timer)
      send('free')
      process.disconnect()
    },
    [file],
    { execArgv: ['--expose-gc'] },
  )
  expect(await child.next()).toBe('free')
  await until(() => names(dir).length === 1)
  expect(readJson(file)).toEqual({ n: 1 })
})
