// Releases and patches as the peer's own JavaScript makes them, over an addon that is a stand-in.

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { peerOver } from '../helpers/peer'
import { rejection } from '../helpers/promises'

const puts: { path: string; reject(error: Error): void }[] = []
const published = vi.fn(async () => ({ release: 'r', version: 'v', files: 0, outcome: { written: true } }))
const patches: string[] = []
const timeouts: number[] = []

class Staging {
  put(path: string) {
    return new Promise<void>((resolve, reject) => {
      puts.push({ path, reject })
      if (path === 'at-once') resolve()
    })
  }
  publish = published
}

class Place {
  async patch(_: Call, change: string) {
    patches.push(change)
    return { session: 's', number: 1 }
  }
  async settle() {}
  async tidied() {}
}

class Call {
  constructor(timeout: number) {
    timeouts.push(timeout)
  }
  /** As the addon does with what is under way. */
  abort() {
    const text = 'The operation was aborted'
    for (const { reject } of puts)
      reject(new Error(JSON.stringify({ code: 'ABORT_ERR', text, status: null })))
  }
}

const load = peerOver({ Call, Place, Staging })
const { atomicPublish } = load('release')
const { atomicIndexPatch } = load('patch')

/** An iterable that gives these, and is then at work on one that never comes. */
function stuck(...paths: string[]) {
  let ask = () => {}
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  async function* entries() {
    for (const path of paths) yield { path, data: '' }
    ask()
    await new Promise(() => {})
  }
  return { entries: entries(), asked }
}

function nothingIsPublished() {
  published.mockClear()
  puts.length = 0
  onTestFinished(() => expect(published).not.toHaveBeenCalled())
}

describe('while the entries of a release do not come', () => {
  test('an abort ends the call', async () => {
    nothingIsPublished()
    const { entries, asked } = stuck('at-once')
    const caller = new AbortController()
    const failed = rejection(atomicPublish('s3://b/site', entries, { signal: caller.signal }))
    await asked
    caller.abort('enough')
    expect(await failed).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
  })

  test('a failure of an object ends it', async () => {
    nothingIsPublished()
    const { entries, asked } = stuck('a')
    const failed = rejection(atomicPublish('s3://b/site', entries))
    await asked
    puts[0]!.reject(new Error('refused'))
    expect(await failed).toMatchObject({ message: 'refused' })
  })

  test('its timeout ends it', async () => {
    nothingIsPublished()
    const { entries } = stuck('at-once')
    const failed = await rejection(atomicPublish('s3://b/site', entries, { timeout: 20 }))
    expect(failed).toMatchObject({
      code: 'ETIMEDOUT',
      message: expect.stringContaining(
        'nothing was published: the entries did not come to their end within 20 ms',
      ),
    })
  })
})

test('of a store that is slow an object says so, and not the entries', async () => {
  nothingIsPublished()
  const { entries, asked } = stuck('a')
  const caller = new AbortController()
  const failed = rejection(atomicPublish('s3://b/site', entries, { timeout: 20, signal: caller.signal }))
  await asked
  // After the timer of the entries, which was set first.
  setTimeout(() => puts[0]!.reject(new Error('the store did not answer')), 20)
  expect(await failed).toMatchObject({ message: 'the store did not answer' })
})

test('an iterator that does not end when it is to ends with the timeout', async () => {
  nothingIsPublished()
  const next = async () => ({ value: { path: '/abs', data: '' }, done: false })
  const entries = { [Symbol.asyncIterator]: () => ({ next, return: () => new Promise(() => {}) }) }
  expect(await rejection(atomicPublish('s3://b/site', entries, { timeout: 20 }))).toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  })
})

test('a timeout that is undefined is none that is given', async () => {
  timeouts.length = 0
  await atomicPublish('s3://b/site', [], { timeout: undefined })
  await atomicPublish('s3://b/site', [])
  expect(timeouts).toEqual([300_000, 300_000])
})

test('what is no iterable of entries is refused', async () => {
  nothingIsPublished()
  for (const entries of [undefined, 'abc', {}]) {
    expect(await rejection(atomicPublish('s3://b/site', entries))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: '"entries" must be an iterable of { path, data }',
    })
  }
})

test('a patch that is none is refused: of a string each letter would be a key', async () => {
  const wrong = [{ delete: 'title' }, { delete: [1] }, { delete: 5 }, undefined, [{ op: 'remove' }], 'a']
  for (const patch of wrong) {
    expect(await rejection(atomicIndexPatch('s3://b/i', patch))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringMatching(/^"patch(\.delete)?" must be an (array of strings|object)/),
    })
  }
  expect(patches).toEqual([])
  await atomicIndexPatch('s3://b/i', { delete: ['title'] })
  expect(patches).toEqual(['{"set":{},"delete":["title"]}'])
})
