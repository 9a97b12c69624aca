// A patch that no other call shares a commit with.

import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexPatch, atomicIndexUpdate, type IndexPatch } from '@pipeline/atomic'
import { expect } from 'vitest'
import { times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { jobsOf } from '../helpers/jobs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const increment: IndexPatch = { increment: { '/n': 1 } }

test('is read, applied and written by one job, and one that does not fit takes a second one to give the index back', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  expect(await jobsOf(() => [atomicIndexPatch(file, increment)])).toBe(1)
  const jobs = await jobsOf(() => [rejection(atomicIndexPatch(file, { remove: ['/none'] }))])
  expect(jobs).toBe(2)
  expect(await jobsOf(() => [atomicIndexPatch(file, increment)])).toBe(1)
  expect(readJson(file)).toEqual({ n: 2 })
})

test('is in the file before its thread has looked', async ({ file }) => {
  writeJson(file, { n: 0 })
  const call = atomicIndexPatch(file, increment)
  const until = performance.now() + 30_000
  while (readJson(file).n === 0 && performance.now() < until);
  expect(readJson(file)).toEqual({ n: 1 })
  expect(await call).toMatchObject({ written: true, applied: true, batchSize: 1 })
})

test('tells what it has done as one that shares a commit with a function', async ({ file }) => {
  writeJson(file, { n: 0, list: [1] })
  const patches: IndexPatch[] = [increment, { set: { '/n': 1 } }, { append: { '/list': [2] } }]
  for (const patch of patches) {
    const before = readFileSync(file, 'utf8')
    const { lockWaitMs, ...alone } = await atomicIndexPatch(file, patch)
    const made = readFileSync(file, 'utf8')
    writeFileSync(file, before)
    const [first, second] = await Promise.all([
      atomicIndexPatch(file, patch),
      atomicIndexUpdate(file, (index) => index),
    ])
    expect(first).toEqual({ ...alone, lockWaitMs: expect.any(Number), batchSize: first.batchSize })
    expect(lockWaitMs).toBeGreaterThanOrEqual(0)
    expect(second.bytes).toBe(alone.bytes)
    expect(readFileSync(file, 'utf8')).toBe(made)
  }
})

test('one after the other, beside functions, and aborted: none is lost, and none is there twice', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  let done = 0
  const count = async (call: Promise<unknown>) => {
    try {
      await call
      done++
    } catch (error: any) {
      expect(error.name).toBe('AbortError')
      done += error.committed === true ? 1 : 0
    }
  }
  const writer = async (way: number) => {
    for (let round = 0; round < 20; round++) {
      const abort = new AbortController()
      const call =
        (round + way) % 3 === 0
          ? atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }), { flush: false })
          : atomicIndexPatch(file, increment, { flush: false, signal: abort.signal })
      if ((round + way) % 7 === 0) setImmediate(() => abort.abort())
      await count(call)
    }
  }
  await Promise.all(times(4, writer))
  expect(readJson(file)).toEqual({ n: done })
})
