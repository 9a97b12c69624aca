/**
 * The shapes of indexes. An index is checked before and after each function that changes it. Functions that are committed
 * together hand one index on, and none of them changes in place what it has been given; so what was checked once is not
 * checked again, neither the index nor the thousands of records in it that stay as they are.
 */

import { basename } from 'node:path'
import { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'

const checked = new WeakSet<object>()

/** @returns what is wrong with `value`. */
function issuesOf(value: unknown, schema: z.ZodType): z.core.$ZodIssue[] {
  const isObject = typeof value === 'object' && value !== null
  if (isObject && checked.has(value)) return []
  const { success, error } = schema.safeParse(value)
  if (!success) return error.issues
  if (isObject) checked.add(value)
  return []
}

/** An array of records. */
export function records(record: z.ZodType): z.ZodType {
  return z.custom<unknown[]>(Array.isArray, 'expected an array').superRefine((all, { addIssue }) => {
    for (const [at, value] of all.entries()) {
      for (const issue of issuesOf(value, record)) addIssue({ ...issue, path: [at, ...issue.path] })
    }
  })
}

const isText = (value: unknown) => typeof value === 'string'

/** Strings by a key. */
export const texts = z.custom<Record<string, string>>(
  (value) => typeof value === 'object' && value !== null && Object.values(value).every(isText),
  'expected an object of strings',
)

/** Checks that `value` has the shape of an index. Fields that are not in the schema are allowed and kept. */
export function assertShape<T>(value: unknown, schema: z.ZodType, path: string): asserts value is T {
  const [issue] = issuesOf(value, schema)
  if (issue === undefined) return
  const where = issue.path.join('.') || 'top level'
  throw new PublishError(
    `${basename(path)} does not have the expected shape: ${where}: ${issue.message} (${path})`,
    'INVALID_JSON',
  )
}
