export = writeFile

/**
 * Writes a file as the package `write-file-atomic` does, by `atomicWrite`: flushed with its directory, read back, in the order of the
 * calls whatever path leads to the file, also between worker threads. Calls with `tmpfileCreated` or `chown`, and those after them, are in
 * order by the same path and in the same thread only.
 *
 * Different: `tmpfileCreated` is called before the file is written, with a name that no file has (the new file has none until it is
 * complete), so it is of no use to change the temp file. With `chown` the owner is set after the file has its name, and set-user-ID and
 * set-group-ID bits after the owner; if that fails, the error has `committed: true`, and it is borne where that package bears it: the file
 * has another owner then, and no such bits. Without it owner, ACLs and extended attributes are kept. A link that leads nowhere is followed, and
 * stays.
 */
declare function writeFile(
  filename: string,
  data: writeFile.Data,
  options: writeFile.Options | BufferEncoding | null | undefined,
  callback: (error?: Error) => void,
): void
declare function writeFile(filename: string, data: writeFile.Data, callback: (error?: Error) => void): void
declare function writeFile(
  filename: string,
  data: writeFile.Data,
  options?: writeFile.Options | BufferEncoding | null,
): Promise<void>

declare namespace writeFile {
  /** As `atomicWriteSync`: it blocks the thread, and comes before asynchronous calls that have not written yet. */
  function sync(filename: string, data: Data, options?: Options | BufferEncoding | null): void

  /** Anything else is written as `String` makes it; `undefined` and `null` make an empty file. */
  type Data = string | NodeJS.ArrayBufferView | null | undefined

  interface Options {
    /**
     * The owner to be; -1 is that of the replaced file. `false` counts as not given.
     *
     * @default that of the replaced file
     */
    chown?: { uid: number; gid: number } | false | undefined
    /** Of a string. A lone surrogate becomes U+FFFD. @default 'utf8' */
    encoding?: BufferEncoding | undefined
    /** Flush the file and its directory. @default true */
    fsync?: boolean | undefined
    /**
     * Permission bits, also with a file's type, as `stat` has them. `false` and 0 count as not given.
     *
     * @default those of the replaced file; for a new one 0o666 & ~umask
     */
    mode?: number | false | undefined
    /** Called before the file is written; what it throws, or rejects with, ends the call. */
    tmpfileCreated?: ((tmpfile: string) => unknown) | undefined
  }
}
