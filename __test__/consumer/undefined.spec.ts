// Options may be `undefined`, as the types say: it is as if they were not given.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as atomic from '@pipeline/atomic'
import { JSONFile } from '@pipeline/atomic/compat/lowdb'
import writeFile from '@pipeline/atomic/compat/write-file-atomic'
import { expect } from 'vitest'
import { root } from '../../scripts/tools.mjs'
import { readJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** The names of all optional properties, of whatever type; `initial` is the one whose `undefined` could have been a value. */
const names = new Set(
  Array.from(
    readFileSync(join(root, 'index.d.ts'), 'utf8').matchAll(/^ {2}(\w+)\?: .* \| undefined$/gm),
    ([, name]) => name as string,
  ),
)
const nothing = Object.fromEntries(Array.from(names, (name) => [name, undefined]))

test('each call takes all of them', async ({ dir }) => {
  expect(names.size).toBeGreaterThan(40)
  const at = (name: string) => join(dir, name)
  await atomic.atomicWrite(at('a'), 'a', nothing)
  atomic.atomicWriteSync(at('a'), 'b', nothing)
  await atomic.atomicWriteAll([{ ...nothing, path: at('c'), data: 'c' }], nothing)
  const file = await atomic.AtomicFile.open(at('file'), nothing)
  await file.write('f')
  await file.commit()
  await atomic.atomicIndexUpdate(at('index'), () => ({ n: 1 }), nothing)
  await atomic.atomicIndexPatch(at('index'), { ...nothing, set: { n: 2 } }, nothing)
  await atomic.withIndexLock(
    at('index'),
    async (lock) => {
      await lock.update(({ n }) => ({ n: n + 1 }), nothing)
      expect((await lock.read(nothing)).value).toEqual({ n: 3 })
      await lock.write({ n: 4 }, nothing)
      await lock.recover(nothing)
    },
    nothing,
  )
  await (await atomic.acquireIndexLock(at('index'), nothing)).release()
  atomic.acquireIndexLockSync(at('index'), nothing).releaseSync()
  for (const read of [
    await atomic.readIndex(at('index'), nothing),
    atomic.readIndexSync(at('index'), nothing),
  ]) {
    expect(read.value).toEqual({ n: 4 })
  }
  await atomic.recoverIndex(at('index'), nothing)
  await atomic.appendLines(at('lines'), ['l'], nothing)
  for await (const line of atomic.readLines(at('lines'), nothing)) expect(line).toBe('l')
  await atomic.atomicTransaction(
    dir,
    async (tx) => {
      tx.write('t', 't', nothing)
      tx.update('t.json', () => ({ n: 1 }), nothing)
      tx.remove('none', { missing: 'ignore' })
      tx.remove('c', { missing: undefined })
      expect(await tx.readIndex('index', nothing)).toEqual({ n: 4 })
    },
    nothing,
  )
  expect(readJson(at('t.json'))).toEqual({ n: 1 })
  await atomic.remove(at('t'), nothing)
  mkdirSync(at('from'))
  writeFileSync(join(at('from'), 'page'), 'p')
  await atomic.copyDirectoryAtomic(at('from'), at('to'), nothing)
  await atomic.atomicDirectory(at('to'), () => {}, nothing)
  await atomic.sweep(dir, nothing)
  await atomic.inspectDirectory(dir)
})

test('the doors from other packages take them too', async ({ dir }) => {
  const adapter = new JSONFile<{ n: number }>(join(dir, 'db'), nothing)
  await adapter.write({ n: 1 })
  expect(await adapter.read()).toEqual({ n: 1 })
  const nowhere = join(dir, 'none', 'db')
  expect(await rejection(new JSONFile<object>(nowhere, nothing).write({}))).toMatchObject({ code: 'ENOENT' })
  await writeFile(join(dir, 'a'), 'a', nothing)
  expect(readFileSync(join(dir, 'a'), 'utf8')).toBe('a')
})
