/**
 * Node.js makes text of the arguments, with U+FFFD for what is no UTF-8: a file of such a name would be another one. Where the system shows the
 * bytes that were given, the program can tell.
 */

import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'

/** Whether the program has other arguments than were given. */
export function hasLostBytes(): boolean {
  if (!process.argv.some((argument) => argument.includes('\ufffd'))) return false
  try {
    return !isUtf8(readFileSync('/proc/self/cmdline'))
  } catch {
    return false
  }
}
