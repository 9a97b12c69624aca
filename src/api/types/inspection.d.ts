/** What {@link inspectDirectory} finds out by trying, and answers with yes or no. `null`: it could not be tried, and `means` says why. */
export type DirectoryAbility =
  /** A file can be made only if its name is free. */
  | 'exclusiveCreate'
  /** A rename replaces a file in one step. */
  | 'renameOver'
  /** A rename can refuse a taken name. */
  | 'renameNoReplace'
  /** Two names can be exchanged in one step. */
  | 'exchange'
  /** A file can have several names. */
  | 'hardLinks'
  /** A file can be made without a name (`O_TMPFILE`), and get one later. */
  | 'unnamedFiles'
  /** The names in a directory can be flushed to the disk. */
  | 'directoryFlush'
  /** What was flushed survives a power cut, as far as the type of the file system tells. */
  | 'durable'
  /** Files can be locked (`flock`), which is what keeps an index for one process. */
  | 'locks'
  /** No other machine changes this file system. */
  | 'local'
  /** Bytes can be read back from the device, past the page cache. */
  | 'deviceVerify'
  /** Names that differ in case only are two files. */
  | 'caseSensitive'
  /** Names that differ only in how Unicode writes a character are two files. */
  | 'normalizationSensitive'
  /** Files have permissions of their own. */
  | 'modes'
  /** Files can have extended attributes. */
  | 'extendedAttributes'
  /** Files can have POSIX ACLs. */
  | 'acls'

/** One row of {@link DirectoryInspection}. `means`: what follows from the value for you, in one sentence. */
export type DirectoryTrait =
  | { name: DirectoryAbility; value: boolean | null; means: string }
  /** The type of the file system, and the device or server that it is on, as the system calls them. */
  | { name: 'fileSystem' | 'device'; value: string | null; means: string }
  /** `longestName`: in bytes, for a name in ASCII. `flushTime`: the median of writing and flushing 4 KiB, in milliseconds. */
  | { name: 'longestName' | 'flushTime'; value: number | null; means: string }

/** What {@link inspectDirectory} has found, a row for each trait, always in the same order. */
export interface DirectoryInspection {
  /** The directory, links resolved. */
  path: string
  traits: DirectoryTrait[]
}
