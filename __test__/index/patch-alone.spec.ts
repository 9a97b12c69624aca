// A patch that no other call shares a commit with.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { atomicIndexPatch, atomicIndexUpdate, type IndexPatch, type PatchOptions } from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { jobsOf } from '../helpers/jobs'
import { inProcess } from '../helpers/processes'
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

test('keeps the digits of raw numbers, alone and together', async ({ file }) => {
  const record = '{"price":0.30000000000000000001,"max":1e400,"min":1e-400}'
  writeFileSync(file, `{"record":${record}}`)
  const { returned } = inProcess(
    async ({ atomicIndexPatch, readIndexAt }, file) => {
      const { rawJSON } = JSON as never as { rawJSON(text: string): number }
      const options = { numbers: 'exact' } as const
      const record = await readIndexAt(file, '/record', options)
      await atomicIndexPatch(file, { set: { '/alone': record } }, options)
      await atomicIndexPatch(file, { set: { '/number': rawJSON('1e400') } }, options)
      const together = ['/one', '/two', '/three'].map((at) =>
        atomicIndexPatch(file, { set: { [at]: record } }, options),
      )
      return (await Promise.all(together)).length
    },
    [file],
    { execArgv: 'rawJSON' in JSON ? [] : ['--harmony-json-parse-with-source'] },
  )
  expect(await returned).toBe(3)
  const members = ['record', 'alone', 'one', 'two', 'three'].map((name) => `"${name}":${record}`)
  const [first, second, ...others] = members
  expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toBe(
    `{${[first, second, '"number":1e400', ...others].join(',')}}`,
  )
})

test('does what its function does where there is no text to patch', async ({ file }) => {
  const schema = z.looseObject({ n: z.number() })
  const broken = { onCorrupt: () => ({ n: 5 }) }
  const cases: [before: string | undefined, options: PatchOptions, after: object][] = [
    [undefined, {}, { a: { b: 1 }, n: 2 }],
    ['{"n":1}', { schema } as PatchOptions, { n: 3, a: { b: 1 } }],
    ['{"n":1}', { space: 4 }, { n: 3, a: { b: 1 } }],
    ['{"n":', broken, { n: 7, a: { b: 1 } }],
  ]
  for (const [before, options, after] of cases) {
    if (before === undefined) rmSync(file, { force: true })
    else writeFileSync(file, before)
    const initial = before === undefined ? { initial: { n: 0 } } : {}
    await atomicIndexPatch(
      file,
      { set: { '/a': { b: 1 } }, increment: { '/n': 2 } },
      { ...options, ...initial },
    )
    expect(readJson(file)).toEqual(after)
  }
})

test('takes no part that JSON leaves out, and its result is an object as any', async ({ file }) => {
  writeJson(file, { n: 0 })
  const hidden = Object.defineProperty({ increment: { '/n': 1 } }, 'set', { value: { '/n': 9 } })
  const result = await atomicIndexPatch(file, hidden)
  expect(readJson(file)).toEqual({ n: 1 })
  for (const [name, { writable, enumerable, configurable }] of Object.entries(
    Object.getOwnPropertyDescriptors(result),
  )) {
    expect({ name, writable, enumerable, configurable }).toEqual({
      name,
      writable: true,
      enumerable: true,
      configurable: true,
    })
  }
})

test('options are read also where an object inherits them or does not list them; what a getter throws is passed on', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  const patch = { increment: { '/n': 1 } }
  const hidden = Object.defineProperty({}, 'timeout', { value: 'soon' })
  for (const options of [Object.create({ timeout: 'soon' }), hidden, { timeout: 'soon' }, { wait: 'long' }]) {
    expect(await rejection(atomicIndexPatch(file, patch, options))).toHaveProperty(
      'code',
      expect.stringMatching('ERR_INVALID_ARG_'),
    )
  }
  const thrown = Symbol('mine')
  const getter = {
    get timeout(): number {
      throw thrown
    },
  }
  expect(await rejection(atomicIndexPatch(file, patch, getter))).toBe(thrown)
  const last = { signal: AbortSignal.abort('reason') }
  expect(await rejection(atomicIndexPatch(file, patch, last))).toHaveProperty('code', 'ABORT_ERR')
  expect(readJson(file)).toEqual({ n: 0 })
})

test('options that a getter in it changes count', async ({ file }) => {
  writeFileSync(file, '{"n":')
  const options: PatchOptions = {}
  const patch = {
    get increment() {
      options.onCorrupt = () => ({ n: 1 })
      return { '/n': 1 }
    },
  }
  await atomicIndexPatch(file, patch, options)
  expect(readJson(file)).toEqual({ n: 2 })
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

test('a pointer with half of a surrogate pair names the key that JSON writes with an escape', async ({
  file,
}) => {
  writeFileSync(file, '{}')
  await atomicIndexPatch(file, { set: { '/\ud800': 1 } })
  expect(readFileSync(file, 'utf8')).toContain('"\\ud800": 1')
})

test('leaves nothing of its options in memory', async ({ file }) => {
  writeFileSync(file, '{"n":0}')
  const { returned } = inProcess(
    async ({ atomicIndexPatch, require }, file) => {
      const { setFlagsFromString } = require('node:v8') as typeof import('node:v8')
      const { runInNewContext } = require('node:vm') as typeof import('node:vm')
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const patch = async () => {
        const initial = { rows: [] }
        await atomicIndexPatch(file, { increment: { '/n': 1 } }, { initial })
        return new WeakRef(initial)
      }
      const left = await patch()
      for (let turn = 0; turn < 10 && left.deref(); turn++) {
        await new Promise(setImmediate)
        collect()
      }
      return left.deref() === undefined
    },
    [file],
  )
  expect(await returned).toBe(true)
})
