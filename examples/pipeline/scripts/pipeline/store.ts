/**
 * The indexes in an object store. A store changes one object at a time, so what has to change together is one object: the indexes are
 * parts of `_system/indexes.json`, each under the name that its file has in a content folder.
 */

import { basename } from 'node:path'
import { atomicIndexUpdate, readIndex, type UpdateResult } from '@pipeline/atomic'
import { z } from 'zod'
import { indexesPath } from '../../lib/content/paths'
import { assertShape } from '../../lib/content/shape'
import { asPublishError } from './errors'

type Parts = Record<string, object>

const partsSchema = z.record(z.string(), z.unknown())

const nameOf = (path: string) => basename(path, '.json')

/** @throws PublishError `INVALID_JSON` if the object is not valid JSON. */
export async function readPart(path: string): Promise<unknown> {
  try {
    const { value } = await readIndex<Parts>(indexesPath())
    return value?.[nameOf(path)]
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}

/** An update of one index. */
export interface PartUpdate {
  path: string
  empty: () => object
  update: (index: unknown) => object
}

/** Does all updates, one after another, in one commit. Writes nothing if none of them changes anything. */
export function updateParts(updates: readonly PartUpdate[]): Promise<UpdateResult> {
  return change((parts) => {
    let next = parts
    for (const { path, empty, update } of updates) {
      const name = nameOf(path)
      const before = next[name] ?? empty()
      const after = update(before)
      if (after !== before) next = { ...next, [name]: after }
    }
    return next
  })
}

/** Replaces an index, whatever it is. */
export function replacePart(path: string, index: object): Promise<UpdateResult> {
  return change((parts) => ({ ...parts, [nameOf(path)]: index }))
}

function change(fn: (parts: Parts) => Parts): Promise<UpdateResult> {
  const path = indexesPath()
  const checked = (parts: unknown) => {
    assertShape<Parts>(parts, partsSchema, path)
    return fn(parts)
  }
  return atomicIndexUpdate<Parts>(path, checked, { initial: {} })
}
