import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, inWorker, type There } from '../helpers/elsewhere'
import { eventually, holderOf, increment, names, readJson, test, writeJson } from '../helpers/index-file'

/** Waits for a lock that it will not get. */
function waiting({ atomicIndexUpdate, tell, hear }: There, file: string): void {
  atomicIndexUpdate(file, (index) => index).catch(() => {})
  void hear()
  setTimeout(tell, 100, 'waiting')
}

describe('a holder that is killed with SIGKILL', () => {
  test('inside fn: the next update goes ahead within a second, and nothing is left', async ({
    dir,
    file,
  }) => {
    writeJson(file, { n: 1 })
    const holder = await holderOf(file)
    expect(names(dir)).toEqual(['.index.json.lock', 'index.json'])
    holder.kill()
    await holder.exit
    const start = performance.now()
    await atomicIndexUpdate(file, increment)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while others wait for it: they go ahead within a second', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const holder = await holderOf(file)
    const updates = Promise.all([1, 2, 3].map(() => atomicIndexUpdate(file, increment)))
    await sleep(300)
    const start = performance.now()
    holder.kill()
    await updates
    expect(performance.now() - start).toBeLessThan(1000)
    expect(readJson(file)).toEqual({ n: 4 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while it waits itself: nobody else notices', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const other = inProcess(waiting, [file])
    await other.next()
    other.kill()
    holder.say('go on')
    await holder.returned
    await atomicIndexUpdate(file, increment, { timeout: 1000 })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('at any moment: the index is whole, no update it was told of is lost, and the rest goes on', async ({
    dir,
    file,
  }) => {
    const count = async ({ atomicIndexUpdate, tell }: There, file: string) => {
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
        tell(n)
      }
    }
    let told = 0
    for (let victim = 0; victim < 12; victim++) {
      const child = inProcess(count, [file])
      const end = performance.now() + 15 + victim * 7
      told = await child.next()
      while (performance.now() < end) told = await child.next()
      child.kill()
      await child.exit
      for (
        let left = child.next().catch(() => 0), n = await left;
        n > 0;
        n = await child.next().catch(() => 0)
      )
        told = n
      expect(readJson(file).n).toBeGreaterThanOrEqual(told)
      expect(readJson(file).n).toBeLessThanOrEqual(told + 1)
      await atomicIndexUpdate(file, increment, { timeout: 1000, flush: false })
    }
    const leftovers = names(dir).filter((name) => !/^index\.json(\.backup)?$/.test(name))
    expect(
      leftovers.filter((name) => !/^\.index\.json(\.backup)?\.[A-Za-z0-9]{12}\.atomic-tmp$/.test(name)),
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
  /** A process whose worker thread runs `work`, is terminated when it says so, and is followed by an update. */
  const terminate = async ({ atomicIndexUpdate, require, tell }: There, code: string, file: string) => {
    const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
    let release: ((index: object) => void) | undefined
    let first: Promise<unknown> | undefined
    if (code.includes('inLine')) {
      first = atomicIndexUpdate(file, () => new Promise<object>((resolve) => (release = resolve)))
    }
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
    tell('terminated')
    const last = atomicIndexUpdate(file, (index) => ({ ...index, last: true }), { timeout: 20_000 })
    release?.({ first: true })
    await Promise.all([first, last])
    return (await last).lockWaitMs
  }

  const works: [when: string, work: (there: There, file: string) => unknown, index: object][] = [
    [
      'inside an async fn',
      function insideAsync({ atomicIndexUpdate, tell }, file) {
        setInterval(() => {}, 1000)
        return atomicIndexUpdate(file, async () => {
          setImmediate(tell, 'inside')
          return new Promise(() => {})
        })
      },
      { last: true },
    ],
    [
      'inside a sync fn',
      function insideSync({ atomicIndexUpdate, tell }, file) {
        return atomicIndexUpdate(file, () => {
          tell('inside')
          for (;;);
        })
      },
      { last: true },
    ],
    [
      'inside a toJSON of the result',
      function insideJson({ atomicIndexUpdate, tell }, file) {
        const toJSON = () => {
          tell('inside')
          for (;;);
        }
        return atomicIndexUpdate(file, () => ({ toJSON }))
      },
      { last: true },
    ],
    [
      'while it waits in line',
      function inLine({ atomicIndexUpdate, tell }, file) {
        setTimeout(tell, 100, 'waiting')
        return atomicIndexUpdate(file, () => ({ lost: true }))
      },
      { first: true, last: true },
    ],
  ]

  test.for(works)(
    '%s: the process lives and goes ahead within a second',
    async ([, work, index], { dir, file }) => {
      const child = inProcess(terminate, [inWorker(work, file), file])
      expect(await child.returned).toBeLessThan(1000)
      expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
      expect(readJson(file)).toEqual(index)
      expect(names(dir)).toEqual(['index.json'])
    },
  )

  test('inside fn: another process goes ahead, too', async ({ dir, file }) => {
    const main = async ({ require, tell, hear }: There, code: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const worker = new Worker(code, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
      tell('terminated')
      await hear()
    }
    const [, work] = works[0]!
    await inProcess(main, [inWorker(work, file)]).next()
    await atomicIndexUpdate(file, () => ({ other: true }), { timeout: 1000 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while it waits for another process: its own process is not held up by it', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const waiting = ({ atomicIndexUpdate, tell }: There, file: string) => {
      setTimeout(tell, 100, 'waiting')
      return atomicIndexUpdate(file, () => ({ lost: true }))
    }
    const child = inProcess(terminate, [inWorker(waiting, file), file])
    expect(await child.next()).toBe('terminated')
    holder.say('go on')
    await child.returned
    expect(readJson(file)).toEqual({ n: 1, last: true })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('at any moment of its updates: the process lives, and nothing is held', async ({ dir, file }) => {
    const busy = async ({ atomicIndexUpdate, tell }: There, file: string) => {
      tell('started')
      const pad = 'x'.repeat(100_000)
      for (let n = 0; ; n++) {
        await Promise.all([
          atomicIndexUpdate(file, () => ({ n, pad }), { flush: false }),
          atomicIndexUpdate(file, async () => ({ n }), { flush: false }),
        ])
      }
    }
    const main = async ({ atomicIndexUpdate, require }: There, code: string, file: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      for (let victim = 0; victim < 20; victim++) {
        const worker = new Worker(code, { eval: true })
        await new Promise((resolve) => worker.once('message', resolve))
        await new Promise((resolve) => setTimeout(resolve, victim))
        await worker.terminate()
        await atomicIndexUpdate(file, () => ({ victim }), { timeout: 2000 })
      }
    }
    const child = inProcess(main, [inWorker(busy, file), file])
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ victim: 19 })
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
    const start = performance.now()
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(performance.now() - start).toBeLessThan(2000)
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
      ({ atomicIndexUpdate, tell }, file) => {
        tell('started')
        void atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }))
      },
      [file],
    )
    await child.next()
    await sleep(200)
    holder.say('go on')
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

  test('that calls process.exit inside fn holds nobody up', async ({ dir, file }) => {
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
    for (let delay = 0; delay < 10; delay++) {
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
    await atomicIndexUpdate(file, () => ({ n: -1 }), { timeout: 1000 })
    expect(readJson(file)).toEqual({ n: -1 })
    expect(names(dir).filter((name) => !name.endsWith('.atomic-tmp'))).toEqual(['index.json'])
  })
})

test('the lock of an fn whose promise is garbage is free again', async ({ dir, file }) => {
  const child = inProcess(
    async ({ atomicIndexUpdate, hear, tell }, file) => {
      void hear()
      await new Promise<void>((resolve) => {
        void atomicIndexUpdate(file, () => {
          resolve()
          return new Promise(() => {})
        })
      })
      const collect = globalThis.gc as () => void
      const timer = setInterval(collect, 10)
      await atomicIndexUpdate(file, () => ({ n: 1 }), { timeout: 10_000 })
      clearInterval(timer)
      tell('free')
      process.disconnect()
    },
    [file],
    { execArgv: ['--expose-gc'] },
  )
  expect(await child.next()).toBe('free')
  expect(await eventually(() => names(dir).length === 1)).toBe(true)
  expect(readJson(file)).toEqual({ n: 1 })
})
