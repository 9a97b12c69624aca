/** What `atomic check` finds. */

import { named, printable } from '../output'

export interface Finding {
  path: string
  /** `'problem'`: something is to be done. `'note'`: it is good to know. */
  level: 'problem' | 'note'
  kind: 'index' | 'lines' | 'backup' | 'missing' | 'lock' | 'leftover' | 'aside' | 'unreadable'
  message: string
  /** What to do. */
  advice?: string
  /** What does it, to be pasted into a shell. */
  command?: string
  /** The code of the package's error, or of the system's. */
  code?: string
}

/** A path as a word of a shell, on one line and no option. */
export function quoted(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  const shown = named(word)
  if (shown === word) return `'${word.replaceAll("'", `'\\''`)}'`
  // What steers a terminal cannot stand in '…'. Shells know $'…' since long, POSIX since 2024.
  const escaped = printable(word.replace(/[\\']/g, '\\$&'))
  return `$'${escaped.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}'`
}
