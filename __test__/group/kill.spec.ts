// Threads and processes that end in the middle of a group: nothing that was acknowledged is lost, nobody is held up.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, inWorker, type There } from '../helpers/elsewhere'
import { times } from '../helpers/group'
import { names, readJson, test, writeJson } from '../helpers/index-file'

describe('a thread that is terminated while its calls', () => {
  /**
   * A process in which a worker makes calls behind one of the main thread, which lets it go and makes more behind
   * them, and terminates the worker when it says so.
   */
  const terminate = async (
    { atomicIndexUpdate, atomicWrite, require, tell }: There,
    code: string,
    dir: string,
  ) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
    const file = `${dir}/index.json`
    const add = (what: string) => (index: any) => [...index, what]
    let letGo = () => {}
    const entered = new Promise<void>((enter) => {
      const holding = async (index: string[]) => {
        enter()
        await new Promise<void>((resolve) => {
          letGo = resolve
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
        worker.on('message', ({ told }) => {
          heard.push(told)
          look()
        })
        look()
      })
    const inLine = said('in line')
    const ready = said('ready')
    await inLine
    const calls = Array.from({ length: 5 }, (_, at) =>
      atomicIndexUpdate(file, add(`main ${at}`), { timeout: 10_000 }),
    )
    await atomicWrite(`${dir}/in-line`, '')
    if (code.includes('whileTheyWait')) {
      await worker.terminate()
      letGo()
    } else {
      letGo()
      await ready
      await worker.terminate()
    }
    tell('terminated')
    await Promise.all(calls)
    await atomicIndexUpdate(file, add('last'), { timeout: 5000 })
  }

  const works: [when: string, work: (there: There, dir: string) => unknown][] = [
    [
      'wait for their group',
      async function whileTheyWait({ atomicIndexUpdate, atomicWrite, tell }, dir) {
        for (let at = 0; at < 5; at++) {
          void atomicIndexUpdate(`${dir}/index.json`, (index: any) => [...index, 'lost'])
        }
        await atomicWrite(`${dir}/ready`, '')
        tell('in line')
      },
    ],
    [
      'are in a group, and a sync function never ends',
      async function whileOneIsAtWork({ atomicIndexUpdate, atomicWrite, tell }, dir) {
        const fns: ((index: any) => any)[] = [
          (index) => [...index, 'lost'],
          (index) => {
            tell('ready')
            for (;;) index.length = 0
          },
          (index) => [...index, 'lost'],
        ]
        for (const fn of fns) void atomicIndexUpdate(`${dir}/index.json`, fn)
        await atomicWrite(`${dir}/ready`, '')
        tell('in line')
      },
    ],
    [
      'are in a group that is being made text without end',
      async function whileTheyAreText({ atomicIndexUpdate, atomicWrite, tell }, dir) {
        const toJSON = () => {
          tell('ready')
          for (;;);
        }
        for (let at = 0; at < 3; at++) {
          void atomicIndexUpdate(`${dir}/index.json`, (index: any) => [...index, { toJSON }])
        }
        await atomicWrite(`${dir}/ready`, '')
        tell('in line')
      },
    ],
    [
      'are in a group, and an async function never ends that leads it',
      async function whileItLeads({ atomicIndexUpdate, atomicWrite, tell }, dir) {
        const never = (): Promise<string[]> => {
          setImmediate(tell, 'ready')
          return new Promise(() => {})
        }
        setInterval(() => {}, 1000)
        for (const fn of [never, (index: any) => [...index, 'lost']]) {
          void atomicIndexUpdate(`${dir}/index.json`, fn)
        }
        await atomicWrite(`${dir}/ready`, '')
        tell('in line')
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
      expect(names(dir)).toEqual(['in-line', 'index.json', 'ready'])
    },
  )

  test('stream in groups, at any moment: the others are counted, and nothing is held', async ({
    dir,
    file,
  }) => {
    const busy = async ({ atomicIndexUpdate, tell }: There, file: string) => {
      tell('started')
      const add = (index: any) => ({ ...index, pad: 'x'.repeat(10_000) })
      for (;;) {
        await Promise.all(Array.from({ length: 20 }, () => atomicIndexUpdate(file, add, { flush: false })))
      }
    }
    const main = async ({ atomicIndexUpdate, require }: There, code: string, file: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const add = (index: any) => ({ ...index, n: index.n + 1 })
      for (let victim = 0; victim < 20; victim++) {
        const worker = new Worker(code, { eval: true })
        await new Promise((resolve) => worker.once('message', resolve))
        const options = { flush: false, timeout: 5000 }
        const calls = Array.from({ length: 10 }, () => atomicIndexUpdate(file, add, options))
        await new Promise((resolve) => setTimeout(resolve, victim))
        await worker.terminate()
        await Promise.all(calls)
      }
    }
    writeJson(file, { n: 0 })
    const child = inProcess(main, [inWorker(busy, file), file])
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toMatchObject({ n: 200 })
    expect(names(dir)).toEqual(['index.json'])
  })
})

test('a process killed at any moment has lost no update of a group that it was told of', async ({
  dir,
  file,
}) => {
  const count = async ({ atomicIndexUpdate, tell }: There, file: string) => {
    const add = (index: { n: number }) => ({ n: index.n + 1 })
    let told = 0
    const updates = async () => {
      for (;;) {
        await atomicIndexUpdate(file, add, { initial: { n: 0 }, flush: false })
        tell(++told)
      }
    }
    await Promise.all(Array.from({ length: 20 }, updates))
  }
  let before = 0
  for (let victim = 0; victim < 10; victim++) {
    const child = inProcess(count, [file])
    let told = await child.next()
    for (const end = performance.now() + 10 + victim * 5; performance.now() < end; ) told = await child.next()
    child.kill()
    await child.exit
    for (let more = told; more > 0; more = await child.next().catch(() => 0)) told = more
    const { n } = readJson(file)
    expect(n - before).toBeGreaterThanOrEqual(told)
    before = n
  }
  await atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }), { timeout: 1000 })
  expect(readJson(file)).toEqual({ n: before + 1 })
  expect(names(dir).filter((name) => name.endsWith('.lock'))).toEqual([])
})
