// What a contender guarantees. One that guarantees less does less work, so every figure is shown with this.

export interface Guarantees {
  name: string
  /** The file's bytes are flushed before it gets its name. */
  fsyncFile: boolean
  /** The new name is flushed before the promise resolves. */
  fsyncDirectory: boolean
  /** The bytes are read back and compared. */
  readBack: boolean
  /** Two processes that change one file at once do not lose each other's change. */
  exclusion: boolean
}

/** A contender that has the named guarantees. */
export function guarantee(
  name: string,
  ...kept: ('fsyncFile' | 'fsyncDirectory' | 'readBack' | 'exclusion')[]
): Guarantees {
  return {
    name,
    fsyncFile: kept.includes('fsyncFile'),
    fsyncDirectory: kept.includes('fsyncDirectory'),
    readBack: kept.includes('readBack'),
    exclusion: kept.includes('exclusion'),
  }
}

/** Column titles, and a contender's cells below them. */
export const guaranteeColumns = ['fsync file', 'fsync dir', 'read back', 'excludes']

export function guaranteeCells(of: Guarantees): string[] {
  return [of.fsyncFile, of.fsyncDirectory, of.readBack, of.exclusion].map((kept) => (kept ? 'yes' : '-'))
}

/** The same in words, where there is no room for columns. */
export function describeGuarantees(of: Guarantees): string {
  const kept = guaranteeCells(of).flatMap((cell, column) =>
    cell === 'yes' ? [guaranteeColumns[column]] : [],
  )
  return kept.join(', ') || 'nothing'
}
