// Folders of the root's own file system that are mounted once more: below the root, over a part of it, or as the root itself.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  acquireIndexLock,
  atomicTransaction,
  atomicWrite,
  readIndex,
  recover,
  snapshotRead,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir } from '../helpers/files'
import { mounted, needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { contentOf, FILES, interrupt, lost, raise, seed, staged, versions } from '../helpers/transaction'

const testMount = needs('root that may mount')
const testKill = needs('root that may mount', 'strace that may attach')

testMount('a folder that is mounted below the root is out of it', async ({ dir }) => {
  const root = seed(dir)
  const elsewhere = join(seed(makeDir(dir, 'other')), 'two')
  const before = readdirSync(elsewhere)
  await mounted(join(root, 'two'), ['--bind', elsewhere], async () => {
    const calls = [
      raise({ atomicTransaction }, root, 1),
      atomicTransaction(root, [{ write: 'two/new', data: '' }]),
      atomicTransaction(root, [{ rename: 'one/a.txt', to: 'two/a.txt' }]),
      atomicTransaction(root, [{ mkdir: 'two' }]),
      atomicTransaction(root, [{ mkdir: 'two/new/folder' }]),
      atomicTransaction(root, [{ write: 'two/new/file', data: '', mkdir: true }]),
      snapshotRead(root, [FILES[2]]),
    ]
    const codes = (await Promise.all(calls.map(rejection))).map(({ code }) => code)
    expect(new Set(codes)).toEqual(new Set(['ERR_ATOMIC_OUTSIDE_ROOT']))
    expect(versions(root)).toEqual([0, 0, 0, 0])
  })
  expect([readdirSync(elsewhere), staged(root)]).toEqual([before, []])
})

testKill('a root that is mounted is one root by both of its paths', async ({ dir }) => {
  const root = seed(dir)
  await mounted(join(dir, 'seen'), ['--bind', root], async (seen) => {
    await interrupt(seen, 2)
    expect(versions(root)).toEqual([1, 0, 0, 0])
  })
  expect(await recover(root)).toMatchObject({ outcome: 'completed' })
  expect([versions(root), staged(root), lost(root)]).toEqual([[1, 1, 1, 1], [], []])
})

testMount("a folder that a process works in by another mount is the root's by its own", async ({ dir }) => {
  const root = seed(dir)
  await mounted(join(dir, 'seen'), ['--bind', root], async (seen) => {
    const lock = await acquireIndexLock(join(seen, 'two', 'other.json'))
    try {
      await raise({ atomicTransaction }, root, 1)
      await atomicTransaction(join(root, 'two'), [{ write: 'new', data: '' }])
      expect(await snapshotRead(root, FILES)).toEqual(FILES.map((file) => contentOf(file, 1)))
    } finally {
      await lock.release()
    }
  })
})

testMount('a file that is read by a read-only mount is written by another meanwhile', async ({ dir }) => {
  const root = seed(dir)
  await mounted(join(dir, 'seen'), ['--bind', '-o', 'ro', root], async (seen) => {
    // Large ones: they are still read when the writes begin.
    await atomicWrite(join(root, 'two', 'index.json'), JSON.stringify('x'.repeat(1 << 23)))
    const reads = Array.from({ length: 8 }, () => readIndex(join(seen, 'two', 'index.json')))
    const writes = Array.from({ length: 50 }, (_, at) => atomicWrite(join(root, 'two', `new ${at}`), ''))
    await Promise.all([...reads, ...writes])
    const refused = rejection(atomicWrite(join(seen, 'two', 'new'), ''))
    expect(await refused).toMatchObject({ code: 'EROFS' })
  })
})

describe('what is mounted over a folder that a killed transaction was to change', () => {
  testKill('keeps it from being recovered until that is unmounted', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    await mounted(join(root, 'two'), ['--bind', makeDir(dir, 'other')], async (two) => {
      const error = await rejection(recover(root))
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_JOURNAL', path: two })
      expect(error.message).toMatch(/unmount it; .* giveUp: true/)
      const other = rejection(
        atomicTransaction(root, (tx) => FILES.slice(0, 2).map((file) => tx.write(file, 'x'))),
      )
      expect((await other).code).toBe('ERR_ATOMIC_JOURNAL')
      expect(readFileSync(join(root, 'one/b.txt'), 'utf8')).toBe('version 0')
    })
    expect(await recover(root)).toMatchObject({ outcome: 'completed' })
    expect([versions(root), staged(root), lost(root)]).toEqual([[1, 1, 1, 1], [], []])
  })

  testKill('does not keep it from being given up', async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    await mounted(join(root, 'two'), ['--bind', makeDir(dir, 'other')], async () => {
      expect(await recover(root, { giveUp: true })).toMatchObject({ outcome: 'given-up' })
    })
    await raise({ atomicTransaction }, root, 2)
    expect(versions(root)).toEqual([2, 2, 2, 2])
  })
})
