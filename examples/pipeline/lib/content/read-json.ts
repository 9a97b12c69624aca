/**
 * All JSON is read through this module. It distinguishes a missing file from a broken one: if a loader treated broken
 * JSON as an empty index, the next save would delete everything that was in it.
 */

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { readIndex, type StandardSchema } from '@pipeline/atomic'
import { asPublishError, PublishError } from '../../scripts/pipeline/errors'
import { readPart } from '../../scripts/pipeline/store'
import type { IndexFile } from './index-file'
import { isInStore } from './paths'

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

/**
 * @returns the index, or `undefined` if there is none.
 * @throws PublishError `INVALID_JSON` if the file is not valid JSON or does not pass the schema.
 */
export async function readIfWhole<T>(path: string, schema: StandardSchema<T>): Promise<T | undefined> {
  try {
    return (await readIndex<T>(path, { schema })).value
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}

/** As `readIfWhole`, but `empty()` if there is no index; in a store it is a part of an object. */
export async function loadIndex<T extends object>({ path, schema, empty }: IndexFile<T>): Promise<T> {
  const at = path()
  return (isInStore(at) ? await readPart(at, schema) : await readIfWhole(at, schema)) ?? empty()
}
