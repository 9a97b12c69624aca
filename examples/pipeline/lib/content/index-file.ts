/** What is known of an index: where it is, what it has to be like, and what it begins as. */

import type { StandardSchema } from '@pipeline/atomic'
import type { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'

export interface IndexFile<T extends object> {
  path: () => string
  /** The addon checks the index by it when it reads it, and before and after each update. A patch is of what is not parsed: see `foundAs`. */
  schema: StandardSchema<T>
  /** The index that an update gets, and that a loader returns, if the file does not exist. */
  empty: () => T
  /** Keep the previous version beside the file. */
  backup?: boolean
}

/** A schema names the fields that code relies on; those that it does not name are allowed, and kept. */
export const shapeOf = <T>(schema: z.ZodType) => schema as unknown as StandardSchema<T>

/** What a patch finds in an index, checked: nobody has checked all of it, as nobody has parsed it. */
export function foundAs<T>(schema: z.ZodType, found: unknown, what: string): T {
  return passing(schema, found, what, 'INVALID_JSON')
}

/** What a patch is to put into an index, checked. */
export function madeAs<T>(schema: z.ZodType, made: T, what: string): T {
  return passing(schema, made, what, 'INVALID_INDEX_UPDATE')
}

function passing<T>(
  schema: z.ZodType,
  value: unknown,
  what: string,
  code: 'INVALID_JSON' | 'INVALID_INDEX_UPDATE',
): T {
  const { error } = schema.safeParse(value)
  if (error)
    throw new PublishError(`${what} does not pass its schema: ${error.message}`, code, {
      cause: error,
      target: 'index',
    })
  return value as T
}
