/** What `atomic check` finds. */

export interface Finding {
  path: string
  /** `'problem'`: something is to be done. `'note'`: it is good to know. */
  level: 'problem' | 'note'
  kind: 'index' | 'lines' | 'backup' | 'missing' | 'lock' | 'leftover' | 'aside' | 'unreadable'
  message: string
  /** What to do. */
  advice?: string
  /** The code of the package's error, or of the system's. */
  code?: string
}

/** A path as a word of a shell. */
export const quoted = (path: string): string =>
  /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
