/**
 * The indexes in an object store. A store changes one object at a time, so what has to change together is one object: the indexes are
 * parts of `_system/indexes.json`, each under the name that its file has in a content folder.
 */

import { basename } from 'node:path'
import { atomicIndexUpdate, readIndex, type StandardSchema, type UpdateResult } from '@pipeline/atomic'
import { z } from 'zod'
import { type IndexFile, shapeOf } from '../../lib/content/index-file'
import { indexesPath } from '../../lib/content/paths'
import { asPublishError } from './errors'

type Parts = Record<string, object>

const nameOf = (path: string) => basename(path, '.json')

/** @throws PublishError `INVALID_JSON` if the object is not valid JSON, or the part does not pass the schema. */
export async function readPart<T extends object>(
  path: string,
  schema: StandardSchema<T>,
): Promise<T | undefined> {
  const name = nameOf(path)
  try {
    const { value } = await readIndex<Parts>(indexesPath(), { schema: partsSchema({ [name]: schema }) })
    return value?.[name] as T | undefined
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}

/** An update of one index. */
export interface PartUpdate {
  file: IndexFile<any>
  fn: (index: any) => object
}

/** Does all updates, one after another, in one commit. Writes nothing if none of them changes anything. */
export function updateParts(updates: readonly PartUpdate[]): Promise<UpdateResult> {
  const schemas = Object.fromEntries(updates.map(({ file }) => [nameOf(file.path()), file.schema]))
  return change((parts) => {
    let next = parts
    for (const { file, fn } of updates) {
      const name = nameOf(file.path())
      const before = next[name] ?? file.empty()
      const after = fn(before)
      if (after !== before) next = { ...next, [name]: after }
    }
    return next
  }, partsSchema(schemas))
}

/** Replaces an index, whatever it is. */
export function replacePart(path: string, index: object): Promise<UpdateResult> {
  return change((parts) => ({ ...parts, [nameOf(path)]: index }), partsSchema({}))
}

/** Calls share a commit only if they give the very same schema. */
const made = new Map<string, StandardSchema<Parts>>()

function partsSchema(schemas: Record<string, StandardSchema>): StandardSchema<Parts> {
  const key = Object.keys(schemas).sort().join()
  const parts = made.get(key) ?? shapeOf<Parts>(z.looseObject(partial(schemas)))
  made.set(key, parts)
  return parts
}

function partial(schemas: Record<string, StandardSchema>) {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, (schema as unknown as z.ZodType).optional()]),
  )
}

function change(fn: (parts: Parts) => Parts, schema: StandardSchema<Parts>): Promise<UpdateResult> {
  return atomicIndexUpdate<Parts>(indexesPath(), fn, { initial: {}, schema })
}
