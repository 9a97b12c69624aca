// Locks that are held over several steps, among processes and threads.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acquireIndexLock, atomicIndexUpdate, withIndexLock } from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { increment, readJson, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { bound, needs } from '../helpers/needs'
import { inProcess, inThread, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { interrupt, seed, staged, versions } from '../helpers/transaction'

const hold = async ({ acquireIndexLock, send, receive }: Remote, ...files: string[]) => {
  const locks = await acquireIndexLock(files)
  send('held')
  await receive()
  return locks.length
}

describe('a lock comes free at once', () => {
  test('when its process is killed', async ({ dir, file }) => {
    const other = join(dir, 'other.json')
    const holder = inProcess(hold, [file, other])
    await holder.next()
    for (const path of [file, other]) {
      const refused = await rejection(atomicIndexUpdate(path, () => ({}), { timeout: 0 }))
      expect(refused).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', holder: { pid: holder.pid } })
    }
    const next = acquireIndexLock([file, other])
    await untilLockIsWaitedFor(file)
    holder.kill()
    const locks = await next
    await Promise.all(locks.map((lock) => lock.release()))
    expect(names(dir)).toEqual([])
  })

  test('when its worker thread is terminated, also in the middle of a function', async ({ dir, file }) => {
    for (const main of [
      hold,
      ({ withIndexLock, send }: Remote, file: string) =>
        withIndexLock(file, async (lock) => {
          await lock.update(() => {
            send('held')
            return new Promise<any>(() => {})
          })
        }),
    ]) {
      const thread = inThread(main as typeof hold, [file])
      await thread.next()
      await thread.terminate()
      await atomicIndexUpdate(file, () => ({}), { timeout: 0 })
      expect(names(dir)).toEqual(['index.json'])
    }
  })

  test('when its process ends, which it does not keep alive', async ({ dir, file }) => {
    const holder = inProcess(
      async ({ acquireIndexLock }, file) => {
        ;(globalThis as any).lock = await acquireIndexLock(file)
      },
      [file],
    )
    expect((await holder.exit).code).toBe(0)
    expect(names(dir)).toEqual([])
  })

  test('when it is garbage-collected, and the process is warned', async ({ dir, file }) => {
    const forgetful = inProcess(
      async ({ acquireIndexLock, withIndexLock, until }, file) => {
        const warnings: string[] = []
        process.on('warning', (warning: any) => warnings.push(`${warning.code} ${warning.message}`))
        // A function may forget the lock that it is given.
        const entered = withIndexLock(
          `${file}.lent`,
          () => new Promise<void>((resolve) => setTimeout(resolve, 300)),
        )
        await (async () => {
          await acquireIndexLock(file)
        })()
        await until(() => {
          ;(globalThis as any).gc()
          return warnings.length > 0
        })
        await entered
        await (await acquireIndexLock(file, { timeout: 0 })).release()
        return warnings
      },
      [file],
      { execArgv: ['--expose-gc'] },
    )
    const warnings = await forgetful.returned
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^ATOMIC_LOCK_NOT_RELEASED .*index\.json' was garbage-collected/)
    expect(names(dir)).toEqual([])
  })
})

test('no update of eight processes comes between the steps of a lock, and none is lost', async ({ file }) => {
  writeJson(file, { n: 0 })
  const [processes, each, steps] = [8, 15, 5]
  const count = async ({ atomicIndexUpdate, send, receive }: Remote, file: string, each: number) => {
    send('ready')
    await receive()
    for (let made = 0; made < each; made++) {
      await atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }), { flush: false })
    }
  }
  const counters = Array.from({ length: processes }, () => inProcess(count, [file, each]))
  await Promise.all(counters.map((counter) => counter.next()))
  for (const counter of counters) counter.send('go')
  const own = Promise.all(Array.from({ length: each }, () => atomicIndexUpdate(file, increment)))
  for (let round = 0; round < 2; round++) {
    await withIndexLock(file, async (lock) => {
      const before = (await lock.read()).value.n
      for (let step = 0; step < steps; step++) {
        await lock.update(increment)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      // What was computed from the first look is written: nothing may have come between.
      expect((await lock.read()).value.n).toBe(before + steps)
      await lock.write({ n: before + steps })
    })
  }
  await Promise.all([own, ...counters.map((counter) => counter.returned)])
  expect(readJson(file)).toEqual({ n: (processes + 1) * each + 2 * steps })
})

test('locks of several indexes in opposite orders do not wait for each other', async ({ dir }) => {
  const files = ['a', 'b', 'c'].map((name) => join(dir, `${name}.json`))
  for (const file of files) writeJson(file, { n: 0 })
  const rounds = 15
  const work = async ({ withIndexLock }: Remote, files: string[], rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      await withIndexLock(files, (locks) =>
        Promise.all(locks.map((lock) => lock.update((index) => ({ n: index.n + 1 }), { flush: false }))),
      )
    }
  }
  const [a, b, c] = files as [string, string, string]
  const orders = [
    [a, b],
    [b, a],
    [c, a],
    [b, c],
  ]
  const elsewhere = orders.map((order) => inProcess(work, [order, rounds]).returned)
  const here = orders.map((order) => work({ withIndexLock } as Remote, order, rounds))
  await Promise.all([...elsewhere, ...here])
  expect(files.map((file) => readJson(file).n)).toEqual([6 * rounds, 6 * rounds, 4 * rounds])
})

describe('500 locks', () => {
  const work = async (
    { acquireIndexLock, atomicIndexUpdate, until, openBelow }: Remote,
    dir: string,
    atOnce: number,
  ) => {
    let [held, most] = [0, 0]
    const one = async (at: number) => {
      const lock = await acquireIndexLock(`${dir}/${at}/index.json`, { timeout: Number.POSITIVE_INFINITY })
      most = Math.max(most, ++held)
      // Other calls find a worker and a descriptor meanwhile.
      if (at % 50 === 0) await atomicIndexUpdate(`${dir}/free.json`, () => [at], { flush: false })
      await lock.write({ at }, { flush: false })
      await until(() => most >= atOnce)
      held--
      await lock.release()
    }
    await Promise.all(Array.from({ length: 500 }, (_, at) => one(at)))
    // A replaced file may be closed a moment after the answer.
    await until(() => openBelow(dir).length === 0)
    return most
  }

  needs('linux')('can be held at once by a process with one worker', async ({ dir }) => {
    const env = { UV_THREADPOOL_SIZE: '1' }
    expect(await inProcess(work, [dir, 500], { env }).returned).toBe(500)
    expect(names(dir)).toHaveLength(501)
  })

  needs('linux')('leave most descriptors to other calls, and wait for each other', async ({ dir }) => {
    expect(await inProcess(work, [dir, 8], { before: 'ulimit -n 512' }).returned).toBeLessThanOrEqual(32)
    expect(names(dir)).toHaveLength(501)
  })
})

needs('linux')('calls that wait for a lock keep no descriptor from those that have one', async ({ dir }) => {
  const work = async ({ withIndexLock, acquireIndexLock, atomicIndexUpdate }: Remote, dir: string) => {
    const order: number[] = []
    const options = { timeout: Number.POSITIVE_INFINITY }
    const calls = Array.from({ length: 30 }, (_, i) =>
      withIndexLock(
        `${dir}/outer.json`,
        async () => {
          order.push(i)
          await withIndexLock(`${dir}/inner${i}.json`, () => {}, options)
        },
        options,
      ),
    )
    await Promise.all([...calls, atomicIndexUpdate(`${dir}/outer.json`, () => [order.push(30)])])
    const tooMany = Array.from({ length: 9 }, (_, i) => `${dir}/${i}.json`)
    const { code } = await acquireIndexLock(tooMany, options).catch((error) => error)
    return { order, code }
  }
  const { order, code } = await inProcess(work, [dir], { before: 'ulimit -n 128' }).returned
  expect(order).toEqual(Array.from({ length: 31 }, (_, i) => i))
  expect(code).toBe('EMFILE')
})

test('a release that is refused can be made again', async ({ file }) => {
  const lock = await acquireIndexLock(file)
  const update = lock.update(
    async () => {
      await lock.release()
      return {}
    },
    { initial: {} },
  )
  expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT' })
  await lock.write({ n: 1 })
  await lock.release()
  await lock.release()
  await atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }), { initial: { n: 0 }, timeout: 0 })
  expect(readJson(file)).toEqual({ n: 2 })
})

test('a lock of which the directory is replaced is one of no file any more', async ({ dir }) => {
  const site = join(dir, 'site')
  mkdirSync(site)
  const file = join(site, 'index.json')
  const lock = await acquireIndexLock(file)
  await lock.write({ is: 'old' })
  renameSync(site, join(dir, 'old'))
  mkdirSync(site)
  writeJson(file, { is: 'new' })
  const calls = [lock.read(), lock.write({ is: 'lost' }), lock.update(() => ({ is: 'lost' }))]
  for (const { code } of await Promise.all(calls.map(rejection))) expect(code).toBe('ENOENT')
  await lock.release()
  expect(readJson(file)).toEqual({ is: 'new' })
  expect(names(join(dir, 'old'))).toEqual(['index.json'])
})

needs('linux', 'root that may mount')(
  'a lock that may overwrite a mounted file is that of its other names, too',
  async ({ dir }) => {
    const [host, file] = [join(makeDir(dir, 'host'), 'index.json'), join(makeDir(dir, 'box'), 'index.json')]
    writeJson(host, { n: 1 })
    writeJson(file, {})
    await bound(host, file, () =>
      withIndexLock(
        file,
        async (lock) => {
          const other = atomicIndexUpdate(host, increment, { fallback: 'in-place', timeout: 0 })
          expect((await rejection(other)).code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
          expect(await lock.update(increment)).toMatchObject({ atomic: false })
        },
        { fallback: 'in-place' },
      ),
    )
    expect(readJson(host)).toEqual({ n: 2 })
  },
)

test('a thread waits for the lock of another thread, as for that of a process', async ({ file }) => {
  const lock = await acquireIndexLock(file)
  const thread = inThread(
    ({ atomicIndexUpdate, send }, file) => {
      send('calling')
      return atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }))
    },
    [file],
  )
  await thread.next()
  await lock.write({ n: 1 })
  await lock.update(increment)
  await lock.release()
  await thread.returned
  expect(readJson(file)).toEqual({ n: 3 })
})

const testKill = needs('strace that may attach', 'flock')

testKill(
  'none of several locks is held while a transaction of another process is in the way of one',
  async ({ dir }) => {
    // Locks are taken in the order of the directories' identities: that outside of the root comes first.
    const [early = '', late = ''] = ['a', 'b']
      .map((name) => makeDir(dir, name))
      .sort((one, other) => statSync(one).ino - statSync(other).ino)
    const root = seed(dir)
    for (const name of ['index.json', 'topics.json']) {
      renameSync(join(root, 'two', name), join(late, name))
    }
    rmdirSync(join(root, 'two'))
    renameSync(late, join(root, 'two'))
    await interrupt(root, 2)
    // As after a power cut: nothing in the lock files leads to the transaction.
    for (const file of staged(root)) if (file.endsWith('.lock')) rmSync(join(root, file))
    const [first, second] = [join(early, 'first.json'), join(root, 'two', 'index.json')]
    writeJson(first, { n: 0 })
    const holder = spawn('flock', [
      '-s',
      join(root, '.atomic', 'lock'),
      'sh',
      '-c',
      'echo held; read -r line',
    ])
    onTestFinished(() => void holder.kill())
    await once(holder.stdout, 'data')
    const add = async ({ acquireIndexLock, send }: Remote, files: string[]) => {
      const locks = acquireIndexLock(files)
      send('called')
      for (const lock of await locks) {
        await lock.update((index) => ({ n: index.n + 1 }))
        await lock.release()
      }
    }
    const child = inProcess(add, [[first, second]])
    await child.next()
    for (let look = 0; look < 100; look++) {
      expect(names(early)).toEqual(['first.json'])
      await sleep(5)
    }
    holder.stdin.end()
    await child.returned
    expect([readJson(first), versions(root)]).toEqual([{ n: 1 }, [1, 1, 2, 1]])
  },
)
