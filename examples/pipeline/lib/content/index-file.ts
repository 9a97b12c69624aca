/** What is known of an index: where it is, what it has to be like, and what it begins as. */

import type { StandardSchema } from '@pipeline/atomic'
import type { z } from 'zod'

export interface IndexFile<T extends object> {
  path: () => string
  /** The addon checks the index by it before and after each change. */
  schema: StandardSchema<T>
  /** The index that an update gets, and that a loader returns, if the file does not exist. */
  empty: () => T
  /** Keep the previous version beside the file. */
  backup?: boolean
}

/** A schema names the fields that code relies on; those that it does not name are allowed, and kept. */
export const shapeOf = <T>(schema: z.ZodType) => schema as unknown as StandardSchema<T>
