/**
 * All updates of the indexes go through `updateIndex`. It checks the shape before and after the update function,
 * converts the addon's errors to `PublishError`, and reports lock waits to lock-metrics.
 */

import { atomicIndexUpdate, type UpdateResult } from '@pipeline/atomic'
import type { z } from 'zod'
import { assertShape } from '../../lib/content/read-json'
import { asPublishError, PublishError } from './errors'
import { observeTimeout, observeUpdate, watchLock } from './lock-metrics'

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
  const lock = await watchLock(path)

  const checked = async (index: unknown): Promise<T> => {
    await lock.held()
    assertShape<T>(index, file.schema, path)
    const next = await fn(index)
    try {
      assertShape<T>(next, file.schema, path)
    } catch (cause) {
      throw new PublishError((cause as Error).message, 'INVALID_INDEX_UPDATE', { cause, target: 'index' })
    }
    return next
  }

  try {
    const result = await atomicIndexUpdate<T>(path, checked, {
      initial: file.empty(),
      backup: file.backup ?? false,
    })
    await observeUpdate(result.lockWaitMs, lock.takenOver)
    return result
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === 'ERR_ATOMIC_LOCK_TIMEOUT') await observeTimeout()
    throw asPublishError(error, 'index')
  }
}
