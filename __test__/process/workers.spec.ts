import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { untilClosed } from '../helpers/descriptors'
import { leftovers, numbersSeen } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, inThread } from '../helpers/processes'
import { test } from '../helpers/test'

describe('worker threads', () => {
  test('share one queue with the main thread: the order of the calls counts, not the thread', async ({
    dir,
  }) => {
    const path = join(dir, 'file')
    // The callers take turns by a counter in shared memory.
    const shared = new SharedArrayBuffer(8)
    const threads = 3
    const calls = 60
    const workers = Array.from({ length: threads }, (_, me) =>
      inThread(
        async ({ atomicWrite, require }, path, me, threads, calls) => {
          const { workerData: shared } = require('node:worker_threads')
          const counters = new Int32Array(shared)
          const pending: Promise<unknown>[] = []
          for (let call = me; call < calls; call += threads) {
            for (let now = Atomics.load(counters, 0); now !== call; now = Atomics.load(counters, 0)) {
              Atomics.wait(counters, 0, now, 100)
            }
            const data = Buffer.alloc(call % 4 === 0 ? 300_000 : 10)
            data.writeUInt32LE(call)
            pending.push(atomicWrite(path, data, { flush: false }))
            Atomics.store(counters, 0, call + 1)
            Atomics.notify(counters, 0)
          }
          await Promise.all(pending)
        },
        [path, me, threads, calls],
        { workerData: shared },
      ),
    )
    const writing = Promise.all(workers.map((worker) => worker.returned))
    expect(await numbersSeen(path, writing)).toStrictEqual({ ascending: true, last: calls - 1 })
  })

  test('that are terminated during writes leave the process alive and the queue working', async ({ dir }) => {
    const survivor = inProcess(
      async ({ addon, atomicWrite, require }, dir) => {
        const { Worker } = require('node:worker_threads')
        const code = `
          const { atomicWrite } = require(${JSON.stringify(addon)})
          const { workerData: dir, parentPort } = require('node:worker_threads')
          for (let i = 0; i < 40; i++) {
            const data = Buffer.alloc(i % 5 ? 1000 : 2 << 20, 'w')
            atomicWrite(dir + '/' + (i % 3), data, { flush: false, signal: new AbortController().signal }).catch(() => {})
            atomicWrite(dir + '/own-' + i, 'x'.repeat(5000)).catch(() => {})
          }
          parentPort.postMessage('started')
        `
        for (let round = 0; round < 16; round++) {
          const worker = new Worker(code, { eval: true, workerData: dir })
          await new Promise((resolve) => worker.once('message', resolve))
          const mine = [0, 1, 2].map((file) =>
            atomicWrite(`${dir}/${file}`, `main ${round}`, { flush: false }),
          )
          await new Promise((resolve) => setTimeout(resolve, round % 8))
          await worker.terminate()
          await Promise.all(mine)
        }
        await Promise.all([0, 1, 2].map((file) => atomicWrite(`${dir}/${file}`, 'the last')))
        return 'alive'
      },
      [dir],
    )
    expect(await survivor.returned).toBe('alive')
    expect(await survivor.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    for (const file of ['0', '1', '2']) expect(readFileSync(join(dir, file), 'utf8')).toBe('the last')
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('that are terminated start no work while they end, which would call hooks of async resources', async ({
    dir,
  }) => {
    const survivor = inProcess(
      async ({ addon, require }, dir) => {
        const { Worker } = require('node:worker_threads')
        const code = `
          require('node:async_hooks').createHook({ init() {} }).enable()
          const { atomicWrite } = require(${JSON.stringify(addon)})
          const { workerData: dir, parentPort } = require('node:worker_threads')
          const write = async (i) => {
            for (;;) await atomicWrite(dir + '/' + i, 'x')
          }
          for (let i = 0; i < 12; i++) write(i)
          setTimeout(() => parentPort.postMessage('started'), 10)
        `
        for (let round = 0; round < 20; round++) {
          const worker = new Worker(code, { eval: true, workerData: dir })
          await new Promise((resolve) => worker.once('message', resolve))
          await new Promise((resolve) => setTimeout(resolve, round % 8))
          await worker.terminate()
        }
        return 'alive'
      },
      [dir],
    )
    expect(await survivor.returned).toBe('alive')
    expect(await survivor.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  })

  test('that are terminated end, also when they call again and again whatever comes of it', async ({
    dir,
  }) => {
    const survivor = inProcess(
      async ({ addon, require }, dir) => {
        const { Worker } = require('node:worker_threads')
        const code = `
          const addon = require(${JSON.stringify(addon)})
          const { workerData: dir, parentPort } = require('node:worker_threads')
          const calls = [
            (path) => addon.atomicIndexUpdate(path, (index) => ({ n: 1 + index.n }), { initial: { n: 0 }, flush: false }),
            (path) => addon.atomicTransaction(dir, (tx) => tx.write('file', 'x')),
            (path) => addon.readIndex(path, { initial: {} }),
            (path) => addon.withIndexLock(path, async (lock) => {
              await lock.write({ n: 3 })
              throw new Error('not today')
            }),
            (path) => addon.atomicWrite(path + '.txt', 'x'.repeat(100_000)),
          ]
          const loop = async (i) => {
            for (;;) {
              try {
                await calls[Math.floor(Math.random() * calls.length)](dir + '/' + (i % 3) + '.json')
              } catch {}
            }
          }
          for (let i = 0; i < 12; i++) loop(i)
          setTimeout(() => parentPort.postMessage('started'), 10)
        `
        for (let round = 0; round < 30; round++) {
          const workers = [0, 1, 2].map(() => new Worker(code, { eval: true, workerData: dir }))
          await Promise.all(
            workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))),
          )
          await new Promise((resolve) => setTimeout(resolve, (round * 7) % 60))
          // A thread that goes on for ever would keep this process, too.
          const patience = setTimeout(() => process.exit(7), 60_000)
          await Promise.all(workers.map((worker) => worker.terminate()))
          clearTimeout(patience)
        }
        return 'alive'
      },
      [dir],
    )
    expect(await survivor.returned).toBe('alive')
    expect(await survivor.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  })

  test('may be the only ones that load the addon, and end before the process does', async ({ dir }) => {
    const host = inProcess(
      async ({ addon, require }, dir) => {
        const { Worker } = require('node:worker_threads')
        const code = `
          const { atomicWrite } = require(${JSON.stringify(addon)})
          const { workerData: path } = require('node:worker_threads')
          for (let i = 0; i < 20; i++) atomicWrite(path, String(i))
        `
        for (let i = 0; i < 5; i++) {
          const worker = new Worker(code, { eval: true, workerData: `${dir}/${i}` })
          await new Promise((resolve) => worker.once('exit', resolve))
        }
        return 'alive'
      },
      [dir],
    )
    expect(await host.returned).toBe('alive')
    expect(await host.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    for (let i = 0; i < 5; i++) expect(readFileSync(join(dir, `${i}`), 'utf8')).toBe('19')
  })

  needs('linux')('that end while their calls wait leave no descriptor open', async ({ dir }) => {
    for (let round = 0; round < 5; round++) {
      const worker = inThread(
        ({ atomicWrite, send }, dir) => {
          for (let i = 0; i < 30; i++) atomicWrite(`${dir}/file`, Buffer.alloc(1 << 20))
          send('started')
        },
        [dir],
      )
      await worker.next()
      await worker.terminate()
    }
    await atomicWrite(join(dir, 'file'), 'x')
    await untilClosed(dir)
  })
})

describe('the process', () => {
  test('ends by itself when its writes are done, those that had to wait too', async ({ dir }) => {
    const child = inProcess(
      ({ atomicWrite }, dir) => {
        for (let i = 0; i < 50; i++) atomicWrite(`${dir}/file`, `${i}`)
        atomicWrite(`${dir}/other`, 'x', { signal: new AbortController().signal })
      },
      [dir],
    )
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('49')
  })

  test('is kept alive until its writes are done', async ({ dir }) => {
    const child = inProcess(
      ({ atomicWrite, send }, dir) => {
        atomicWrite(`${dir}/file`, Buffer.alloc(16 << 20)).then(() => send('done'))
      },
      [dir],
    )
    expect(await child.next()).toBe('done')
  })

  test('may exit in the middle of many writes, with the code that it chose', async ({ dir }) => {
    for (let round = 0; round < 8; round++) {
      const child = inProcess(
        ({ atomicWrite }, dir, delay) => {
          for (let i = 0; i < 100; i++) atomicWrite(`${dir}/${i % 4}`, Buffer.alloc(100_000))
          setTimeout(() => process.exit(7), delay)
        },
        [dir, round * 4],
      )
      expect(await child.exit).toMatchObject({ code: 7, signal: null, stderr: '' })
    }
  })
})
