// A patch is applied in two ways: to the text of an index, and to what it says.

import { atomicIndexPatch, type IndexPatch } from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { readJson, writeJson } from './index-file'

const unflushed = { flush: false }
/** A schema is for parsed indexes: a patch with one is applied to the value, and one without to the text. */
const parsed = { ...unflushed, schema: z.any() }

/** What a patch makes of an index, as text and parsed. */
export async function patched(file: string, before: unknown, patch: IndexPatch): Promise<unknown> {
  const outcomes: unknown[] = []
  for (const options of [parsed, unflushed]) {
    writeJson(file, before)
    const call = atomicIndexPatch(file, patch, options)
    const outcome = call.then(
      () => ({ index: readJson(file) }),
      ({ code, message, pointer, reached }) => ({ code, message, pointer, reached }),
    )
    outcomes.push(await outcome)
    // A patch that fails leaves all as it was.
    if (!Object.hasOwn((await outcome) as object, 'index')) expect(readJson(file)).toEqual(before)
  }
  const [ofValue, ofText] = outcomes as any[]
  // Of two operations with one pointer the text does not tell which one it was.
  if (ofText.message?.startsWith('ERR_ATOMIC_PATCH: patch:')) {
    expect(ofText).toEqual({ ...ofValue, message: ofValue.message.replace(/: patch[^:]+:/, ': patch:') })
  } else {
    expect(ofText).toEqual(ofValue)
  }
  const [{ index, ...failed }] = outcomes as [{ index?: unknown }]
  return Object.keys(failed).length > 0 ? failed : index
}
