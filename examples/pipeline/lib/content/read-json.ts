/**
 * All JSON is read through this module. It distinguishes a missing file from a broken one: if a loader treated broken
 * JSON as an empty index, the next save would delete everything that was in it.
 */

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { z } from 'zod'
import { PublishError } from '../../scripts/pipeline/errors'
import { readPart } from '../../scripts/pipeline/store'
import { isInStore } from './paths'
import { assertShape } from './shape'

/** @returns the bytes, or `undefined` if the file does not exist. Any other error is thrown. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `fatal`: invalid UTF-8 is an error and not replaced by U+FFFD. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws PublishError `INVALID_JSON` that names the file. */
export function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    const reason = (cause as Error).message
    throw new PublishError(`${basename(path)} is not valid JSON: ${reason} (${path})`, 'INVALID_JSON', {
      cause,
    })
  }
}

async function readFileAsJson(path: string): Promise<unknown> {
  const bytes = await readIfThere(path)
  return bytes && parseJson(bytes, path)
}

/**
 * @returns the index, or `empty()` if there is none.
 * @throws PublishError `INVALID_JSON` if the file is not valid JSON or does not have the expected shape.
 */
export async function loadIndex<T>(path: string, schema: z.ZodType, empty: () => T): Promise<T> {
  const value = isInStore(path) ? await readPart(path) : await readFileAsJson(path)
  if (value === undefined) return empty()
  assertShape<T>(value, schema, path)
  return value
}
