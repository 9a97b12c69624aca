/**
 * All JSON is read through this module. It distinguishes a missing file from a broken one: if a loader treated broken
 * JSON as an empty index, the next save would delete everything that was in it.
 */

import { readFileSync } from 'node:fs'
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
    throw invalidJson(path, cause as Error)
  }
}

function invalidJson(path: string, cause: Error): PublishError {
  const message = `${basename(path)} is not valid JSON: ${cause.message} (${path})`
  return new PublishError(message, 'INVALID_JSON', { cause })
}

/**
 * As `parseJson` of all bytes of a file, synchronously.
 *
 * @throws PublishError `INVALID_JSON`; the error of the read.
 */
export function readJsonNow(path: string): unknown {
  // One call of the system's for all of it, but it replaces what is not UTF-8.
  const text = readFileSync(path, 'utf8')
  if (text.includes('\ufffd')) return parseJson(readFileSync(path), path)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidJson(path, cause as Error)
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
