// Names that are this package's own for unfinished files. The next process that works in the folder removes what has one, so nothing that
// is to stay may get one.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  AtomicFile,
  acquireIndexLock,
  appendLines,
  atomicDirectory,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  atomicWriteSync,
  copyDirectoryAtomic,
  remove,
  type Transaction,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, tempName } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { plant, treeOf } from '../helpers/trees'

const advice =
  'what has such a name is removed, as left behind by a process that was killed: use another name'

const own = [tempName('file'), tempName('abcdefghij09'), `.file.abcdefghij09.atomic-txn`]

const writers: Record<string, (path: string) => Promise<unknown>> = {
  atomicWrite: (path) => atomicWrite(path, 'x'),
  'atomicWrite by ifChanged': (path) => atomicWrite(path, 'x', { ifChanged: true }),
  'atomicWrite in place': (path) => atomicWrite(path, 'x', { fallback: 'in-place' }),
  atomicWriteSync: async (path) => atomicWriteSync(path, 'x'),
  AtomicFile: (path) => AtomicFile.open(path),
  atomicWriteAll: (path) => atomicWriteAll([{ path, data: 'x' }]),
  appendLines: (path) => appendLines(path, 'x'),
  atomicIndexUpdate: (path) => atomicIndexUpdate(path, () => ({ n: 1 }), { initial: { n: 0 } }),
  'atomicIndexUpdate as a backup': async (path) => {
    const index = join(dirname(path), 'index.json')
    writeFileSync(index, '{}')
    await atomicIndexUpdate(index, () => ({ n: 1 }), { backup: path }).finally(() => rmSync(index))
  },
  acquireIndexLock: (path) => acquireIndexLock(path),
  atomicDirectory: (path) => atomicDirectory(path, () => {}),
  'atomicDirectory as what is kept': async (path) => {
    const site = join(dirname(path), 'site')
    mkdirSync(site)
    await atomicDirectory(site, () => {}, { keepPrevious: path }).finally(() =>
      rmSync(site, { recursive: true }),
    )
  },
  copyDirectoryAtomic: (path) => copyDirectoryAtomic(import.meta.dirname, path),
  'a directory that is made on the way': (path) => atomicWrite(join(path, 'sub', 'file'), 'x'),
}

describe('a name of an unfinished file is refused', () => {
  for (const [writer, write] of Object.entries(writers)) {
    test(`to ${writer}`, async ({ dir }) => {
      for (const name of own) {
        const error = await rejection(write(join(dir, name)))
        expect(error).toMatchObject({ code: 'EINVAL', path: join(dir, name) })
        expect(error.message).toContain(advice)
        expect(names(dir)).toStrictEqual([])
      }
    })
  }

  test('to a transaction', async ({ dir }) => {
    for (const change of [
      (tx, name) => tx.write(name, 'x'),
      (tx, name) => tx.update(name, () => ({ n: 1 }), { initial: { n: 0 } }),
      (tx, name) => tx.mkdir(name),
    ] as ((tx: Transaction, name: string) => unknown)[]) {
      for (const name of own) {
        const error = await rejection(atomicTransaction(dir, (tx) => void change(tx, name)))
        expect(error).toMatchObject({ code: 'EINVAL' })
        expect(error.message).toContain(advice)
        expect(names(dir)).toStrictEqual(['.atomic'])
      }
    }
  })

  test('by a link as well', async ({ dir }) => {
    symlinkSync(own[0] as string, join(dir, 'link'))
    expect(await rejection(atomicWrite(join(dir, 'link'), 'x'))).toMatchObject({ code: 'EINVAL' })
    expect(names(dir)).toStrictEqual(['link'])
  })
})

describe('a transaction', () => {
  const name = own[0] as string

  test('reads what has such a name', async ({ dir }) => {
    writeFileSync(join(dir, name), 'left')
    expect(String((await atomicTransaction(dir, (tx) => tx.read(name))).value)).toBe('left')
  })

  test('removes it', async ({ dir }) => {
    writeFileSync(join(dir, name), 'left')
    await atomicTransaction(dir, (tx) => tx.remove(name))
    expect(names(dir)).toStrictEqual(['.atomic'])
  })

  test('gives it another name, and no file such a one', async ({ dir }) => {
    writeFileSync(join(dir, name), 'left')
    const error = await rejection(atomicTransaction(dir, (tx) => tx.rename(name, own[1] as string)))
    expect(error).toMatchObject({ code: 'EINVAL' })
    expect(error.message).toContain(advice)
    await atomicTransaction(dir, (tx) => tx.rename(name, 'found'))
    expect(names(dir)).toStrictEqual(['.atomic', 'found'])
    expect(readFileSync(join(dir, 'found'), 'utf8')).toBe('left')
  })

  test('that has read it may not write it', async ({ dir }) => {
    writeFileSync(join(dir, name), '1')
    const writes = atomicTransaction(dir, async (tx) => {
      await tx.read(name)
      tx.write(name, '2')
    })
    // A call of the same group has to do with it as well.
    const removes = atomicTransaction(dir, (tx) => tx.remove(name))
    expect(await rejection(writes)).toMatchObject({ code: 'EINVAL', path: name })
    await removes
    expect(names(dir)).toStrictEqual(['.atomic'])
  })

  test('has no backup of such a name', async ({ dir }) => {
    writeFileSync(join(dir, 'index'), '{}')
    const update = atomicTransaction(dir, (tx) => tx.update('index', () => ({ n: 1 }), { backup: name }))
    expect(await rejection(update)).toMatchObject({ code: 'EINVAL' })
    expect(names(dir)).toStrictEqual(['.atomic', 'index'])
    expect(readFileSync(join(dir, 'index'), 'utf8')).toBe('{}')
  })
})

test('a directory that is being built may be removed and made anew by a write', async ({ dir }) => {
  const site = join(dir, 'site')
  await atomicDirectory(site, async (staging) => {
    rmSync(staging, { recursive: true })
    await atomicWrite(join(staging, 'page'), 'x')
  })
  expect(readdirSync(site)).toStrictEqual(['page'])
})

test('a tree in which something has such a name is not published, and the old one stands', async ({
  dir,
}) => {
  const site = join(dir, 'site')
  plant(site, { old: 'old' })
  const name = tempName('file')
  for (const place of ['', 'sub']) {
    for (const make of [(path: string) => writeFileSync(path, 'x'), (path: string) => mkdirSync(path)]) {
      const error = await rejection(
        atomicDirectory(site, (staging) => {
          mkdirSync(join(staging, place), { recursive: true })
          make(join(staging, place, name))
        }),
      )
      expect(error).toMatchObject({ code: 'EINVAL', path: join(site, place, name) })
      expect(error.message).toContain(`'${error.path}'`)
      expect(error.message).toContain(advice)
      expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
    }
  }
})

test('a copy of a tree is without them, and has what a transaction has staged', async ({ dir }) => {
  const staged = '.file.abcdefghij09.atomic-txn'
  plant(join(dir, 'from'), {
    'sub/file': 'x',
    [`sub/${staged}`]: 'staged',
    [`sub/${tempName('file')}`]: 'left',
    [`${tempName('site')}/page`]: 'left',
  })
  expect(await copyDirectoryAtomic(join(dir, 'from'), join(dir, 'to'))).toMatchObject({
    files: 2,
    directories: 1,
  })
  await atomicWrite(join(dir, 'to/sub/new'), 'x')
  expect(treeOf(join(dir, 'to'))).toStrictEqual({
    'sub/file': 'x',
    [`sub/${staged}`]: 'staged',
    'sub/new': 'x',
  })
})

test('what has such a name can be removed', async ({ dir }) => {
  for (const name of own) {
    writeFileSync(join(dir, name), 'left')
    expect(await remove(join(dir, name))).toMatchObject({ removed: true })
  }
  expect(names(dir)).toStrictEqual([])
})

test('a file of another program with the name of a lock stays as it is', async ({ dir }) => {
  const lock = join(dir, '.log.lock')
  const content = 'theirs'.repeat(700)
  writeFileSync(lock, content)
  for (const write of [
    (path: string) => appendLines(path, 'x'),
    (path: string) => atomicIndexUpdate(path, () => ({ n: 1 }), { initial: { n: 0 } }),
    (path: string) => acquireIndexLock(path),
  ]) {
    const error = await rejection(write(join(dir, 'log')))
    expect(error).toMatchObject({ code: 'EEXIST', path: lock })
    expect(error.message).toContain('move one of the two files, or, if no program knows this file, remove it')
  }
  expect(readFileSync(lock, 'utf8')).toBe(content)
  expect(names(dir)).toStrictEqual(['.log.lock'])
})
