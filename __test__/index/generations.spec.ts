// More backups than one: `backup: { generations, every }`.

import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type AtomicError, atomicIndexUpdate, atomicTransaction, readIndex } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { onAnotherFileSystem } from '../helpers/another-file-system'
import { leftovers, names, state } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

const next = (file: string, backup: object) =>
  atomicIndexUpdate(file, ({ n }: { n: number }) => ({ n: n + 1 }), { initial: { n: 0 }, backup })

const kept = (dir: string, name = 'index.json.backup') =>
  names(dir).flatMap((file) =>
    file.startsWith(name) ? [[file.slice(name.length), readJson(join(dir, file)).n]] : [],
  )

test('as many are kept as asked for, the newest without a number', async ({ dir, file }) => {
  const seen = []
  for (let i = 0; i < 6; i++) {
    await next(file, { generations: 3 })
    seen.push(kept(dir))
  }
  expect(seen).toEqual([
    [],
    [['', 1]],
    [
      ['', 2],
      ['.1', 1],
    ],
    [
      ['', 3],
      ['.1', 2],
      ['.2', 1],
    ],
    [
      ['', 4],
      ['.1', 3],
      ['.2', 2],
    ],
    [
      ['', 5],
      ['.1', 4],
      ['.2', 3],
    ],
  ])
  expect(leftovers(dir)).toEqual([])
})

test('they are the very files that were replaced', async ({ file }) => {
  writeJson(file, { n: 0 })
  const inodes = [statSync(file).ino]
  for (let i = 0; i < 3; i++) {
    await next(file, { generations: 3 })
    inodes.push(statSync(file).ino)
  }
  const of = (suffix: string) => statSync(`${file}.backup${suffix}`)
  expect(['', '.1', '.2'].map((suffix) => of(suffix).ino)).toEqual(inodes.slice(0, 3).reverse())
  expect(['', '.1', '.2'].map((suffix) => of(suffix).nlink)).toEqual([1, 1, 1])
})

test('at a path of their own: a string, a URL', async ({ dir, file }) => {
  mkdirSync(join(dir, 'kept'))
  const path = join(dir, 'kept/old.json')
  for (let i = 0; i < 3; i++) await next(file, { path: i % 2 ? path : pathToFileURL(path), generations: 2 })
  expect(kept(join(dir, 'kept'), 'old.json')).toEqual([
    ['', 2],
    ['.1', 1],
  ])
})

test('calls that share a commit are one version', async ({ dir, file }) => {
  await next(file, { generations: 3 })
  await Promise.all(Array.from({ length: 20 }, () => next(file, { generations: 3 })))
  expect(readJson(file)).toEqual({ n: 21 })
  expect(kept(dir).length).toBeLessThanOrEqual(2)
})

test('what is not JSON gets into no backup', async ({ dir, file }) => {
  for (let i = 0; i < 3; i++) await next(file, { generations: 2 })
  writeFileSync(file, '{"n": 3')
  const before = kept(dir)
  expect(await rejection(next(file, { generations: 2 }))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX' })
  expect(kept(dir)).toEqual(before)
  expect(await readIndex(file, { fallback: 'backup' })).toMatchObject({ value: { n: 2 }, source: 'backup' })
})

describe('every', () => {
  test.for<[string | number, number, boolean]>([
    ['1h', 3599, false],
    ['1h', 3600, true],
    ['1.5 m', 89, false],
    ['1.5 m', 90, true],
    [2000, 1, false],
    [2000, 2, true],
    ['7d', -1, true],
    [0, 0, true],
  ])('%s: a version that is %i seconds younger: %s', async ([every, seconds, isKept], { dir, file }) => {
    writeJson(file, { n: 1 })
    writeJson(`${file}.backup`, { n: 0 })
    utimesSync(`${file}.backup`, 1_000_000_000, 1_000_000_000)
    utimesSync(file, 1_000_000_000 + seconds, 1_000_000_000 + seconds)
    await next(file, { generations: 2, every })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(kept(dir)).toEqual(
      isKept
        ? [
            ['', 1],
            ['.1', 0],
          ]
        : [['', 0]],
    )
  })
})

test('a backup that cannot be moved on rejects the update, and the index stands', async ({ dir, file }) => {
  for (let i = 0; i < 2; i++) await next(file, { generations: 2 })
  mkdirSync(`${file}.backup.1/full`, { recursive: true })
  const before = [state(file), state(`${file}.backup`)]
  const error = (await rejection(next(file, { generations: 2 }))) as AtomicError
  expect(error).toMatchObject({ code: 'EISDIR' })
  expect(error.path).toContain('.backup')
  expect(error.committed).toBeUndefined()
  expect([state(file), state(`${file}.backup`)]).toEqual(before)
  expect(names(dir)).toEqual(['index.json', 'index.json.backup', 'index.json.backup.1'])
})

test('in a transaction a backup is one', async ({ dir, file }) => {
  const update = (backup: object) =>
    atomicTransaction(dir, (tx) => void tx.update(file, () => ({ n: 1 }), { backup }))
  expect(await rejection(update({ generations: 2 }))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  expect(await rejection(update({ every: '1h' }))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  await update({ generations: 1 })
  expect(readFileSync(file, 'utf8')).toContain('1')
})

test.for<[object, string]>([
  [{ generations: 0 }, 'ERR_INVALID_ARG_VALUE'],
  [{ generations: 1.5 }, 'ERR_INVALID_ARG_VALUE'],
  [{ generations: '2' }, 'ERR_INVALID_ARG_TYPE'],
  [{ every: '1w' }, 'ERR_INVALID_ARG_VALUE'],
  [{ every: 'h' }, 'ERR_INVALID_ARG_VALUE'],
  [{ every: -1 }, 'ERR_INVALID_ARG_VALUE'],
  [{ path: 1 }, 'ERR_INVALID_ARG_TYPE'],
])('%o is refused', async ([backup, code], { dir, file }) => {
  expect(await rejection(next(file, backup))).toMatchObject({ code })
  expect(names(dir)).toEqual([])
})

test('an index that has the name of a backup of its own is refused', async ({ dir }) => {
  const [file, path] = [join(dir, 'data.2'), join(dir, 'data')]
  writeJson(file, { n: 0 })
  expect(await rejection(next(file, { path, generations: 3 }))).toMatchObject({ code: 'EINVAL' })
  expect(readJson(file)).toEqual({ n: 0 })
  await next(file, { path, generations: 2 })
  expect(names(dir)).toEqual(['data', 'data.2'])
})

onAnotherFileSystem('a copy is as old as the version that it holds', async (file, path) => {
  writeJson(file, { n: 0 })
  for (let i = 0; i < 3; i++) await next(file, { path, generations: 3, every: '1h' })
  expect(kept(dirname(path), 'kept.json')).toEqual([['', 0]])
})

needs('strace that may attach')(
  'a kill while the backups move on keeps the version before',
  async ({ dir, file }) => {
    for (let i = 0; i < 4; i++) await next(file, { generations: 4 })
    const update = async ({ atomicIndexUpdate }: Remote, file: string) => {
      const backup = { generations: 4 }
      await atomicIndexUpdate(file, ({ n }: { n: number }) => ({ n: n + 1 }), { initial: { n: 0 }, backup })
    }
    const seen: number[][] = []
    for (let when = 1; when <= 4; when++) {
      const inject = [`link,linkat:signal=KILL:when=${when}`]
      await systemCalls(update, [file], { trace: ['link', 'linkat'], inject }).catch(() => undefined)
      seen.push([readJson(file).n, ...kept(dir).map(([, n]) => n as number)])
    }
    // None is missing between the first and the last.
    for (const versions of seen) {
      const different = [...new Set(versions)]
      expect(different).toEqual(different.map((_, i) => (different[0] ?? 0) - i))
      expect(different.length).toBeGreaterThan(2)
    }
  },
)
