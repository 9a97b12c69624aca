// A function that fails is left out of its group: its own call rejects, and no other.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { append, batchSizes, inTime, places, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const reason = { why: 'no' }

/** What can go wrong, and what its caller then catches. */
const failures: [how: string, fn: (index: any) => any, caught: unknown][] = [
  [
    'throws',
    () => {
      throw reason
    },
    reason,
  ],
  [
    'changes the index half and throws',
    (index) => {
      index.length = 0
      index.push('half')
      throw reason
    },
    reason,
  ],
  ['rejects', () => Promise.reject(reason), reason],
  [
    'changes the index half and rejects after a while',
    async (index) => {
      index.push('half')
      await new Promise(setImmediate)
      index.push('more')
      throw reason
    },
    reason,
  ],
  ['throws undefined', () => Promise.reject(undefined), undefined],
  [
    'changes the index half and returns no index',
    (index) => {
      index.push('half')
      return 1
    },
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' }),
  ],
  [
    'promises no index',
    async () => null,
    expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' }),
  ],
]

for (const [how, fn, caught] of failures) {
  describe(`a function that ${how}`, () => {
    test.for(places)(
      'as %s of a group: the others succeed, and no trace of it is left',
      async ([, failing], { dir, file }) => {
        writeJson(file, ['old'])
        const calls = await together(file, () =>
          times(5, (at) => atomicIndexUpdate(file, failing.includes(at) ? fn : append(at))),
        )
        for (const at of failing) expect(await rejection(calls[at]!)).toEqual(caught)
        await Promise.all(calls.filter((_, at) => !failing.includes(at)))
        expect(readJson(file)).toEqual(['old', ...[0, 1, 2, 3, 4].filter((at) => !failing.includes(at))])
        expect(names(dir)).toEqual(['index.json'])
      },
    )

    test('as each of a group: each call rejects, and the file is untouched', async ({ dir, file }) => {
      writeJson(file, ['old'])
      const before = state(file)
      const calls = await together(file, () => times(5, () => atomicIndexUpdate(file, fn)))
      for (const error of await Promise.all(calls.map(rejection))) expect(error).toEqual(caught)
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json'])
    })
  })
}

describe('a failing function of a group', () => {
  const fail = () => {
    throw reason
  }

  test('gives its caller the very same value, of any type', async ({ file }) => {
    writeJson(file, [])
    const values = [
      new Error('no'),
      reason,
      Object.freeze({}),
      'no',
      0,
      undefined,
      null,
      Symbol('no'),
      () => {},
    ]
    const calls = await together(file, () =>
      values.map((value) => atomicIndexUpdate(file, () => Promise.reject(value))),
    )
    for (const [at, value] of values.entries()) expect(await rejection(calls[at]!)).toBe(value)
  })

  test('divides those that share a commit: before it, and after it', inTime, async ({ file }) => {
    writeJson(file, [])
    const fns = [append(0), fail, append(2), append(3)]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn)))
    const others = await Promise.all(calls.filter((_, at) => at !== 1))
    expect(batchSizes(others)).toEqual([1, 2, 2])
  })

  test('that fails only on what is not JSON yet does not fail', async ({ file }) => {
    writeJson(file, {})
    const [, length] = await Promise.all(
      await together<unknown>(file, () => [
        atomicIndexUpdate(file, (index) => Object.freeze({ ...index, when: new Date(0) })),
        atomicIndexUpdate(file, (index) => Object.assign(index, { year: index.when.slice(0, 4) })),
      ]),
    )
    expect(length).toMatchObject({ written: true })
    expect(readJson(file)).toEqual({ when: '1970-01-01T00:00:00.000Z', year: '1970' })
  })

  test('leaves no lock that its caller could see', async ({ dir, file }) => {
    writeJson(file, [])
    let seen: string[] | undefined
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, fail).catch(() => {
        seen = names(dir)
      }),
    ])
    await Promise.all(calls)
    expect(seen).toEqual(['index.json'])
  })

  test('lets its caller update at once, without waiting', async ({ file }) => {
    writeJson(file, [])
    const calls = await together<unknown>(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, fail).catch(() => atomicIndexUpdate(file, append('again'), { timeout: 0 })),
    ])
    await Promise.all(calls)
    expect(readJson(file)).toEqual([0, 'again'])
  })

  test('makes no file where there is none', async ({ dir, file }) => {
    const calls = await together(file, () => times(3, () => atomicIndexUpdate(file, fail)))
    await Promise.allSettled(calls)
    expect(names(dir)).toEqual([])
  })

  test('that fails only after others of its group fails alone', async ({ file }) => {
    writeJson(file, [])
    const fussy = (index: any) => {
      if (index.length > 0) throw reason
      return ['fussy']
    }
    const calls = await together(file, () =>
      [append(0), fussy, append(2)].map((fn) => atomicIndexUpdate(file, fn)),
    )
    expect(await rejection(calls[1]!)).toBe(reason)
    await Promise.all([calls[0], calls[2]])
    expect(readJson(file)).toEqual([0, 2])
  })

  test('leaves no half-done change for the next one', async ({ file }) => {
    writeJson(file, { n: 0 })
    const half = (index: any) => {
      index.n = undefined
      throw reason
    }
    const strict = (index: any) => {
      if (typeof index.n !== 'number') throw new Error('not a number')
      return { n: index.n + 1 }
    }
    const calls = await together(file, () => [half, strict, strict].map((fn) => atomicIndexUpdate(file, fn)))
    expect(await rejection(calls[0]!)).toBe(reason)
    await Promise.all(calls.slice(1))
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('gives each caller an error of its own, with a stack that leads to it', async ({ file }) => {
    writeJson(file, [])
    async function theOne() {
      await atomicIndexUpdate(file, () => 1 as never)
    }
    async function theOther() {
      await atomicIndexUpdate(file, () => 2 as never)
    }
    const calls = await together(file, () => [theOne(), theOther()])
    const [one, other] = [await rejection(calls[0]!), await rejection(calls[1]!)]
    expect(one.stack).toMatch(/ {4}at (async )?theOne \(/)
    expect(other.stack).toMatch(/ {4}at (async )?theOther \(/)
    expect(other.message).toContain('type number (2)')
  })
})
