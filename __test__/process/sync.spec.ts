// Calls that block their thread: they wait for nothing that the blocked thread may have to do.

import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  acquireIndexLock,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteSync,
  readIndex,
  readIndexSync,
  stats,
  type TraceMessage,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { z } from 'zod'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, inThread, inWorker } from '../helpers/processes'
import { gate, thrown } from '../helpers/promises'
import { test } from '../helpers/test'

const reentrant = { code: 'ERR_ATOMIC_REENTRANT' }

describe('atomicWriteSync', () => {
  test('has the options, the result and the errors of atomicWrite', async ({ dir, file }) => {
    const path = join(dir, 'new', 'file')
    const result = atomicWriteSync(path, 'ff00', { encoding: 'hex', mode: 0o640, verify: 'device' })
    expect(result).toEqual(await atomicWrite(file, 'ff00', { encoding: 'hex', verify: 'device' }))
    expect(readFileSync(path, 'hex')).toBe('ff00')
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect(atomicWriteSync(path, Buffer.from('ff00', 'hex'), { ifChanged: true })).toMatchObject({
      written: false,
    })
    expect(thrown(() => atomicWriteSync(path, '', { flag: 'wx' }))).toMatchObject({ code: 'EEXIST', path })
    expect(thrown(() => atomicWriteSync(join(dir, 'none', 'a'), '', { mkdir: false })).code).toBe('ENOENT')
    expect(thrown(() => atomicWriteSync(dir, ''))).toMatchObject({ code: 'EISDIR', path: dir })
    const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }
    expect(thrown(() => atomicWriteSync(path, 1 as never))).toMatchObject(wrong)
    const { signal } = new AbortController()
    const refused = thrown(() => atomicWriteSync(path, '', { signal } as object))
    expect(refused).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(refused.message).toContain('options.signal')
    expect(thrown(() => atomicWriteSync('s3://bucket/key', '')).code).toBe('ERR_ATOMIC_UNSUPPORTED')
    expect(names(join(dir, 'new'))).toEqual(['file'])
  })

  test('comes after the writes that were called before, whether they have begun or not', async ({ file }) => {
    let count = 0
    for (let round = 0; round < 10; round++) {
      const before = Array.from({ length: 12 }, (_, i) => atomicWrite(file, `${i}`, { flush: round % 2 > 0 }))
      if (round > 4) await before[round % 4]
      const exclusive = atomicWrite(file, '', { flag: 'wx' }).catch(({ code }) => code)
      atomicWriteSync(file, 'sync')
      const results = await Promise.all(before)
      expect(readFileSync(file, 'utf8')).toBe('sync')
      const overtaken = results.filter(({ written }) => !written)
      expect(overtaken.every(({ bytes }) => bytes === 4)).toBe(true)
      count += overtaken.length
      expect(await exclusive).toBe('EEXIST')
      const after = atomicWrite(file, 'after')
      expect(await after).toMatchObject({ written: true })
    }
    expect(readFileSync(file, 'utf8')).toBe('after')
    expect(count).toBeGreaterThan(0)
  })

  test('the function of an update that was called before runs on the new content', async ({ file }) => {
    writeJson(file, { n: 1 })
    const { open, opened } = gate()
    const seen: number[] = []
    const update = atomicIndexUpdate(file, async (index: any) => {
      seen.push(index.n)
      if (seen.length === 1) {
        open()
        await new Promise(setImmediate)
      }
      return { n: index.n + 1 }
    })
    const waiting = Array.from({ length: 5 }, () => atomicIndexUpdate(file, ({ n }: any) => ({ n: n + 1 })))
    await opened
    atomicWriteSync(file, '{"n":10}')
    await Promise.all([update, ...waiting])
    expect(seen).toEqual([1, 10])
    expect(readJson(file)).toEqual({ n: 16 })
  })

  test('is refused where it would wait for ever: inside the function of a call, and under a lock', async ({
    dir,
    file,
  }) => {
    const caught: unknown[] = []
    const write = () => caught.push(thrown(() => atomicWriteSync(file, '{}')))
    await atomicIndexUpdate(file, () => {
      write()
      atomicWriteSync(join(dir, 'other'), 'another file')
      return {}
    })
    await atomicIndexUpdate(file, async () => {
      write()
      return {}
    })
    await withIndexLock(file, async () => void write())
    const lock = await acquireIndexLock(file)
    write()
    expect(readIndexSync(file)).toEqual({ value: {}, source: 'file' })
    await lock.release()
    expect(caught).toMatchObject([reentrant, reentrant, reentrant, reentrant])
    expect((caught[3] as Error).message).toContain('release it before')
    expect(atomicWriteSync(file, '{}')).toMatchObject({ written: true })
  })

  test('threads that block while the others have calls of the same files pending go on', async ({ dir }) => {
    const run = async ({ atomicWrite, atomicWriteSync }: any, dir: string, name: string) => {
      const path = (i: number) => `${dir}/${i % 3}`
      for (let round = 0; round < 20; round++) {
        const pending = [0, 1, 2].map((i) => atomicWrite(path(i), `${name} async`, { flush: false }))
        for (const i of [2, 0, 1]) atomicWriteSync(path(i + round), `${name} sync`, { flush: false })
        await Promise.all(pending)
      }
    }
    const threads = ['a', 'b', 'c'].map((name) => inThread(run, [dir, name]).returned)
    await Promise.all(threads)
    expect(names(dir)).toEqual(['0', '1', '2'])
    for (const name of names(dir)) expect(readFileSync(join(dir, name), 'utf8')).toMatch(/^[abc] sync$/)
  })

  test('an exit handler has the last word, in a process and in a worker thread', async ({ dir }) => {
    const run = ({ atomicWrite, atomicWriteSync, atomicIndexUpdate }: any, dir: string) => {
      for (let i = 0; i < 20; i++) {
        atomicWrite(`${dir}/state`, 'pending')
        atomicIndexUpdate(`${dir}/index`, () => ({ pending: true }))
      }
      process.on('exit', () => {
        for (const name of ['state', 'index']) atomicWriteSync(`${dir}/${name}`, '{"exit":true}')
      })
      setImmediate(() => process.exit())
    }
    const nested = inProcess(
      async ({ require, send }: any, code: string) => {
        const { once } = require('node:events')
        const worker = new (require('node:worker_threads').Worker)(code, { eval: true })
        await once(worker, 'exit')
        send('over')
      },
      [inWorker(run, join(dir, 'thread'))],
    )
    await inProcess(run, [join(dir, 'process')]).exit
    await nested.exit
    for (const folder of ['process', 'thread']) {
      expect(readFileSync(join(dir, folder, 'state'), 'utf8')).toBe('{"exit":true}')
      expect(readJson(join(dir, folder, 'index'))).toEqual({ exit: true })
    }
  })

  test('an exit handler writes what the process was changing, or has locked', async ({ dir }) => {
    const run = async (
      { atomicWriteSync, atomicIndexUpdate, acquireIndexLock, withIndexLock }: any,
      dir: string,
    ) => {
      const names = ['sync', 'async', 'within', 'held']
      const [sync, async, within, held] = names.map((name) => `${dir}/${name}`)
      process.on('exit', () => {
        for (const name of names) atomicWriteSync(`${dir}/${name}`, '{"exit":true}')
      })
      await acquireIndexLock(held)
      await withIndexLock(within, () =>
        atomicIndexUpdate(async, async () => {
          await atomicIndexUpdate(sync, () => process.exit())
        }),
      )
    }
    const nested = inProcess(
      async ({ require, send }: any, code: string) => {
        const { once } = require('node:events')
        await once(new (require('node:worker_threads').Worker)(code, { eval: true }), 'exit')
        send('over')
      },
      [inWorker(run, join(dir, 'thread'))],
    )
    await inProcess(run, [join(dir, 'process')]).exit
    await nested.exit
    for (const folder of ['process', 'thread']) {
      for (const name of ['sync', 'async', 'within', 'held']) {
        expect(readJson(join(dir, folder, name))).toEqual({ exit: true })
      }
    }
  })

  test('is counted and published', ({ file }) => {
    const heard: [string, TraceMessage][] = []
    const hear = (event: string) => (message: TraceMessage) => heard.push([event, { ...message }])
    const channel = tracingChannel<unknown, TraceMessage>('@pipeline/atomic:write')
    const events = ['start', 'end', 'asyncStart', 'asyncEnd', 'error']
    const subscribers = Object.fromEntries(events.map((event) => [event, hear(event)]))
    channel.subscribe(subscribers as unknown as TracingChannelSubscribers<TraceMessage>)
    onTestFinished(() => channel.unsubscribe(subscribers as never))
    const before = stats().writes
    atomicWriteSync(file, 'a')
    expect(stats().writes).toBe(before + 1)
    expect(thrown(() => atomicWriteSync(file, 'b', { flag: 'wx' })).code).toBe('EEXIST')
    expect(heard.map(([event]) => event)).toEqual(['start', 'end', 'start', 'error', 'end'])
    const message = { function: 'atomicWriteSync', path: file, milliseconds: expect.any(Number) }
    expect(heard[1]?.[1]).toMatchObject({ ...message, steps: { stage: expect.any(Number) } })
    expect(heard[3]?.[1]).toMatchObject({ ...message, error: { code: 'EEXIST' } })
  })
})

needs('linux')('without a free descriptor the calls that block give up soon', async ({ dir, file }) => {
  writeJson(file, {})
  const run = (
    { acquireIndexLockSync, atomicWriteSync, readIndexSync, require }: any,
    dir: string,
    file: string,
  ) => {
    const { closeSync, openSync } = require('node:fs')
    const open: number[] = []
    try {
      for (;;) open.push(openSync('/dev/null'))
    } catch {}
    const since = performance.now()
    const calls = [
      () => readIndexSync(file),
      () => atomicWriteSync(`${dir}/new`, ''),
      () => acquireIndexLockSync(file),
    ]
    const codes = calls.map((call) => {
      try {
        return call()
      } catch (error: any) {
        return error.code
      }
    })
    const took = performance.now() - since
    for (const descriptor of open) closeSync(descriptor)
    return { codes, took }
  }
  const { codes, took } = await inProcess(run, [dir, file], { before: 'ulimit -n 100' }).returned
  expect(codes).toEqual(['EMFILE', 'EMFILE', 'EMFILE'])
  // Calls that do not block go on for ten seconds.
  expect(took).toBeLessThan(8000)
  expect(names(dir)).not.toContain('new')
})

describe('readIndexSync', () => {
  test('returns what readIndex resolves with', async ({ file }) => {
    const schema = z.object({ a: z.number() })
    const both = async (options?: object) => {
      const read = readIndexSync(file, options)
      expect(read).toEqual(await readIndex(file, options))
      return read
    }
    expect(await both({ initial: [] })).toEqual({ value: [], source: 'initial' })
    writeJson(file, { a: 2 })
    writeJson(`${file}.backup`, { a: 1 })
    expect(await both({ schema })).toEqual({ value: { a: 2 }, source: 'file' })
    writeFileSync(file, '{')
    const backup = { value: { a: 1 }, source: 'backup', backup: `${file}.backup` }
    expect(await both({ fallback: 'backup', schema })).toMatchObject(backup)
    expect(thrown(() => readIndexSync(file))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
    writeJson(file, { old: 1 })
    expect(await both({ schema, migrate: () => ({ a: 3 }) })).toMatchObject({ value: { a: 3 } })
    expect(await both({ fallback: 'backup', schema })).toMatchObject(backup)
  })

  test('does not wait for a schema that takes its time, nor for a store', async ({ file }) => {
    writeJson(file, { a: 1 })
    const schema = z.object({ a: z.number().refine(async () => false) })
    const refused = thrown(() => readIndexSync(file, { schema }))
    expect(refused).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(refused.message).toContain('call readIndex')
    expect(thrown(() => readIndexSync('s3://bucket/key')).code).toBe('ERR_ATOMIC_UNSUPPORTED')
  })
})
