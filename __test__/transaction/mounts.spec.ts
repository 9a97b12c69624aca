// Folders of the root's own file system that are mounted once more: below the root, over a part of it, or as the root itself.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, recover } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir } from '../helpers/files'
import { mounted, needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { FILES, interrupt, lost, raise, seed, staged, versions } from '../helpers/transaction'

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
    ]
    for (const call of calls) expect((await rejection(call)).code).toBe('ERR_ATOMIC_OUTSIDE_ROOT')
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
