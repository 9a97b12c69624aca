/**
 * All updates of the indexes go through here. The shape of an index is checked before and after the update function, the addon's errors
 * become `PublishError`, and lock waits are reported to lock-metrics.
 */

import {
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  type Transaction,
  type TransactionResult,
} from '@pipeline/atomic'
import type { z } from 'zod'
import { contentRoot, isInStore } from '../../lib/content/paths'
import { assertShape } from '../../lib/content/shape'
import { asPublishError, PublishError, type Target } from './errors'
import { type LockWatch, observeTimeout, observeUpdate, watchLock } from './lock-metrics'
import { type PartUpdate, replacePart, updateParts } from './store'

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
 * Replaces the index by `fn(index)` under its lock; in a store on the condition that nobody else has changed it.
 *
 * @param fn has no side effects, because it may be run again. To change nothing it returns its argument.
 * @throws PublishError `INVALID_JSON` (file broken; it stays as it is), `INVALID_INDEX_UPDATE` (fn's
 *   result), `INDEX_WRITE_VERIFICATION_ERROR`, `PUBLISH_FAILED` (anything else: lock timeout, disk, what fn threw); a
 *   PublishError that fn threw.
 */
export async function updateIndex<T extends object>(file: IndexFile<T>, fn: (index: T) => T): Promise<void> {
  const path = file.path()
  if (isInStore(path)) {
    await asTarget('index', updateParts([partUpdate(file, fn)]))
    return
  }
  const lock = watchLock(path)
  const commit = () =>
    atomicIndexUpdate<T>(path, checked(file, fn, lock), {
      initial: file.empty(),
      backup: file.backup ?? false,
    })
  await observed([lock], commit, () => 'index')
}

/** Replaces the index whatever it is, also if it is broken. */
export async function replaceIndex<T extends object>(file: IndexFile<T>, index: T): Promise<void> {
  const path = file.path()
  const replaced = isInStore(path)
    ? replacePart(path, index)
    : atomicWrite(path, JSON.stringify(index, null, 2))
  await asTarget('index', replaced)
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

/** Updates an index together with a document. */
export type UpdateWith = <T extends object>(file: IndexFile<T>, fn: (index: T) => T) => void

/**
 * Writes a document and changes indexes: all of it or nothing. In a store the document has to have a path of its own for each version.
 *
 * @param build registers the updates of the indexes. It may run again.
 * @returns whether anything had to be written.
 * @throws PublishError as `updateIndex` does.
 */
export async function writeTogether(
  path: string,
  text: string,
  build: (update: UpdateWith) => void,
): Promise<boolean> {
  if (isInStore(path)) {
    // First: from the moment when the indexes name it, it is read.
    const document = await asTarget('document', atomicWrite(path, text, { ifChanged: true }))
    const parts: PartUpdate[] = []
    build((file, fn) => parts.push(partUpdate(file, fn)))
    const indexes = await asTarget('index', updateParts(parts))
    return document.written || indexes.written
  }
  const { files } = await changeTogether(
    (tx, update) => {
      tx.write(path, text, { ifChanged: true })
      build(update)
    },
    (at) => (at === path ? 'document' : 'index'),
  )
  return files.some(({ action }) => action !== 'unchanged')
}

function partUpdate<T extends object>(file: IndexFile<T>, fn: (index: T) => T): PartUpdate {
  return { path: file.path(), empty: file.empty, update: checked(file, fn) }
}

async function asTarget<T>(target: Target, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw asPublishError(error, target)
  }
}

function checked<T extends object, R extends T | Promise<T>>(
  file: IndexFile<T>,
  fn: (index: T) => R,
  lock?: LockWatch,
) {
  const path = file.path()
  const check = (next: T): T => {
    try {
      assertShape<T>(next, file.schema, path)
      return next
    } catch (cause) {
      throw new PublishError((cause as Error).message, 'INVALID_INDEX_UPDATE', { cause, target: 'index' })
    }
  }
  return (index: unknown): R => {
    lock?.held()
    assertShape<T>(index, file.schema, path)
    const next = fn(index)
    return (next instanceof Promise ? next.then(check) : check(next as T)) as R
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
