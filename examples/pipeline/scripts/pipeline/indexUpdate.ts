/**
 * All changes of the indexes go through here: updates, for which the addon checks an index by its schema before and after the function, and patches, whose
 * functions look at what they change only, and check that. Errors become `PublishError`, and lock waits are reported to lock-metrics.
 */

import {
  applyIndexPatch,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  type IndexPatch,
  type IndexView,
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

/** Makes the patch of an index, after a look at it. It has no side effects, because it may be run again. `undefined`: nothing is to be changed. */
export type Change = (view: IndexView) => IndexPatch | undefined

/**
 * Changes an index as the patch says that `change` makes: neither parsed nor printed for that.
 *
 * @throws PublishError as `updateIndex` does; `INVALID_JSON` also for an index of another shape, as far as `change` looks at it.
 */
export async function patchIndex<T extends object>(file: IndexFile<T>, change: Change): Promise<void> {
  const path = file.path()
  if (isInStore(path)) {
    await updateTogether([{ file, fn: patching(change) }])
    return
  }
  const lock = watchLock(path)
  const commit = () => atomicIndexPatch(path, watched(change, lock), { ...patchedAs(file), timeout: TIMEOUT })
  await observed([lock], commit, () => 'index')
}

/** A patch as the function of an update. */
const patching =
  <T extends object>(change: Change) =>
  (index: T) =>
    applyIndexPatch(index, change)

/** Makes the index empty, also if it is broken. */
export async function resetIndex<T extends object>(file: IndexFile<T>): Promise<void> {
  if (isInStore(file.path())) await asTarget('index', replacePart(file.path(), file.empty()))
  else await updateIndex(file, file.empty, { onCorrupt: file.empty })
}

/** Options of the changes of each index: frozen, so a transaction reads them once. */
const known = new WeakMap<object, ReturnType<typeof optionsOf>>()

function optionsOf({ schema, empty, backup = false }: IndexFile<object>) {
  const initial = frozen(empty())
  return {
    // One publish then neither parses the index nor prints what it has not changed.
    update: frozen({ initial, schema, backup, keep: 'value' as const }),
    patch: frozen({ initial, backup }),
  }
}

function knownOf<T extends object>(file: IndexFile<T>) {
  const how = known.get(file) ?? optionsOf(file as unknown as IndexFile<object>)
  known.set(file, how)
  return how
}

const howOf = <T extends object>(file: IndexFile<T>) =>
  knownOf(file).update as UpdateOptions<T> & { initial: T }
const patchedAs = <T extends object>(file: IndexFile<T>) => knownOf(file).patch

/** All of it but for functions and what has some, as a schema. */
function frozen<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (Array.isArray(inner) || Object.getPrototypeOf(inner ?? 0) === Object.prototype) frozen(inner)
  }
  return Object.freeze(value)
}

/** Changes indexes as parts of a transaction. */
export interface ChangesIn {
  update: <T extends object>(file: IndexFile<T>, fn: (index: T) => T | Promise<T>) => void
  patch: <T extends object>(file: IndexFile<T>, change: Change) => void
}

/**
 * Changes several files below the content folder: all of them or none.
 *
 * @param build registers what is to be done, with `tx` or, for an index, with `changes`. It may run again.
 * @param targetOf says what the file is that an error is about. Its path is absolute.
 * @throws PublishError as `updateIndex` does.
 */
export function changeTogether<T>(
  build: (tx: Transaction, changes: ChangesIn) => T | Promise<T>,
  targetOf: (path: string | undefined) => Target = () => 'index',
): Promise<TransactionResult<T>> {
  const locks: LockWatch[] = []
  const watch = (path: string) => {
    const lock = watchLock(path)
    locks.push(lock)
    return lock
  }
  const changesIn = (tx: Transaction): ChangesIn => ({
    update(file, fn) {
      const path = file.path()
      tx.update(path, watched(fn, watch(path)), howOf(file))
    },
    patch(file, change) {
      const path = file.path()
      tx.patch(path, watched(change, watch(path)), patchedAs(file))
    },
  })
  const commit = () =>
    atomicTransaction(contentRoot(), (tx) => build(tx, changesIn(tx)), { retries: RETRIES, timeout: TIMEOUT })
  return observed(locks, commit, targetOf)
}

/** Changes indexes together with a document. */
export interface ChangesWith {
  update: <T extends object>(file: IndexFile<T>, fn: (index: T) => T) => void
  patch: <T extends object>(file: IndexFile<T>, change: Change) => void
}

/**
 * Writes a document and changes indexes: all of it or nothing. In a store the document has to have a path of its own for each version.
 *
 * @param build registers the changes of the indexes. It may run again.
 * @returns whether anything had to be written.
 * @throws PublishError as `updateIndex` does.
 */
export async function writeTogether(
  path: string,
  text: string,
  build: (changes: ChangesWith) => void,
): Promise<boolean> {
  if (isInStore(path)) {
    // First: from the moment when the indexes name it, it is read.
    const document = await asTarget('document', atomicWrite(path, text, { ifChanged: true }))
    const parts: PartUpdate[] = []
    build({
      update: (file, fn) => parts.push({ file, fn }),
      patch: (file, change) => parts.push({ file, fn: patching(change) }),
    })
    const indexes = await updateTogether(parts)
    return document.written || indexes.written
  }
  const { files } = await changeTogether(
    (tx, changes) => {
      tx.write(path, text, IF_CHANGED)
      build(changes)
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

async function observed<R extends { lockWaitMs?: number }>(
  locks: readonly LockWatch[],
  commit: () => Promise<R>,
  targetOf: (path: string | undefined) => Target,
): Promise<R> {
  try {
    const result = await commit()
    await observeUpdate(result.lockWaitMs ?? 0, locks)
    return result
  } catch (error) {
    const { code, path } = (error ?? {}) as NodeJS.ErrnoException
    if (code === 'ERR_ATOMIC_LOCK_TIMEOUT') await observeTimeout()
    const hasRun = locks.some((lock) => lock.indexPath === path && lock.wasHeld)
    throw asIndexError(error, hasRun, targetOf(path))
  }
}
