// Calls that are made inside the functions of a transaction, and transactions inside functions of other calls.

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  snapshotReadIndex,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { increment, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('calls inside functions of a transaction', () => {
  const inner: Record<string, [(dir: string) => Promise<unknown>, string]> = {
    'another transaction': [(dir) => atomicTransaction(dir, () => {}), 'ERR_ATOMIC_NESTED'],
    'an update of another index': [
      (dir) => atomicIndexUpdate(join(dir, 'other.json'), () => ({})),
      'ERR_ATOMIC_NESTED',
    ],
    'a write to a file of the transaction': [
      (dir) => atomicWrite(join(dir, 'a'), ''),
      'ERR_ATOMIC_REENTRANT',
    ],
    'a batch with a file of the transaction': [
      (dir) => atomicWriteAll([{ path: join(dir, 'a'), data: '' }]),
      'ERR_ATOMIC_REENTRANT',
    ],
  }
  for (const [title, [call, code]] of Object.entries(inner)) {
    test(`${title} rejects`, async ({ dir }) => {
      const error = await rejection(
        atomicTransaction(dir, (tx) => {
          tx.write('a', 'a')
          tx.update('index.json', async () => {
            await call(dir)
            return {}
          })
        }),
      )
      expect(error).toMatchObject({ code })
      expect(readdirSync(dir).filter((name) => name !== '.atomic')).toEqual([])
    })
  }

  test('a transaction inside the function of an update rejects', async ({ dir, file }) => {
    const update = atomicIndexUpdate(file, async () => {
      await atomicTransaction(dir, () => {})
      return {}
    })
    expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_NESTED' })
  })

  test('a write of another file, and calls in build, go through', async ({ dir }) => {
    writeJson(join(dir, 'other.json'), { n: 1 })
    mkdirSync(join(dir, 'x'))
    await atomicTransaction(dir, async (tx) => {
      await atomicIndexUpdate(join(dir, 'other.json'), increment)
      await atomicTransaction(dir, [{ write: 'x/inner', data: '' }])
      tx.update('index.json', async () => {
        await atomicWrite(join(dir, 'log'), 'inside')
        return { n: 1 }
      })
    })
    expect(await snapshotReadIndex(dir, ['other.json', 'index.json'])).toEqual([{ n: 2 }, { n: 1 }])
  })

  test('functions see the async context of their caller', async ({ dir }) => {
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const storage = new AsyncLocalStorage<number>()
    const seen: unknown[] = []
    await Promise.all(
      [1, 2].map((caller) =>
        storage.run(caller, () =>
          atomicTransaction(dir, (tx) => {
            seen.push(storage.getStore())
            tx.update('index.json', async (index) => {
              await null
              seen.push(storage.getStore())
              return { ...index }
            })
          }),
        ),
      ),
    )
    expect(seen.toSorted()).toEqual([1, 1, 2, 2])
  })
})
