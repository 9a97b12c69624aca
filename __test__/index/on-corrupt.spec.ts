// An update of a broken index that recovers it: the option `onCorrupt`.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, withIndexLock } from '@pipeline/atomic'
import { expect } from 'vitest'
import * as z from 'zod'
import { names, state } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const schema = z.object({ n: z.number() })
const aside = (dir: string) => names(dir).filter((name) => name.includes('.corrupt-'))

test("'recover' puts the backup back, and then updates it", async ({ dir, file }) => {
  writeFileSync(file, '{"n":')
  writeJson(`${file}.backup`, { n: 1 })
  const result = await atomicIndexUpdate(file, increment, { onCorrupt: 'recover', backup: true })
  expect(result).toMatchObject({ written: true, batchSize: 1 })
  expect(readJson(file)).toEqual({ n: 2 })
  expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
  expect(aside(dir).map((name) => readFileSync(join(dir, name), 'utf8'))).toEqual(['{"n":'])
})

test('without a backup: initial, or what the function makes', async ({ dir, file }) => {
  writeFileSync(file, '')
  await atomicIndexUpdate(file, increment, { onCorrupt: 'recover', initial: { n: 5 } })
  expect(readJson(file)).toEqual({ n: 6 })
  writeJson(file, { n: 'x' })
  const told: unknown[] = []
  const onCorrupt = async (corrupt: unknown) => {
    told.push(corrupt)
    return { n: 7 }
  }
  await atomicIndexUpdate(file, increment, { schema, onCorrupt, initial: { n: 5 } })
  expect(readJson(file)).toEqual({ n: 8 })
  expect(told).toEqual([expect.objectContaining({ code: 'ERR_ATOMIC_SCHEMA', path: file })])
  expect(aside(dir)).toHaveLength(2)
})

test('many calls of many processes recover it once, and none is lost', async ({ dir, file }) => {
  writeFileSync(file, '{')
  writeJson(`${file}.backup`, { n: 0 })
  const add = ({ atomicIndexUpdate }: Remote, file: string) => {
    const one = (index: { n: number }) => ({ n: index.n + 1 })
    const update = () =>
      atomicIndexUpdate(file, one, { onCorrupt: 'recover', initial: { n: 100 }, flush: false })
    return Promise.all(Array.from({ length: 20 }, update)).then(() => {})
  }
  await Promise.all(Array.from({ length: 4 }, () => inProcess(add, [file]).returned))
  expect(readJson(file)).toEqual({ n: 80 })
  expect(aside(dir)).toHaveLength(1)
})

test('what cannot be recovered rejects, and nothing is changed', async ({ dir, file }) => {
  writeFileSync(file, '[1,')
  const before = state(file)
  const options = { onCorrupt: 'recover' } as const
  expect(await rejection(atomicIndexUpdate(file, increment, options))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    offset: 2,
  })
  expect(
    await rejection(atomicIndexUpdate(file, increment, { onCorrupt: 'reject', initial: [] })),
  ).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
  })
  expect(state(file)).toEqual(before)
  expect(names(dir)).toEqual(['index.json'])
})

test('a result that does not pass is no broken index', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(`${file}.backup`, { n: 0 })
  const wrong = () => ({ n: 'x' }) as never
  const reason = await rejection(atomicIndexUpdate(file, wrong, { schema, onCorrupt: 'recover' }))
  expect(reason).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
  expect(readJson(file)).toEqual({ n: 1 })
  expect(aside(dir)).toEqual([])
})

test('an abort ends it', async ({ file }) => {
  writeFileSync(file, '{')
  const controller = new AbortController()
  const onCorrupt = () => {
    controller.abort()
    return { n: 0 }
  }
  const reason = await rejection(atomicIndexUpdate(file, increment, { onCorrupt, signal: controller.signal }))
  expect(reason.name).toBe('AbortError')
  expect(readFileSync(file, 'utf8')).toBe('{')
})

test('wrong values are refused, and objects in stores', async ({ file }) => {
  for (const onCorrupt of ['ignore', 1, {}] as never[]) {
    const reason = await rejection(atomicIndexUpdate(file, increment, { onCorrupt }))
    expect(reason.code).toMatch(/^ERR_INVALID_ARG_/)
  }
  const inStore = atomicIndexUpdate('s3://b/i.json', increment, { onCorrupt: 'recover' })
  expect(await rejection(inStore)).toMatchObject({ code: 'ERR_ATOMIC_UNSUPPORTED' })
  const underLock = withIndexLock(file, (lock) => lock.update(increment, { onCorrupt: 'recover' } as never))
  expect(await rejection(underLock)).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})
