// The channels: what is published of each call, when, in whose context, and that nothing is measured for nobody.

import { AsyncLocalStorage } from 'node:async_hooks'
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  acquireIndexLock,
  appendLines,
  atomicDirectory,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  copyDirectoryAtomic,
  recover,
  recoverIndex,
  remove,
  restoreIndex,
  type TraceMessage,
  type TraceSteps,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { inProcess, inThread, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

type Event = 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'
type Heard = [event: Event, message: TraceMessage][]

/** What is published until the end of the test, with the message as it was then. */
function listen(name: string, also: (event: Event) => void = () => {}): Heard {
  const channel = tracingChannel<unknown, TraceMessage>(`@pipeline/atomic:${name}`)
  const heard: Heard = []
  const hear = (event: Event) => (message: TraceMessage) => {
    heard.push([event, { ...message }])
    also(event)
  }
  const subscribers = Object.fromEntries(
    (['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const).map((event) => [event, hear(event)]),
  ) as unknown as TracingChannelSubscribers<TraceMessage>
  channel.subscribe(subscribers)
  onTestFinished(() => channel.unsubscribe(subscribers))
  return heard
}

const events = (heard: Heard) => heard.map(([event]) => event)

const last = (heard: Heard): Required<TraceMessage> => heard.at(-1)?.[1] as Required<TraceMessage>

/** The steps that a call has been in; and that they fit into its time. */
function stepsOf({ steps, milliseconds }: Required<TraceMessage>): (keyof TraceSteps)[] {
  const times = Object.values(steps)
  expect(times.every((time) => time >= 0)).toBe(true)
  expect(times.reduce((sum, time) => sum + time, 0)).toBeLessThanOrEqual(milliseconds)
  return Object.keys(steps) as (keyof TraceSteps)[]
}

const fileSteps = ['resolve', 'stage', 'fsync', 'verify', 'rename', 'directoryFsync']

describe('a call is published', () => {
  test('by atomicWrite, with its steps; and with its error', async ({ dir }) => {
    const heard = listen('write')
    const path = join(dir, 'file')
    const result = await atomicWrite(path, 'x')
    expect(events(heard)).toStrictEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    expect(heard[0]?.[1]).toStrictEqual({ function: 'atomicWrite', path })
    expect(last(heard)).toMatchObject({ function: 'atomicWrite', path, result })
    expect(stepsOf(last(heard))).toStrictEqual(fileSteps)

    heard.length = 0
    const error = await atomicWrite(dir, 'x').catch((error) => error)
    expect(error.code).toBe('EISDIR')
    expect(events(heard)).toStrictEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(heard[2]?.[1]).toMatchObject({ error, milliseconds: expect.any(Number) })
    expect(stepsOf(last(heard))).toStrictEqual(['resolve'])
  })

  test('with the wait for an earlier call of the same file', async ({ file }) => {
    const heard = listen('write')
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const update = atomicIndexUpdate(file, async () => {
      await held
      return {}
    })
    const written = atomicWrite(file, 'x')
    // It gives up when it is in the queue, behind the write.
    await atomicIndexUpdate(file, () => ({}), { timeout: 0 }).catch(() => {})
    goOn()
    await Promise.all([update, written])
    const [, { steps }] = heard.find(([event]) => event === 'asyncEnd') as [string, TraceMessage]
    expect(steps?.queue).toBeGreaterThan(0)
  })

  test('by atomicIndexUpdate, each with the commit that it shares', async ({ file }) => {
    const heard = listen('update')
    const updates = await Promise.all(
      [1, 2, 3].map((n) => atomicIndexUpdate(file, (index = {}) => ({ ...index, [n]: n }))),
    )
    const ends = heard.filter(([event]) => event === 'asyncEnd').map(([, message]) => message)
    expect(ends.map(({ result }) => result)).toStrictEqual(updates)
    for (const message of ends as Required<TraceMessage>[]) {
      expect(stepsOf(message)).toEqual(expect.arrayContaining(fileSteps))
    }
    expect(stepsOf(ends[0] as Required<TraceMessage>)).toContain('lock')
  })

  test('whose wait ends when another call works for it, and not when its own worker hears of that', async ({
    file,
  }) => {
    const waits = await inProcess(
      async ({ require, atomicIndexUpdate }: Remote, file: string) => {
        const { tracingChannel } =
          require('node:diagnostics_channel') as typeof import('node:diagnostics_channel')
        const loaded = Object.keys(require.cache).find((path) => path.endsWith('.node')) as string
        const native = require(loaded)
        const { newSteps } = native
        const made: unknown[] = []
        native.newSteps = () => {
          const steps = newSteps()
          made.push(steps)
          return steps
        }
        const messages: TraceMessage[] = []
        const start = (message: TraceMessage) => void messages.push(message)
        tracingChannel('@pipeline/atomic:update').subscribe({ start } as never)
        const before: (number | undefined)[] = []
        const wait = (at: number): number | undefined => native.readSteps(made[at]).queue
        const add = (at: number) => (index: object) => {
          before[at] = wait(at)
          return { ...index, [at]: 0 }
        }
        const others = Array.from({ length: 150 }, (_, at) => at + 1)
        const areWaiting = async (index: object) => {
          while (!others.every((at) => wait(at) !== undefined)) await new Promise(setImmediate)
          return index
        }
        const leader = atomicIndexUpdate(file, areWaiting, { initial: {} })
        await Promise.all([leader, ...others.map((at) => atomicIndexUpdate(file, add(at), { initial: {} }))])
        return { before: before.slice(1), after: messages.slice(1).map(({ steps }) => steps?.queue) }
      },
      [file],
    ).returned
    expect(waits.before.every(Boolean)).toBe(true)
    expect(waits.after).toStrictEqual(waits.before)
  })

  test('by atomicWriteAll; what its iterator calls is no part of it', async ({ dir }) => {
    const [batches, writes] = [listen('batch'), listen('write')]
    const inner: Promise<unknown>[] = []
    await atomicWriteAll(
      (function* () {
        inner.push(atomicWrite(join(dir, 'inner'), 'x', { flush: false }))
        yield { path: join(dir, 'a'), data: 'a' }
        yield { path: join(dir, 'b'), data: 'b' }
      })(),
    )
    await Promise.all(inner)
    expect(last(batches)).toMatchObject({ function: 'atomicWriteAll', path: undefined })
    expect(stepsOf(last(batches))).toEqual(
      expect.arrayContaining(['stage', 'fsync', 'rename', 'directoryFsync']),
    )
    expect(stepsOf(last(writes))).not.toContain('fsync')
  })

  test('by atomicDirectory and copyDirectoryAtomic', async ({ dir }) => {
    const heard = listen('directory')
    const [one, two] = [join(dir, 'one'), join(dir, 'two')]
    const build = async (staging: string) => mkdirSync(join(staging, 'sub'))
    await atomicDirectory(one, build)
    expect(last(heard)).toMatchObject({ function: 'atomicDirectory', path: one })
    expect(stepsOf(last(heard))).toStrictEqual(['resolve', 'stage', 'fsync', 'rename', 'directoryFsync'])
    await copyDirectoryAtomic(one, two)
    expect(last(heard)).toMatchObject({ function: 'copyDirectoryAtomic', path: two })
    expect(stepsOf(last(heard))).toEqual(expect.arrayContaining(['resolve', 'stage', 'rename']))
  })

  test('by atomicTransaction, each with the commit that it shares', async ({ dir }) => {
    const heard = listen('transaction')
    const add =
      (n: number) =>
      (index = {}) => ({ ...index, [n]: n })
    await Promise.all([1, 2].map((n) => atomicTransaction(dir, (tx) => void tx.update('index.json', add(n)))))
    const ends = heard.filter(([event]) => event === 'asyncEnd').map(([, message]) => message)
    expect(ends).toHaveLength(2)
    for (const message of ends as Required<TraceMessage>[]) {
      expect(message).toMatchObject({ function: 'atomicTransaction', path: dir })
      expect(stepsOf(message)).toEqual(
        expect.arrayContaining(['resolve', 'lock', 'stage', 'fsync', 'rename', 'directoryFsync']),
      )
    }
    heard.length = 0
    await atomicTransaction(dir, (tx) => {
      tx.update('index.json', add(3))
      tx.write('other', 'x')
    })
    expect(stepsOf(last(heard))).toContain('rename')
  })

  test('by appendLines, each with the append that it shares', async ({ file }) => {
    await appendLines(file, 'first')
    const heard = listen('append')
    const lock = await acquireIndexLock(file)
    // The first ones may be one job; one with a signal is a job of its own.
    const signal = new AbortController().signal
    const rotate = { size: 4, keep: 1 }
    const waiting = ['a', 'b', 'c'].map((line) =>
      appendLines(file, line, line === 'c' ? { signal, rotate } : { rotate }),
    )
    // It gives up when it is in the queue, behind them.
    await atomicIndexUpdate(file, () => ({}), { timeout: 0 }).catch(() => {})
    await lock.release()
    await Promise.all(waiting)
    const ends = heard.filter(([event]) => event === 'asyncEnd').map(([, message]) => message)
    expect(ends).toHaveLength(3)
    for (const message of ends as Required<TraceMessage>[]) {
      expect(message).toMatchObject({ function: 'appendLines', path: file })
      expect(message.result).toMatchObject({ batchSize: 3, rotated: true })
      expect(stepsOf(message)).toEqual(
        expect.arrayContaining(['stage', 'fsync', 'verify', 'rename', 'directoryFsync']),
      )
    }
    const jobs = ends.filter(({ steps }) => steps?.resolve !== undefined)
    expect(jobs.length).toBeGreaterThan(1)
    for (const { steps } of jobs) expect(steps?.queue).toBeGreaterThan(0)
  })

  test('by the functions of locks: the time is that of the function as well, the steps are not', async ({
    file,
  }) => {
    const [heard, updates] = [listen('lock'), listen('update')]
    const lock = await acquireIndexLock(file)
    expect(last(heard)).toMatchObject({ function: 'acquireIndexLock', path: file, result: lock })
    expect(stepsOf(last(heard))).toStrictEqual(['resolve', 'lock'])
    await lock.release()
    const paths = [file, `${file}2`]
    let within = 0
    await withIndexLock(paths, async ([, other]) => {
      const since = performance.now()
      await other?.write({})
      within = performance.now() - since
    })
    expect(last(heard)).toMatchObject({ function: 'withIndexLock', path: paths })
    expect(stepsOf(last(heard))).toStrictEqual(['resolve', 'lock'])
    expect(last(heard).milliseconds).toBeGreaterThan(within)
    expect(updates).toStrictEqual([])
  })

  test('by what recovers, patches and removes', async ({ dir, file }) => {
    const [recoveries, updates, writes] = [listen('recover'), listen('update'), listen('write')]
    await atomicIndexPatch(file, { set: { n: 1 } }, { backup: true })
    await atomicIndexPatch(file, { set: { n: 2 } }, { backup: true })
    expect(last(updates)).toMatchObject({ function: 'atomicIndexPatch', path: file })
    expect(stepsOf(last(updates))).toEqual(expect.arrayContaining(fileSteps))
    await restoreIndex(file, 0)
    expect(last(recoveries)).toMatchObject({ function: 'restoreIndex', path: file })
    expect(stepsOf(last(recoveries))).toEqual(expect.arrayContaining(['resolve', 'lock', 'stage', 'rename']))
    await atomicWrite(file, '{')
    await recoverIndex(file)
    expect(last(recoveries)).toMatchObject({
      function: 'recoverIndex',
      path: file,
      result: { action: 'restored' },
    })
    expect(stepsOf(last(recoveries))).toEqual(expect.arrayContaining(['resolve', 'lock', 'stage', 'rename']))
    await atomicWrite(file, '{')
    await atomicIndexUpdate(file, (index) => ({ ...index, n: 3 }), { onCorrupt: 'recover', flush: false })
    expect(stepsOf(last(updates))).toEqual(expect.arrayContaining(['stage', 'rename']))
    await recover(dir)
    expect(last(recoveries)).toMatchObject({ function: 'recover', path: dir })
    await remove(file)
    expect(last(writes)).toMatchObject({ function: 'remove', path: file })
    expect(stepsOf(last(writes))).toEqual(expect.arrayContaining(['resolve', 'directoryFsync']))
  })

  test('in the async context of its caller', async ({ file }) => {
    const storage = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    listen('write', (event) => event === 'start' && contexts.push(storage.getStore()))
    await Promise.all(['one', 'two'].map((name) => storage.run(name, () => atomicWrite(file, name))))
    expect(contexts).toStrictEqual(['one', 'two'])
    // What is bound to a channel goes with the call, as exporters of traces have it.
    const { start } = tracingChannel('@pipeline/atomic:update')
    start.bindStore(storage as AsyncLocalStorage<any>, () => 'bound')
    onTestFinished(() => void start.unbindStore(storage as AsyncLocalStorage<any>))
    let within: unknown
    await atomicIndexUpdate(`${file}2`, () => {
      within = storage.getStore()
      return {}
    })
    expect(within).toBe('bound')
  })
})

describe('listening', () => {
  /** For another thread or process: how many events it hears of a call of its own. */
  const count = async ({ atomicWrite, require }: Remote, file: string) => {
    const { tracingChannel } =
      require('node:diagnostics_channel') as typeof import('node:diagnostics_channel')
    let heard = 0
    const hear = () => void heard++
    tracingChannel('@pipeline/atomic:write').subscribe({ start: hear, asyncEnd: hear } as never)
    await atomicWrite(file, 'x')
    return heard
  }

  test('is a matter of one thread', async ({ dir }) => {
    const heard = listen('write')
    expect(await inThread(count, [join(dir, 'a')]).returned).toBe(2)
    expect(heard).toStrictEqual([])
  })

  test('works with a package that is loaded twice, and by import', async ({ file }) => {
    const heard = listen('write')
    const require = createRequire(import.meta.url)
    const path = require.resolve('@pipeline/atomic')
    const known = require.cache[path]
    delete require.cache[path]
    const again = require(path) as typeof import('@pipeline/atomic')
    if (known) require.cache[path] = known
    expect(again.atomicWrite).not.toBe(atomicWrite)
    await again.atomicWrite(file, 'x')
    await (await import(path)).atomicWrite(file, 'y')
    expect(events(heard).filter((event) => event === 'asyncEnd')).toHaveLength(2)
  })

  test('is all that makes a call measured: without it the addon is called as it is', async ({ dir }) => {
    const measured = await inProcess(
      async ({ addon, require, atomicWrite }: Remote, dir: string) => {
        const { tracingChannel } =
          require('node:diagnostics_channel') as typeof import('node:diagnostics_channel')
        // The addon is one object for all who load it.
        const loaded = Object.keys(require.cache).find((path) => path.endsWith('.node')) as string
        const native = require(loaded)
        let steps = 0
        const { newSteps } = native
        native.newSteps = () => {
          steps++
          return newSteps()
        }
        const hear = () => {}
        const channel = tracingChannel('@pipeline/atomic:write')
        const counts: number[] = []
        await atomicWrite(`${dir}/a`, 'x')
        counts.push(steps)
        channel.subscribe({ asyncEnd: hear } as never)
        await atomicWrite(`${dir}/a`, 'x')
        counts.push(steps)
        channel.unsubscribe({ asyncEnd: hear } as never)
        await atomicWrite(`${dir}/a`, 'x')
        return [addon.length > 0, ...counts, steps]
      },
      [dir],
    ).returned
    expect(measured).toStrictEqual([true, 0, 1, 1])
  })
})
