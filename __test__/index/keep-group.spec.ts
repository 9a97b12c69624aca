// `keep: 'value'` of calls that share a commit.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { add, first, given, keep, sloppy } from '../helpers/keep'
import { test } from '../helpers/test'

describe('calls that share a commit', () => {
  test('are each given what JSON has of the one before, frozen', inTime, async ({ file }) => {
    writeJson(file, first)
    const date = new Date(0)
    const seen: any[] = []
    const look = (index: any) => {
      seen.push(index)
      return add(index)
    }
    const calls = () => [
      atomicIndexUpdate(file, (index) => ({ ...index, date, nothing: undefined }), keep),
      atomicIndexUpdate(file, look, keep),
      // More than is told as edits.
      atomicIndexUpdate(
        file,
        (index) => ({ ...index, list: times(1500, (id) => ({ id: -id, date })) }),
        keep,
      ),
      atomicIndexUpdate(file, look, keep),
    ]
    const results = await Promise.all(await together(file, calls))
    expect(batchSizes(results)).toEqual([4, 4, 4, 4])
    expect(seen[0]).toEqual({ ...first, date: date.toJSON() })
    expect('nothing' in seen[0]).toBe(false)
    expect(seen[1].list[7]).toEqual({ id: -7, date: date.toJSON() })
    expect([seen[1], seen[1].list[7]].map(Object.isFrozen)).toEqual([true, true])
    expect(readJson(file)).toMatchObject({ n: 2, date: date.toJSON() })
    expect(await given(file)).toMatchObject({ n: 2 })
  })

  test('are given it as without the option if they are many', inTime, async ({ file }) => {
    writeJson(file, first)
    const frozen: boolean[] = []
    const look = (index: any) => {
      frozen.push(Object.isFrozen(index) && Object.isFrozen(index.by.a))
      return add(index)
    }
    const inPlace = sloppy('"use strict"; index.n++; index.by.a.tags.push("y"); return index')
    const fns = [...times(12, () => look), inPlace, look]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn, keep)))
    expect(batchSizes(await Promise.all(calls))).toEqual(fns.map(() => fns.length))
    expect(frozen).toEqual(times(13, (at) => at < 9))
    expect(await given(file)).toEqual({ n: 14, list: first.list, by: { a: { tags: ['x', 'y'] } } })
  })

  test('have the option in common', inTime, async ({ file }) => {
    writeJson(file, first)
    const options = [keep, keep, {}, {}]
    const calls = await together(file, () => options.map((options) => atomicIndexUpdate(file, add, options)))
    expect(batchSizes(await Promise.all(calls))).toEqual([2, 2, 2, 2])
    expect(readJson(file)).toEqual({ ...first, n: 4 })
  })

  test('fail by themselves', inTime, async ({ file }) => {
    writeJson(file, first)
    const fail = () => {
      throw new Error('no')
    }
    const fns = [add, fail, add, (index: any) => ({ ...index, big: 1n }), add, () => new Map([[1, 2]]) as any]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn, keep)))
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
    ])
    expect(readJson(file)).toEqual({ ...first, n: 3 })
    expect(await given(file)).toEqual({ ...first, n: 3 })
  })
})
