// Threads and processes that end in the middle of a group: nothing acknowledged is lost, and others go on.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess, inWorker, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('a thread that is terminated while its calls', () => {
  /**
   * A process in which a worker makes calls behind one of the main thread, which lets it go and makes more behind
   * them, and terminates the worker when it says so.
   */
  const terminate = async (
    { atomicIndexUpdate, atomicWrite, require, send }: Remote,
    code: string,
    dir: string,
  ) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
    const file = `${dir}/index.json`
    const add = (what: string) => (index: any) => [...index, what]
    let release = () => {}
    const entered = new Promise<void>((enter) => {
      const holding = async (index: any) => {
        enter()
        await new Promise<void>((resolve) => {
          release = resolve
        })
        return index
      }
      void atomicIndexUpdate(file, holding, { initial: [] })
    })
    await entered
    const worker = new Worker(code, { eval: true })
    const heard: string[] = []
    const said = (what: string) =>
      new Promise<void>((resolve) => {
        const look = () => heard.includes(what) && resolve()
        worker.on('message', ({ sent }) => {
          heard.push(sent)
          look()
        })
        look()
      })
    const enqueued = said('enqueued')
    const ready = said('ready')
    await enqueued
    const calls = Array.from({ length: 5 }, (_, at) =>
      atomicIndexUpdate(file, add(`main ${at}`), { timeout: Number.POSITIVE_INFINITY }),
    )
    await atomicWrite(`${dir}/enqueued`, '')
    if (code.includes('whileTheyWait')) {
      await worker.terminate()
      release()
    } else {
      release()
      await ready
      await worker.terminate()
    }
    send('terminated')
    await Promise.all(calls)
    await atomicIndexUpdate(file, add('last'), { timeout: Number.POSITIVE_INFINITY })
  }

  const works: [when: string, work: (there: Remote, dir: string) => unknown][] = [
    [
      'wait for their group',
      async function whileTheyWait({ atomicIndexUpdate, atomicWrite, send }, dir) {
        for (let at = 0; at < 5; at++) {
          void atomicIndexUpdate(`${dir}/index.json`, (index: any) => [...index, 'lost'])
        }
        await atomicWrite(`${dir}/ready`, '')
        send('enqueued')
      },
    ],
    [
      'are in a group, and a sync function never ends',
      async function whileOneIsAtWork({ atomicIndexUpdate, atomicWrite, send }, dir) {
        const fns: ((index: any) => any)[] = [
          (index) => [...index, 'lost'],
          (index) => {
            send('ready')
            for (;;) index.length = 0
          },
          (index) => [...index, 'lost'],
        ]
        for (const fn of fns) void atomicIndexUpdate(`${dir}/index.json`, fn)
        await atomicWrite(`${dir}/ready`, '')
        send('enqueued')
      },
    ],
    [
      'are in a group that is being made text without end',
      async function whileTheyAreText({ atomicIndexUpdate, atomicWrite, send }, dir) {
        const toJSON = () => {
          send('ready')
          for (;;);
        }
        for (let at = 0; at < 3; at++) {
          void atomicIndexUpdate(`${dir}/index.json`, (index: any) => [...index, { toJSON }])
        }
        await atomicWrite(`${dir}/ready`, '')
        send('enqueued')
      },
    ],
    [
      'are in a group, and an async function never ends that leads it',
      async function whileItLeads({ atomicIndexUpdate, atomicWrite, send }, dir) {
        const never = (): Promise<string[]> => {
          setImmediate(send, 'ready')
          return new Promise(() => {})
        }
        setInterval(() => {}, 1000)
        for (const fn of [never, (index: any) => [...index, 'lost']]) {
          void atomicIndexUpdate(`${dir}/index.json`, fn)
        }
        await atomicWrite(`${dir}/ready`, '')
        send('enqueued')
      },
    ],
  ]

  test.for(works)(
    '%s: the process lives, and the calls behind them go on',
    async ([, work], { dir, file }) => {
      const child = inProcess(terminate, [inWorker(work, dir), dir])
      expect(await child.next()).toBe('terminated')
      expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(readJson(file)).toEqual([...times(5, (at) => `main ${at}`), 'last'])
      expect(names(dir)).toEqual(['enqueued', 'index.json', 'ready'])
    },
  )

  test('stream in groups, at any moment: the others are counted, and nothing is held', async ({
    dir,
    file,
  }) => {
    const busy = async ({ atomicIndexUpdate, send }: Remote, file: string) => {
      send('started')
      const add = (index: any) => ({ ...index, pad: 'x'.repeat(10_000) })
      for (;;) {
        await Promise.all(Array.from({ length: 20 }, () => atomicIndexUpdate(file, add, { flush: false })))
      }
    }
    const main = async ({ atomicIndexUpdate, require }: Remote, code: string, file: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const add = (index: any) => ({ ...index, n: index.n + 1 })
      for (let victim = 0; victim < 12; victim++) {
        const worker = new Worker(code, { eval: true })
        await new Promise((resolve) => worker.once('message', resolve))
        const options = { flush: false, timeout: Number.POSITIVE_INFINITY }
        const calls = Array.from({ length: 10 }, () => atomicIndexUpdate(file, add, options))
        await new Promise((resolve) => setTimeout(resolve, victim))
        await worker.terminate()
        await Promise.all(calls)
      }
    }
    writeJson(file, { n: 0 })
    const child = inProcess(main, [inWorker(busy, file), file])
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toMatchObject({ n: 120 })
    expect(names(dir)).toEqual(['index.json'])
  })
})

test('a process killed at any moment has lost no acknowledged update of a group', async ({ dir, file }) => {
  const count = async ({ atomicIndexUpdate, send }: Remote, file: string) => {
    const add = (index: any) => ({ n: index.n + 1 })
    let acknowledged = 0
    const updates = async () => {
      for (;;) {
        await atomicIndexUpdate(file, add, { initial: { n: 0 }, flush: false })
        send(++acknowledged)
      }
    }
    await Promise.all(Array.from({ length: 20 }, updates))
  }
  let before = 0
  for (let victim = 0; victim < 10; victim++) {
    const child = inProcess(count, [file])
    let acknowledged = 0
    for (let at = 0; at < 1 + victim * 17; at++) acknowledged = await child.next()
    child.kill()
    await child.exit
    // What it sent before it died.
    for (let more = acknowledged; more > 0; more = await child.next().catch(() => 0)) acknowledged = more
    const { n } = readJson(file)
    expect(n - before).toBeGreaterThanOrEqual(acknowledged)
    before = n
  }
  await atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }), { timeout: 0 })
  expect(readJson(file)).toEqual({ n: before + 1 })
  expect(names(dir).filter((name) => name.endsWith('.lock'))).toEqual([])
})
