/**
 * All updates of the indexes go through here. The addon checks an index by its schema before and after the update function, its errors
 * become `PublishError`, and lock waits are reported to lock-metrics.
 */

import {
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  type Transaction,
  type TransactionResult,
  type UpdateOptions,
} from '@pipeline/atomic'
import type { IndexFile } from '../../lib/content/index-file'
import { contentRoot, isInStore } from '../../lib/content/paths'
import { asPublishError, PublishError, type Target } from './errors'
import { type LockWatch, observeTimeout, observeUpdate, watchLock } from './lock-metrics'
import { type PartUpdate, replacePart, updateParts } from './store'

/** How often `build` runs again when publishers change what it has read. */
const RETRIES = 20
/** So long (ms) a publish waits for others. What holds a lock lives, however busy the machine is: a batch waits rather than fails. */
const TIMEOUT = 300_000
/** Frozen, so a transaction reads it once. */
const IF_CHANGED = Object.freeze({ ifChanged: true })

/**
 * Replaces the index by `fn(index)` under its lock; in a store on the condition that nobody else has changed it.
 *
 * @param fn has no side effects, because it may be run again. To change nothing it returns its argument.
 * @throws PublishError `INVALID_JSON` (file broken; it stays as it is), `INVALID_INDEX_UPDATE` (fn's
 *   result), `INDEX_WRITE_VERIFICATION_ERROR`, `PUBLISH_FAILED` (anything else: lock timeout, disk, what fn threw); a
 *   PublishError that fn threw.
 */
export async function updateIndex<T extends object>(
  file: IndexFile<T>,
  fn: (index: T) => T,
  { onCorrupt = 'reject' }: Pick<UpdateOptions<T>, 'onCorrupt'> = {},
): Promise<void> {
  const path = file.path()
  if (isInStore(path)) {
    await updateTogether([{ file, fn }])
    return
  }
  const lock = watchLock(path)
  const commit = () =>
    atomicIndexUpdate<T>(path, watched(fn, lock), { ...howOf(file), onCorrupt, timeout: TIMEOUT })
  await observed([lock], commit, () => 'index')
}

/** Makes the index empty, also if it is broken. */
export async function resetIndex<T extends object>(file: IndexFile<T>): Promise<void> {
  if (isInStore(file.path())) await asTarget('index', replacePart(file.path(), file.empty()))
  else await updateIndex(file, file.empty, { onCorrupt: file.empty })
}

/** Options of the updates of each index: frozen, so a transaction reads them once. */
const known = new WeakMap<object, unknown>()

function howOf<T extends object>(file: IndexFile<T>) {
  const { schema, empty, backup = false } = file
  // One publish then neither parses the indexes nor prints what it has not changed.
  const make = () => frozen({ initial: frozen(empty()), schema, backup, keep: 'value' as const })
  const how = (known.get(file) as ReturnType<typeof make> | undefined) ?? make()
  known.set(file, how)
  return how
}

/** All of it but for functions and what has some, as a schema. */
function frozen<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (Array.isArray(inner) || Object.getPrototypeOf(inner ?? 0) === Object.prototype) frozen(inner)
  }
  return Object.freeze(value)
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
          const path = file.path()
          const lock = watchLock(path)
          locks.push(lock)
          tx.update(path, watched(fn, lock), howOf(file))
        }),
      { retries: RETRIES, timeout: TIMEOUT },
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
    build((file, fn) => parts.push({ file, fn }))
    const indexes = await updateTogether(parts)
    return document.written || indexes.written
  }
  const { files } = await changeTogether(
    (tx, update) => {
      tx.write(path, text, IF_CHANGED)
      build(update)
    },
    (at) => (at === path ? 'document' : 'index'),
  )
  return files.some(({ action }) => action !== 'unchanged')
}

async function updateTogether(parts: readonly PartUpdate[]) {
  let hasRun = false
  const noted = parts.map(({ file, fn }) => ({
    file,
    fn: (index: object) => {
      hasRun = true
      return fn(index)
    },
  }))
  try {
    return await updateParts(noted)
  } catch (error) {
    throw asIndexError(error, hasRun)
  }
}

/** What does not pass the schema is what was read, unless the function has run: then it is what that has made. */
function asIndexError(error: unknown, hasRun: boolean, target: Target = 'index'): PublishError {
  if (!hasRun || (error as { code?: unknown } | null)?.code !== 'ERR_ATOMIC_SCHEMA')
    return asPublishError(error, target)
  return new PublishError((error as Error).message, 'INVALID_INDEX_UPDATE', { cause: error, target })
}

async function asTarget<T>(target: Target, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw asPublishError(error, target)
  }
}

function watched<A, R>(fn: (index: A) => R, lock: LockWatch) {
  return (index: A): R => {
    lock.held()
    return fn(index)
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
    const hasRun = locks.some((lock) => lock.indexPath === path && lock.wasHeld)
    throw asIndexError(error, hasRun, targetOf(path))
  }
}
