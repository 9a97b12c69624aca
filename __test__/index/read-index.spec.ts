import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, readIndex } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { names } from '../helpers/files'
import { writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

test('a file, a missing one, and one that begins as something', async ({ dir, file }) => {
  expect(await readIndex(file)).toEqual({ value: undefined, source: 'initial' })
  expect(await readIndex(file, { initial: [] })).toEqual({ value: [], source: 'initial' })
  writeJson(file, { a: 1 })
  expect(await readIndex(file, { initial: [] })).toEqual({ value: { a: 1 }, source: 'file' })
  expect(names(dir)).toEqual(['index.json'])
})

test('never a torn state beside a writer', async ({ file }) => {
  writeJson(file, Array(1000).fill(0))
  let isOver = false
  const writing = (async () => {
    for (let i = 1; i <= 30; i++)
      await atomicIndexUpdate(file, (index: number[]) => index.fill(i), { initial: [0] })
    isOver = true
  })()
  while (!isOver) {
    const { value } = await readIndex<number[]>(file)
    expect(new Set(value).size).toBe(1)
  }
  await writing
})

describe("fallback: 'backup'", () => {
  test('a good index is taken', async ({ file }) => {
    writeJson(file, { a: 2 })
    writeJson(`${file}.backup`, { a: 1 })
    expect(await readIndex(file, { fallback: 'backup' })).toEqual({ value: { a: 2 }, source: 'file' })
  })

  const broken: [string, (file: string) => void][] = [
    ['cut', (file) => writeFileSync(file, '{"a": ')],
    ['empty', (file) => writeFileSync(file, '')],
    ['missing', (file) => rmSync(file)],
    ['not one that passes the schema', (file) => writeJson(file, { a: 'x' })],
  ]
  test.for(broken)('one that is %s: its newest good backup', async ([, breakIt], { file }) => {
    const schema = z.object({ a: z.number() })
    await atomicIndexUpdate(file, () => ({ a: 1 }))
    await atomicIndexUpdate(file, () => ({ a: 2 }), { backup: true })
    breakIt(file)
    const read = await readIndex(file, { fallback: 'backup', schema })
    expect(read).toMatchObject({ value: { a: 1 }, source: 'backup', backup: `${file}.backup` })
    writeFileSync(`${file}.backup`, 'x')
    copyFileSync(`${file}.backup`, `${file}.backup.1`)
    writeJson(`${file}.backup.2`, { a: 0 })
    const older = await readIndex(file, { fallback: 'backup', schema })
    expect(older).toMatchObject({ value: { a: 0 }, source: 'backup', backup: `${file}.backup.2` })
  })

  test('why the index could not be used is said', async ({ file }) => {
    writeFileSync(file, '[1,')
    writeJson(`${file}.backup`, [1])
    const { corrupt } = await readIndex(file, { fallback: 'backup' })
    expect(corrupt).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file, offset: 2 })
    rmSync(file)
    expect(await readIndex(file, { fallback: 'backup', initial: [] })).toMatchObject({
      value: [1],
      corrupt: undefined,
    })
  })

  test('without a good one it rejects with what is wrong with the index', async ({ file }) => {
    writeFileSync(file, '[1,')
    expect(await rejection(readIndex(file, { fallback: 'backup' }))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: file,
    })
    writeFileSync(`${file}.backup`, '')
    expect(await rejection(readIndex(file, { fallback: 'backup' }))).toMatchObject({ path: file, offset: 2 })
    rmSync(file)
    expect(await readIndex(file, { fallback: 'backup', initial: [] })).toEqual({
      value: [],
      source: 'initial',
    })
  })

  test('nothing is needed but the right to read', async ({ dir, file }) => {
    writeFileSync(file, '[1,')
    writeJson(`${file}.backup`, [1])
    chmodSync(dir, 0o500)
    expect(await readIndex(file, { fallback: 'backup' })).toMatchObject({ value: [1], source: 'backup' })
    chmodSync(dir, 0o700)
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('what is not broken but refused is not replaced by a backup', async ({ file }) => {
    writeFileSync(file, '[12345678901234567890]')
    writeJson(`${file}.backup`, [1])
    expect(await rejection(readIndex(file, { fallback: 'backup' }))).toMatchObject({
      code: 'ERR_ATOMIC_LOSSY_INDEX',
    })
    expect(await rejection(readIndex(file, { fallback: 'older' as never }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    })
  })
})

describe('what cannot be read by any name ends', () => {
  test('initial that does not pass the schema', async ({ file }) => {
    const schema = z.object({ a: z.number() })
    const read = readIndex(file, { fallback: 'backup', schema, initial: {} as { a: number } })
    expect(await rejection(read)).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA', path: file })
  })

  test('a name that has no room for that of a backup', async ({ dir }) => {
    const file = join(dir, 'n'.repeat(250))
    writeFileSync(file, '')
    expect(await rejection(readIndex(file, { fallback: 'backup' }))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: file,
    })
  })
})
