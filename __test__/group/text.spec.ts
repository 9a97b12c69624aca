// A result that cannot be serialized in a group, or an index that cannot be parsed: its call rejects, and the old text
// stands.

import { writeFileSync } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { append, places, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const reason = { why: 'no' }

describe('a result that cannot be serialized rejects its own call alone', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const useless: [what: string, part: unknown, cause: unknown][] = [
    ['a bigint', 1n, expect.any(TypeError)],
    ['an object that refers to itself', cycle, expect.any(TypeError)],
    [
      'an object whose toJSON throws',
      {
        toJSON() {
          throw reason
        },
      },
      reason,
    ],
  ]
  for (const [what, part, cause] of useless) {
    test.for(places)(`${what}, from %s of a group`, async ([, failing], { dir, file }) => {
      writeJson(file, ['old'])
      const calls = await together(file, () =>
        times(5, (at) => atomicIndexUpdate(file, append(failing.includes(at) ? part : at))),
      )
      for (const at of failing) {
        const error = await rejection(calls[at]!)
        expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' })
        expect(error.cause).toEqual(cause)
      }
      await Promise.all(calls.filter((_, at) => !failing.includes(at)))
      expect(readJson(file)).toEqual(['old', ...[0, 1, 2, 3, 4].filter((at) => !failing.includes(at))])
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  test('an object whose toJSON yields no object, from the last of a group', async ({ file }) => {
    writeJson(file, [])
    const fns = [append(0), () => ({ toJSON: () => 'text' }) as unknown as unknown[]]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn)))
    expect(await rejection(calls[1]!)).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
    await calls[0]
    expect(readJson(file)).toEqual([0])
  })

  test('from all of a group: the file is untouched and the lock is free', async ({ dir, file }) => {
    writeJson(file, [])
    const before = state(file)
    const calls = await together(file, () => times(4, () => atomicIndexUpdate(file, append(1n))))
    for (const call of calls)
      expect(await rejection(call)).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })
})

test('a corrupt index rejects each call with its own error, and its bytes stand', async ({ dir, file }) => {
  writeJson(file, [])
  let before: unknown
  const paths = [file, `${dir}/./index.json`, `${dir}//index.json`]
  const calls = await together(
    file,
    () => paths.map((path) => atomicIndexUpdate(path, append('lost'))),
    () => {
      writeFileSync(file, '[]!')
      before = state(file)
    },
  )
  const errors = await Promise.all(calls.map(rejection))
  expect(errors).toMatchObject(paths.map((path) => ({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path, offset: 2 })))
  expect(new Set(errors).size).toBe(3)
  expect(state(file)).toEqual(before)
  expect(names(dir)).toEqual(['index.json'])
})
