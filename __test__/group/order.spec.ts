// What group commit must not change: the effects are those of one call after the other, in the order of the calls.

import { readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicIndexUpdate,
  atomicWrite,
  type UpdateOptions,
  type UpdateResult,
  type WriteResult,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { written } from '../helpers/files'
import { append, batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('calls share a commit only if they are to be written alike', inTime, () => {
  const options: [name: string, one: UpdateOptions, other: UpdateOptions][] = [
    ['mode', { mode: 0o600 }, { mode: 0o640 }],
    ['flush', { flush: true }, { flush: false }],
    ['verify', { verify: true }, { verify: false }],
    ['the level of verify', { verify: true }, { verify: 'device' }],
    ['backup', { backup: true }, { backup: false }],
    ['mkdir', { mkdir: true }, { mkdir: false }],
    ['space', { space: 1 }, { space: 3 }],
    ['the kind of space', { space: 1 }, { space: '\t' }],
    ['a space that is given or not', { space: 1 }, {}],
    ['a mode that is given or not', {}, { mode: 0o640 }],
  ]
  for (const [name, one, other] of options) {
    test(`with another ${name} a new group begins, and the order is kept`, async ({ file }) => {
      writeJson(file, [])
      const calls = await together(file, () =>
        [one, one, other, other, one].map((options, at) => atomicIndexUpdate(file, append(at), options)),
      )
      expect(batchSizes(await Promise.all(calls))).toEqual([2, 2, 2, 2, 1])
      expect(readJson(file)).toEqual([0, 1, 2, 3, 4])
    })
  }

  test('with another place for the backup a new group begins, and each has its own', async ({
    dir,
    file,
  }) => {
    writeJson(file, [])
    const places = ['a', 'a', 'b'].map((name) => join(dir, name))
    const calls = await together(file, () =>
      places.map((backup, at) => atomicIndexUpdate(file, append(at), { backup })),
    )
    expect(batchSizes(await Promise.all(calls))).toEqual([2, 2, 1])
    expect(readJson(join(dir, 'a'))).toEqual([])
    expect(readJson(join(dir, 'b'))).toEqual([0, 1])
  })

  test('with backup: true each name of the index has its own backup', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    writeJson(file, [])
    const calls = await together(file, () =>
      [file, link].map((path, at) => atomicIndexUpdate(path, append(at), { backup: true })),
    )
    await Promise.all(calls)
    expect(readJson(`${file}.backup`)).toEqual([])
    expect(readJson(`${link}.backup`)).toEqual([0])
  })

  test('each result says what was done for its call', async ({ dir, file }) => {
    writeJson(file, [])
    const options: UpdateOptions[] = [{ flush: false }, {}, { verify: false }]
    const calls = await together(file, () =>
      options.map((options, at) => atomicIndexUpdate(file, append(at), options)),
    )
    const { durable } = written(dir, 0)
    expect(await Promise.all(calls)).toMatchObject([
      { durable: false, verified: 'cache' },
      { durable, verified: 'cache' },
      { durable, verified: false },
    ])
  })

  test('the mode is that of the last, and the layout, too', async ({ file }) => {
    writeJson(file, {})
    const options: UpdateOptions[] = [{}, { space: 4 }, { mode: 0o640 }]
    const calls = await together(file, () =>
      options.map((options, at) => atomicIndexUpdate(file, (index) => ({ ...index, [at]: at }), options)),
    )
    await Promise.all(calls)
    expect(readFileSync(file, 'utf8')).toBe(JSON.stringify({ 0: 0, 1: 1, 2: 2 }, null, 4))
    expect(statSync(file).mode & 0o777).toBe(0o640)
  })

  test('timeout, signal and initial do not matter for that', async ({ file }) => {
    writeJson(file, [])
    const { signal } = new AbortController()
    const options: UpdateOptions[] = [{}, { timeout: 20_000 }, { signal }, { initial: [1] }]
    const calls = await together(file, () =>
      options.map((options, at) => atomicIndexUpdate(file, append(at), options)),
    )
    expect(batchSizes(await Promise.all(calls))).toEqual([4, 4, 4, 4])
  })
})

describe('a write between updates', inTime, () => {
  test('begins a new group, and is seen by those after it alone', async ({ file }) => {
    writeJson(file, [])
    const calls = await together<WriteResult>(file, () => [
      ...times(2, () => atomicIndexUpdate(file, append('update 1'))),
      atomicWrite(file, '["write"]'),
      ...times(2, () => atomicIndexUpdate(file, append('update 2'))),
    ])
    const sizes = batchSizes((await Promise.all(calls)) as UpdateResult[])
    expect(sizes).toEqual([2, 2, undefined, 2, 2])
    expect(readJson(file)).toEqual(['write', 'update 2', 'update 2'])
  })

  test('that fails changes nothing for them', async ({ file }) => {
    writeJson(file, [])
    const calls = await together<unknown>(file, () => [
      atomicIndexUpdate(file, append(1)),
      atomicWrite(file, '[]', { flag: 'wx' }),
      atomicIndexUpdate(file, append(2)),
    ])
    expect(await rejection(calls[1]!)).toMatchObject({ code: 'EEXIST' })
    await Promise.all([calls[0], calls[2]])
    expect(readJson(file)).toEqual([1, 2])
  })
})

describe('the initial index is that of each call itself: without a file', inTime, () => {
  const initials = [['one'], ['two'], ['three']]

  test('the first gets its own, those after it what is there then', async ({ file }) => {
    const calls = await together(file, () =>
      initials.map((initial, at) => atomicIndexUpdate(file, append(at), { initial })),
    )
    expect(batchSizes(await Promise.all(calls))).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual(['one', 0, 1, 2])
  })

  test('the second gets its own when the first has failed', async ({ file }) => {
    const fail = (index: unknown[]) => {
      index.push('half')
      throw new Error('no')
    }
    const calls = await together(file, () =>
      initials.map((initial, at) => atomicIndexUpdate(file, at === 0 ? fail : append(at), { initial })),
    )
    await Promise.allSettled(calls)
    expect(readJson(file)).toEqual(['two', 1, 2])
  })

  test('one that has none is given undefined', async ({ file }) => {
    const given: unknown[] = []
    const calls = await together(file, () =>
      [{}, { initial: ['two'] }].map((options) =>
        atomicIndexUpdate(
          file,
          (index) => {
            given.push(index)
            return ['made']
          },
          options,
        ),
      ),
    )
    await Promise.all(calls)
    expect(given).toEqual([undefined, ['made']])
  })

  test('no function can change it for the others', async ({ file }) => {
    const initial: unknown[] = []
    const fail = (index: unknown[]) => {
      index.push('half')
      throw new Error('no')
    }
    const calls = await together(file, () =>
      [fail, append(1)].map((fn) => atomicIndexUpdate(file, fn, { initial })),
    )
    await Promise.allSettled(calls)
    expect(readJson(file)).toEqual([1])
    expect(initial).toEqual([])
  })
})

test('a group behind a failing path goes on', async ({ dir, file }) => {
  writeJson(file, [])
  const calls = await together(file, () => [
    atomicIndexUpdate(file, append(0)),
    atomicIndexUpdate(dir, append('lost')),
    atomicIndexUpdate(join(file, 'x'), append('lost')),
    atomicIndexUpdate(file, append(1)),
  ])
  expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual([
    ...['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  ])
  expect(readJson(file)).toEqual([0, 1])
})

test('calls that fail before they wait leave the others their group', inTime, async ({ file }) => {
  writeJson(file, [])
  const calls = await together(file, () => [
    atomicIndexUpdate(file, append(0)),
    atomicIndexUpdate(file, 1 as never),
    atomicIndexUpdate(file, append('lost'), { signal: AbortSignal.abort() }),
    atomicIndexUpdate(file, append(1)),
  ])
  for (const at of [1, 2]) await rejection(calls[at]!)
  expect(batchSizes(await Promise.all([calls[0]!, calls[3]!]))).toEqual([2, 2])
  expect(readJson(file)).toEqual([0, 1])
})
