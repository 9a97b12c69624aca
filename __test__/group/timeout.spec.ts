// The timeout of a call in a group: it ends the wait of its own call, and no other.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { append, batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('the timeout of a call in a group', inTime, () => {
  test('ends its wait, and the others go on without it', async ({ file }) => {
    writeJson(file, [])
    const calls = await together(
      file,
      () => times(4, (at) => atomicIndexUpdate(file, append(at), at === 1 ? { timeout: 20 } : {})),
      async (calls) => {
        const error = await rejection(calls[1]!)
        expect(error).toMatchObject({ name: 'Error', code: 'ERR_ATOMIC_LOCK_TIMEOUT', path: file })
      },
    )
    const others = await Promise.all(calls.filter((_, at) => at !== 1))
    expect(batchSizes(others)).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual([0, 2, 3])
  })

  test('of 0 ends it at once', async ({ file }) => {
    writeJson(file, [])
    const calls = await together(
      file,
      () => [atomicIndexUpdate(file, append('lost'), { timeout: 0 }), atomicIndexUpdate(file, append(1))],
      async (calls) => {
        expect(await rejection(calls[0]!)).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
      },
    )
    await calls[1]
    expect(readJson(file)).toEqual([1])
  })

  test('does not touch a call whose function has begun, not even if it has to run again', async ({
    file,
  }) => {
    writeJson(file, [])
    const { open, opened } = gate()
    let runs = 0
    const slow = async (index: any) => {
      runs++
      await opened
      return append('slow')(index)
    }
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, slow, { timeout: 800 }),
      atomicIndexUpdate(file, append('lost'), { timeout: 900 }),
    ])
    await calls[0]
    // When this one's time is over, so is that of the slow one.
    expect(await rejection(calls[2]!)).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    open()
    await calls[1]
    expect(runs).toBe(2)
    expect(readJson(file)).toEqual([0, 'slow'])
  })
})
