/**
 * All updates of the indexes go through `updateIndex`, or `updateIndexIn` as a part of a transaction. Both check the shape
 * before and after the update function, convert the addon's errors to `PublishError`, and report lock waits to lock-metrics.
 */

import {
  atomicIndexUpdate,
  atomicTransaction,
  type Transaction,
  type TransactionResult,
  type UpdateResult,
} from '@pipeline/atomic'
import type { z } from 'zod'
import { contentRoot } from '../../lib/content/paths'
import { assertShape } from '../../lib/content/shape'
import { asPublishError, PublishError, type Target } from './errors'
import { type LockWatch, observeTimeout, observeUpdate, watchLock } from './lock-metrics'

/** How often `build` runs again when publishers change what it has read. */
const RETRIES = 20

export interface IndexFile<T extends object> {
  path: () => string
  schema: z.ZodType
  /** The index that `fn` receives, and that a loader returns, if the file does not exist. */
  empty: () => T
  /** Keep the previous version beside the file. */
  backup?: boolean
}

/**
 * Replaces the index by `fn(index)` under its lock.
 *
 * @param fn has no side effects, because it may be run again. To change nothing it returns its argument.
 * @throws PublishError `INVALID_JSON` (file broken; it stays as it is), `INVALID_INDEX_UPDATE` (fn's
 *   result), `INDEX_WRITE_VERIFICATION_ERROR`, `PUBLISH_FAILED` (anything else: lock timeout, disk, what fn threw); a
 *   PublishError that fn threw.
 */
export async function updateIndex<T extends object>(
  file: IndexFile<T>,
  fn: (index: T) => T | Promise<T>,
): Promise<UpdateResult> {
  const path = file.path()
  const lock = watchLock(path)
  const commit = () =>
    atomicIndexUpdate<T>(path, checked(file, fn, lock), {
      initial: file.empty(),
      backup: file.backup ?? false,
    })
  return observed([lock], commit, () => 'index')
}

/** Updates an index as a part of a transaction. */
export type UpdateIn = <T extends object>(file: IndexFile<T>, fn: (index: T) => T | Promise<T>) => void

/**
 * Changes several files below the content folder: all of them or none.
 *
 * @param build registers what is to be done, with `tx` or, for an index, with `update`. It may run again.
 * @param targetOf says what the file is that an error is about. Its path is absolute.
 * @throws PublishError as `updateIndex` does.
 */
export function changeTogether<T>(
  build: (tx: Transaction, update: UpdateIn) => T | Promise<T>,
  targetOf: (path: string | undefined) => Target = () => 'index',
): Promise<TransactionResult<T>> {
  const locks: LockWatch[] = []
  const commit = () =>
    atomicTransaction(
      contentRoot(),
      (tx) =>
        build(tx, (file, fn) => {
          const lock = watchLock(file.path())
          locks.push(lock)
          tx.update(file.path(), checked(file, fn, lock), {
            initial: file.empty(),
            backup: file.backup ?? false,
          })
        }),
      { retries: RETRIES },
    )
  return observed(locks, commit, targetOf)
}

function checked<T extends object>(file: IndexFile<T>, fn: (index: T) => T | Promise<T>, lock: LockWatch) {
  const path = file.path()
  const check = (next: T): T => {
    try {
      assertShape<T>(next, file.schema, path)
      return next
    } catch (cause) {
      throw new PublishError((cause as Error).message, 'INVALID_INDEX_UPDATE', { cause, target: 'index' })
    }
  }
  return (index: unknown): T | Promise<T> => {
    lock.held()
    assertShape<T>(index, file.schema, path)
    const next = fn(index)
    return next instanceof Promise ? next.then(check) : check(next)
  }
}

async function observed<R extends { lockWaitMs: number }>(
  locks: readonly LockWatch[],
  commit: () => Promise<R>,
  targetOf: (path: string | undefined) => Target,
): Promise<R> {
  try {
    const result = await commit()
    await observeUpdate(result.lockWaitMs, locks)
    return result
  } catch (error) {
    const { code, path } = (error ?? {}) as NodeJS.ErrnoException
    if (code === 'ERR_ATOMIC_LOCK_TIMEOUT') await observeTimeout()
    throw asPublishError(error, targetOf(path))
  }
}
