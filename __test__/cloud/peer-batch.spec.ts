// A batch of objects as the peer's own JavaScript writes it, over an addon that is a stand-in.

import { describe, expect, test, vi } from 'vitest'
import { peerOver } from '../helpers/peer'
import { rejection } from '../helpers/promises'

/** The writes that were begun, by URL: each is ended by the test, unless it is `at-once`. */
const writes = new Map<string, { resolve(): void; reject(error: Error): void }>()

class Place {
  constructor(readonly url: string) {}
  write({ aborts }: Call) {
    const { promise, resolve, reject } = deferred<object>()
    if (this.url.startsWith('s3://at-once/')) resolve({ written: true })
    writes.set(this.url, { resolve: () => resolve({ written: true }), reject })
    const text = 'The operation was aborted'
    aborts.push(() => reject(new Error(JSON.stringify({ code: 'ABORT_ERR', text, status: null }))))
    return promise
  }
}

class Call {
  aborts: (() => void)[] = []
  abort() {
    for (const abort of this.aborts) abort()
  }
}

function deferred<T>() {
  let [resolve, reject] = [(_: T) => {}, (_: Error) => {}]
  const promise = new Promise<T>((...own) => {
    ;[resolve, reject] = own
  })
  return { promise, resolve, reject }
}

const load = peerOver({ Call, Place })
const { atomicWriteAll } = load('objects') as {
  atomicWriteAll(entries: unknown, options?: object): Promise<{ bytes: number }[]>
}

const entry = (path: string) => ({ path, data: '' })

/** An iterable that gives these, and is then at work on one that never comes. */
function stuck(...paths: string[]) {
  const closed = vi.fn(() => new Promise(() => {}))
  const asked = deferred<void>()
  const next = async () => {
    const path = paths.shift()
    if (path) return { value: entry(path), done: false }
    asked.resolve()
    return new Promise(() => {})
  }
  return {
    entries: { [Symbol.asyncIterator]: () => ({ next, return: closed }) },
    closed,
    asked: asked.promise,
  }
}

describe('an iterator that is at work on an entry', () => {
  test('is not waited for after an abort, which tells what was written', async () => {
    const { entries, closed, asked } = stuck('s3://b/1', 's3://b/2')
    const caller = new AbortController()
    const rejected = rejection(atomicWriteAll(entries, { signal: caller.signal }))
    await asked
    writes.get('s3://b/1')?.resolve()
    await new Promise(setImmediate)
    caller.abort('enough')
    expect(await rejected).toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: 'enough',
      committed: true,
      replaced: 1,
    })
    expect(closed).toHaveBeenCalledOnce()
  })

  test('is not waited for after a write that fails', async () => {
    const { entries, closed, asked } = stuck('s3://b/1')
    const rejected = rejection(atomicWriteAll(entries))
    await asked
    const failure = new Error('refused')
    writes.get('s3://b/1')?.reject(failure)
    expect(await rejected).toBe(failure)
    expect(failure).toMatchObject({ entry: 0 })
    expect(closed).toHaveBeenCalledOnce()
  })

  test('may be one that gives promises', async () => {
    const caller = new AbortController()
    const rejected = rejection(atomicWriteAll([new Promise(() => {})], { signal: caller.signal }))
    caller.abort()
    expect(await rejected).toMatchObject({ name: 'AbortError' })
  })
})

test('an iterator that fails ends the call when the writes are over', async () => {
  const failure = new Error('no more')
  const asked = deferred<void>()
  async function* entries() {
    yield entry('s3://b/1')
    asked.resolve()
    throw failure
  }
  const rejected = rejection(atomicWriteAll(entries()))
  await asked.promise
  await new Promise(setImmediate)
  writes.get('s3://b/1')?.resolve()
  expect(await rejected).toBe(failure)
  expect(failure).toMatchObject({ committed: true, replaced: 1 })
})

test('the entries of any iterable are written, and told in their order', async () => {
  const all = Array.from({ length: 40 }, (_, at) => ({ path: `s3://at-once/${at}`, data: '-'.repeat(at) }))
  for (const entries of [all, new Set(all), all.map(async (entry) => entry)]) {
    const written = await atomicWriteAll(entries)
    expect(written.map(({ bytes }) => bytes)).toEqual(all.map(({ data }) => data.length))
  }
})
