// An update of an index by the former publisher: its shape is checked before and after the function, and the lock's file
// looked at before the update and in it. Without the statistics that were made of that.

import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import type { z } from 'zod'
import { parseJson, readIfThere } from '../../../examples/pipeline/lib/content/read-json'

export interface IndexFile<T extends object> {
  path: () => string
  schema: z.ZodType
  empty: () => T
  backup?: boolean
}

/** Longer than any of its waits: a call that times out would be none of its cost. */
const TIMEOUT_MS = 600_000

export async function updateIndex<T extends object>(
  file: IndexFile<T>,
  fn: (index: T) => T | Promise<T>,
): Promise<void> {
  const path = file.path()
  const lock = join(dirname(path), `.${basename(path)}.lock`)
  await look(lock)
  const checked = async (index: unknown): Promise<T> => {
    await look(lock)
    assertShape<T>(index, file.schema)
    const next = await fn(index)
    assertShape<T>(next, file.schema)
    return next
  }
  await atomicIndexUpdate<T>(path, checked, {
    initial: file.empty(),
    backup: file.backup ?? false,
    timeout: TIMEOUT_MS,
  })
}

function look(lock: string): Promise<unknown> {
  return stat(lock, { bigint: true }).catch(() => undefined)
}

export async function loadIndex<T extends object>({ path, schema, empty }: IndexFile<T>): Promise<T> {
  const bytes = await readIfThere(path())
  if (bytes === undefined) return empty()
  const value = parseJson(bytes, path())
  assertShape<T>(value, schema)
  return value
}

function assertShape<T>(value: unknown, schema: z.ZodType): asserts value is T {
  const result = schema.safeParse(value)
  if (!result.success) throw result.error
}
