/**
 * Appends JSON Lines: each value of `lines`, strings too, becomes one line by `JSON.stringify`. The whole contract is documented at
 * the signature of {@link appendLines} for strings.
 */
export declare function appendLines(
  path: PathLike,
  lines: Iterable<unknown>,
  options: AppendLinesOptions & { json: true },
): Promise<AppendResult>

/**
 * Reads JSON Lines: gives the parsed value of each line. The whole contract is documented at the signature of {@link readLines}
 * without `json`.
 */
export declare function readLines<T = any>(
  path: PathLike,
  options: ReadLinesOptions & { json: true },
): AsyncGenerator<T, void, undefined>

/** A line that {@link readLines} has skipped. */
export interface SkippedLine {
  /** Its number, from 1. */
  line: number
  /** Where it begins, in bytes from the start of the file. */
  offset: number
  /** How long it is, in bytes, without its line end. */
  bytes: number
  /**
   * `'unfinished'`: it has no line end. `'nul'`: it has NUL bytes, as a power cut leaves them. `'utf8'`: it is not UTF-8. `'json'`: it
   * is not JSON. `'changed'`: the file was made shorter or overwritten while it was read, so that no line begins here any more; `bytes`
   * is 0, and the lines end here.
   */
  reason: 'unfinished' | 'nul' | 'utf8' | 'json' | 'changed'
}
