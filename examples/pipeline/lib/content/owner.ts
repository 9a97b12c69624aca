/**
 * Whose document a file is. The publisher asks while it holds the locks, nearly always of a file that it has written itself, and reading and parsing all of that took
 * a third of the time of all functions of a publish. A document begins with its id; what is left to find out is whether it has another one further on, which would count.
 */

import { closeSync, openSync, readSync } from 'node:fs'
import { readJsonNow } from './read-json'

const scratch = Buffer.allocUnsafe(64 * 1024)

/** So much of the file as there is room for. */
function beginningOf(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    // A file system may give less at a time.
    for (let read = 0; ; ) {
      const more = readSync(file, scratch, read, scratch.length - read, read)
      read += more
      if (more === 0 || read === scratch.length) return scratch.subarray(0, read)
    }
  } finally {
    closeSync(file)
  }
}

/** Whether the file is this document's, if it is JSON at all. `false`: that is not known. */
function isSurelyOf(id: string, path: string): boolean {
  const begins = Buffer.from(`{\n  "id": ${JSON.stringify(id)},\n`)
  const bytes = beginningOf(path)
  if (bytes.length === scratch.length || !bytes.subarray(0, begins.length).equals(begins)) return false
  // A name can be written with escapes.
  return !bytes.includes('"id"', begins.length) && !bytes.includes('\\u', begins.length)
}

/**
 * The id of the document in a file.
 *
 * @param probable is returned at once if it is that one, or the file begins with it and is no JSON
 * @throws PublishError `INVALID_JSON`; the error of the read.
 */
export function ownerOf(path: string, probable: string): unknown {
  if (isSurelyOf(probable, path)) return probable
  return (readJsonNow(path) as { id?: unknown } | null)?.id
}
