/// <reference types="node" />

/** A file's name, as everywhere in `node:fs`: a string, the raw bytes, or a `file:` URL. */
export type PathLike = string | Buffer | URL

/** What is to be written: a string, or every byte that a view (of any kind, at any offset) or a buffer shows. */
export type Data = string | NodeJS.ArrayBufferView | ArrayBuffer

/** One file of {@link atomicWriteAll}. Options that it has itself win over the call's. */
export interface WriteEntry extends Omit<WriteOptions, 'signal'> {
  /** Where. */
  path: PathLike
  /** What. It is copied when the entry is taken from the iterable, and may be changed right after that. */
  data: Data
}

/**
 * A file that is written piece by piece and takes its place as a whole: until {@link AtomicFile.commit}
 * resolves, and after any crash, every reader finds the old file or none.
 *
 * What was written is not kept in memory: a digest is, and the file is read back against it.
 *
 * ```ts
 * await using file = await AtomicFile.open('sitemap.xml')
 * for (const url of urls) await file.write(`<url><loc>${url}</loc></url>`)
 * await file.commit()
 * ```
 *
 * Leaving the block without a commit, by an exception say, leaves the old file and nothing else. Without
 * `await using` call {@link AtomicFile.abort} yourself; a file that is forgotten is given up when it is
 * collected, and one that a process had open when it exited or was killed is gone, or swept away by the
 * next process that writes there.
 *
 * Rejections look as those of {@link atomicWrite}. A method that does not go with what was done before
 * (a write after the commit, a second commit) rejects with `ERR_INVALID_STATE` and changes nothing.
 */
export declare class AtomicFile {
  /**
   * Follows `path`, makes missing directories and starts a file beside it, which nobody sees.
   * The options are those of {@link atomicWrite}; a string is the encoding. `flag: 'wx'` is looked at
   * here, and decided by the commit; so is whether the directory is still where it was (`ENOENT`). An abort of
   * `signal` gives the file up.
   *
   * A quarter of the descriptors that the process may have can be open files. One more waits up to ten
   * seconds for another to be let go, and rejects with `EMFILE` then.
   */
  static open(path: PathLike, options?: WriteOptions | BufferEncoding | null): Promise<AtomicFile>
  /**
   * Appends, in call order. The data is copied at the call. Resolves when there is room for more: await
   * it, and memory stays bounded by about a megabyte and what one call is given.
   *
   * That the data has been written is not said before {@link AtomicFile.commit} resolves. After a
   * failure (a full disk) the file is given up, and all methods but `abort` reject with that failure, so
   * that a write that nobody awaited is not lost; not awaiting one is no unhandled rejection then. A chunk
   * that is refused itself (no data, half of a surrogate pair) is only not written.
   */
  write(chunk: Data, encoding?: BufferEncoding): Promise<void>
  /**
   * The file as a stream, for `pipeTo` and `stream.pipeline`. Closing it ends the content and does not
   * commit; aborting it gives the file up. A commit before it is closed is refused (`ERR_INVALID_STATE`)
   * while the stream is locked, has chunks that it has not passed on, or has failed.
   */
  get writable(): WritableStream<Data>
  /**
   * Waits for all writes, flushes the file, reads it back, and puts it under its name: what
   * {@link atomicWrite} does when it has written. Its place among the writes to one file is that of
   * this call. After a rejection the old file is there, unless `error.committed === true`, and this
   * one is given up.
   */
  commit(): Promise<WriteResult>
  /**
   * Gives the file up: nothing of it is left when this resolves. A commit that is under way is stopped,
   * and rejects with an `AbortError`, unless it has come too far: then this rejects, as it does after
   * a commit.
   * Aborting twice does nothing.
   */
  abort(): Promise<void>
  /**
   * What `await using` calls: gives the file up, unless it is committed; waits for a commit that is
   * under way.
   */
  [globalThis.Symbol.asyncDispose](): Promise<void>
}

/**
 * Replaces a directory and all that is in it at once: `build` fills a fresh directory, and when it is done every
 * file in that is flushed and the two are swapped in one step. Every open of a file below `path`, at any time and
 * after any crash, finds the old tree or the new one. Who opened the directory before the swap, or has it as the
 * working directory, sees the old one, until it is removed (20 ms later).
 *
 * `build` gets the path of an empty directory on the same file system, closed to other users, and fills it with
 * files, directories and symbolic links. What it returns is in the result as `value`; what it throws is what the
 * caller catches, the very same value, and the directory is gone by then. It must have finished all its writing when
 * it returns or resolves: what comes later is not flushed.
 *
 * Links on the way to `path` are followed and stay links, also `path` itself. Owner, mode, ACLs and extended
 * attributes of the directory itself are those of the one that is replaced (as far as the system permits); what is
 * in it is as `build` made it. Calls for one directory run one after the other, in the order of the calls: `build`
 * may read what the call before has made. Do not wait in it for another call for the same directory.
 *
 * Rejects with errors as `node:fs` has them (`ENOTDIR`: there is a file; `EBUSY`: a mount point, the root, a path
 * that ends in `.` or `..`) and with
 * - `ERR_ATOMIC_NO_EXCHANGE`: the file system cannot swap two directories; see `fallback`. Where that can be known
 *   `build` is not called;
 * - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in the new tree;
 * - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
 *
 * After a rejection the old tree is there and nothing else. The exception is `error.committed === true`: the new tree
 * has its name, but flushing that failed, or moving the old one to where it is to be kept; it lies beside it.
 *
 * Not promised: that a path that goes up again (`a/../b`) or two opens see one tree, and anything about
 * programs that write into the old tree meanwhile. Other processes' calls are not waited for; the last swap wins.
 */
export declare function atomicDirectory<T>(path: PathLike, build: (staging: string) => T | PromiseLike<T>, options?: DirectoryOptions | null): Promise<BuildResult<T>>

/**
 * Changes a JSON file, and never loses an update: any number of calls, worker threads and processes
 * may do it at once, and each works on what the one before it left.
 *
 * `fn` gets the parsed index and returns the next one; the same object, changed in place, is fine.
 * What it throws is what the caller catches, the very same value. Whatever goes wrong, the file has
 * nothing of it and the lock is free.
 *
 * Calls that wait for one index in one thread share the next commit if their options are the same (all
 * but `initial`, `timeout` and `signal`): their functions are called in call order, each with what the
 * one before it returned, and the result is written once. `batchSize` tells how many did. Each promise
 * resolves only after that. A thousand calls at once cost little more than one.
 *
 * `fn` may be async, and it may run again for one call (when it or a function that shares its commit
 * fails, or somebody changed the file without the lock): it must have no side effects. One that keeps
 * functions before it waiting for more than 100 ms runs again after they were written. In a shared commit
 * it is given the very object that the function before it returned, with whatever is in it that JSON
 * would not keep; should it fail on that, it runs again on what was written.
 *
 * The text is written as by {@link atomicWrite}; text that equals the file's is not written again.
 * Indent and final newline stay as they are in the file. Waiting costs no thread, and a holder that
 * is killed holds nobody up. While an update runs, `.NAME.lock` lies beside the file.
 *
 * Rejects as {@link atomicWrite} does, and with
 * - `ERR_ATOMIC_CORRUPT_INDEX`: the file is not JSON (an empty one is not); `offset`, `line` and
 *   `column` say where. Its bytes are never overwritten;
 * - `ERR_ATOMIC_LOCK_TIMEOUT`: the index was not ours within `timeout`;
 * - `ERR_INVALID_RETURN_VALUE`: `fn` returned no object or array, or one that is not JSON.
 *
 * An abort takes a call out until its commit begins; of a call that is written alone, until its rename.
 *
 * Not promised: anything about programs that change the file without this function, other than
 * that their changes are noticed until right before the rename. Do not wait inside `fn` for another
 * update or write of the same file: that waits for this one. The same goes for a write of another file that waits
 * behind an {@link atomicWriteAll} of both.
 */
export declare function atomicIndexUpdate<T = any>(path: PathLike, fn: (index: T) => T | Promise<T>, options?: UpdateOptions<T> | null): Promise<UpdateResult>

/**
 * Writes a file so that it is never half there: resolves when `data` is on disk, read back, under
 * its final name. Every reader, at any time and after any crash, finds the old file or the new one.
 *
 * `data` is copied at the call and may be changed right after it. Writes to one file, by whatever
 * name and from whatever thread of this process, run in the order of the calls: the last call wins.
 * Symbolic links are followed and stay links. Owner, mode, ACLs and extended attributes of a file
 * that is replaced are kept (as far as the system permits); its hard links keep the old content.
 *
 * Rejects with errors as `node:fs` has them (`code`, `errno`, `syscall`, `path`, `dest`) and with
 * - `ERR_ATOMIC_VERIFY`: what was read back is not what was given;
 * - `ERR_ATOMIC_NOT_REGULAR`: the target is a device, a FIFO or a socket (a directory is `EISDIR`);
 * - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
 *
 * After a rejection the old file is there, byte for byte, and nothing else. The one exception says
 * so: `error.committed === true`, the new file has its name, but flushing the directory (or closing
 * the file) failed, and a power cut may bring the old one back.
 *
 * Not promised: an order between two files, and protection from a disk that lies about flushes.
 * Other processes' writes to the file are not waited for; the last rename wins.
 */
export declare function atomicWrite(path: PathLike, data: Data, options?: WriteOptions | BufferEncoding | null): Promise<WriteResult>

/**
 * Writes many files so that none is ever half there, and none is replaced unless all can be: each is written
 * to a staged file, read back and flushed, and only when that is done for all of them all get their names.
 * Resolves with a result for each entry, in their order, when all are on disk under their final names.
 *
 * Many flushes run at once, and a directory is flushed once: a thousand small files take little longer than a
 * few. `entries` is gone through as by `for await`, with back-pressure: no more than two waves of up to 256
 * entries or 16 MiB (at least one entry) are in memory. It may wait for anything but this call, other writes
 * too.
 *
 * Rejects as {@link atomicWrite} does, with `error.path` and `error.entry` (its position, from 0) of the entry
 * that failed, and with
 * - `ERR_ATOMIC_DUPLICATE`: the entry means the same file as the one at `error.duplicateOf`, be it by another
 *   name;
 * - `ERR_ATOMIC_CHANGED`: a file that `ifChanged` left alone was changed before the others had their names;
 * - whatever `entries` or `onProgress` throws, the very same value.
 *
 * After a rejection all files are as before, and nothing else is there but directories that were made. The one
 * exception says so: `error.committed === true`. The first `error.replaced` entries have their names then, and no
 * others; a power cut may bring old files back.
 *
 * About 32,000 files may wait for their names without a descriptor, and more only as far as descriptors go;
 * beyond that, and where the file system cannot do without (overlays, and other systems than Linux), too many
 * files are `EMFILE`, after ten seconds. Do not wait for this call inside the function of an update of one of
 * its files, nor for one of its files inside the function of an update of another: each would wait for the other.
 *
 * `signal` is heeded until the first rename. Of an `atomicWrite` to one of the files that was called while the
 * entries were still being staged, this call is the later one; so are all calls made before.
 *
 * Not promised: that all files change at one moment. Readers see some new files beside some old ones for the
 * time that the renames take, and a crash in that time leaves each of them old or new, whole. For one moment
 * for all use a directory.
 */
export declare function atomicWriteAll(entries: Iterable<WriteEntry> | AsyncIterable<WriteEntry>, options?: WriteAllOptions | null): Promise<WriteResult[]>

/** What {@link atomicDirectory} did. */
export interface BuildResult<T = unknown> extends DirectoryResult {
  /** What `build` returned. */
  value: T
}

/**
 * Copies a directory over another one, at once: readers find the old tree or a complete copy, as with
 * {@link atomicDirectory}. All of it happens off the JavaScript thread.
 *
 * Files are copied with their permission bits (without set-id), symbolic links as links with the very same text,
 * directories also if they are empty. Owners, times, extended attributes and hard links between files are not
 * copied. Blocks are shared with the original where the file system can (btrfs, xfs); holes stay holes.
 *
 * Rejects as {@link atomicDirectory} does, and with
 * - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in `from`;
 * - `ERR_ATOMIC_VERIFY`: a copy is not what it was copied from, or that has changed meanwhile;
 * - `EINVAL`: one of the two is within the other.
 */
export declare function copyDirectoryAtomic(from: PathLike, to: PathLike, options?: CopyDirectoryOptions | null): Promise<DirectoryResult>

/**
 * Options of {@link copyDirectoryAtomic}; the others are those of {@link atomicDirectory}, but that a new directory
 * has the mode of the one that is copied.
 */
export interface CopyDirectoryOptions extends DirectoryOptions {
  /**
   * Read every file back and compare it with the one it was copied from.
   *
   * @default true
   */
  verify?: boolean
}

/** Options of {@link atomicDirectory}. They are read once, at the call. */
export interface DirectoryOptions {
  /**
   * Permission bits of the directory itself, as a number or as a string of octal digits; set exactly, the umask
   * does not apply.
   *
   * @default the mode of the directory that is replaced; for a new one 0o777 less the umask
   */
  mode?: number | string
  /**
   * Flush every file and every directory of the new tree before it gets its name, and the directory that it is in
   * after. Without it a power cut can bring the old tree back, or leave files of the new one empty.
   *
   * @default true
   */
  flush?: boolean
  /**
   * Make missing parent directories, durably. They stay if the call fails.
   *
   * @default true
   */
  mkdir?: boolean
  /**
   * Rejects with an `AbortError` unless the directory has its name already. The old one stands. While the tree is
   * being built the abort is heeded when `build` has settled: pass the signal on to what it does.
   */
  signal?: AbortSignal
  /**
   * Keep the old tree: as `${path}.previous`, or under the given name, which must be on the same file system. An
   * older one there is replaced.
   *
   * @default false
   */
  keepPrevious?: boolean | PathLike
  /**
   * What to do where the file system cannot swap two directories in one step: `'rename'` renames the old one away
   * and then the new one in. Between the two there is none. Without it the call rejects with
   * `ERR_ATOMIC_NO_EXCHANGE`.
   *
   * @default undefined
   */
  fallback?: 'rename'
}

/** What the replacement of a directory did: what was really done, never what was hoped for. */
export interface DirectoryResult {
  /** How many regular files are in the new tree. */
  files: number
  /** How many directories are in it, itself not counted. */
  directories: number
  /** How many symbolic links are in it. */
  links: number
  /** The sizes of its files, added up. */
  bytes: number
  /**
   * All of it was flushed, and the directory that it is in. `false` without `flush`, in memory (tmpfs), on an
   * overlay mounted `volatile`, and wherever the file system or the platform offers no such operation.
   */
  durable: boolean
  /** Where the old tree is, if it is still there. */
  previous: string | null
  /**
   * Why the old tree could not be removed, or not all of it. The new one is in its place; the rest of the old one
   * (`previous`) is tried again when the next process works in the same directory.
   */
  leftover: NodeJS.ErrnoException | null
}

/**
 * Options of {@link atomicIndexUpdate}; `mode`, `flush`, `verify`, `mkdir` and `signal` are those of
 * {@link atomicWrite}.
 */
export interface UpdateOptions<T = any> extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'signal'> {
  /**
   * What `fn` is given when the file does not exist. It is copied as JSON at the call, so that one
   * value can serve many calls.
   *
   * @default undefined
   */
  initial?: T
  /**
   * `JSON.stringify`'s.
   *
   * @default the file's own indent, else 2
   */
  space?: number | string
  /**
   * Keep the version before this one: as `${path}.backup`, or under the given name. It costs no
   * copy: the old file is linked. It is not touched when nothing is written. Of calls that share a
   * commit it is the version before all of them.
   *
   * @default false
   */
  backup?: boolean | PathLike
  /**
   * Milliseconds to wait for the index: for earlier calls of this process, then for other processes.
   * With 0 it is tried once.
   *
   * @default 30_000
   */
  timeout?: number
}

/** What an update did. */
export interface UpdateResult extends WriteResult {
  /** Milliseconds from the call until the index was this call's. */
  lockWaitMs: number
  /** How many updates shared this commit. */
  batchSize: number
}

/** Options of {@link atomicWriteAll}: those of {@link atomicWrite}, for all entries. */
export interface WriteAllOptions extends WriteOptions {
  /**
   * Called after each wave of up to 256 entries with how many are staged, and of how many, if `entries` has
   * a `length` or a `size`. What it throws is what the caller catches; nothing is renamed then.
   */
  onProgress?: (done: number, total?: number) => void
}

/** Options of {@link atomicWrite}. They are read once, at the call. */
export interface WriteOptions {
  /**
   * How a string becomes bytes. Other data is written as it is.
   *
   * With `'utf8'` a string with a lone surrogate is refused (`ERR_INVALID_ARG_VALUE`): UTF-8 has no
   * bytes for it, and U+FFFD in its place would not be what was given.
   *
   * @default 'utf8'
   */
  encoding?: BufferEncoding
  /**
   * Permission bits, as a number or as a string of octal digits; set exactly, the umask does not
   * apply.
   *
   * @default the mode of the file that is replaced; for a new file 0o666 less the umask
   */
  mode?: number | string
  /**
   * `'wx'` fails with `EEXIST` if there is anything by that name, be it a dangling link. Of two
   * that try at once, one succeeds.
   *
   * @default 'w'
   */
  flag?: 'w' | 'wx'
  /**
   * Flush the file before it gets its name, and the directory after. Without it a power cut can
   * bring the old file back; other readers see the old or the new one all the same. Directories that
   * had to be made are flushed in any case.
   *
   * @default true
   */
  flush?: boolean
  /**
   * Read the file back and compare before it gets its name. `true` reads what the system has in
   * its cache: that finds short and lying writes. `'device'` has the system drop its cache first,
   * and finds what was lost on the way to the disk as well; it needs `flush`, and Linux.
   *
   * @default true
   */
  verify?: boolean | 'device'
  /**
   * Leave a file that holds these bytes already alone: inode, mtime and mode stay. With `flush` it
   * is flushed nevertheless, for whoever wrote it may not have.
   *
   * @default false
   */
  ifChanged?: boolean
  /**
   * Make missing parent directories, durably. They stay if the write fails.
   *
   * @default true
   */
  mkdir?: boolean
  /** Rejects with an `AbortError` unless the file has its name already. The old file stands. */
  signal?: AbortSignal
}

/** What a write did: what was really done, never what was hoped for. */
export interface WriteResult {
  /** `false`: the file held these bytes already and was left alone. */
  written: boolean
  /** Size of the file. */
  bytes: number
  /**
   * File and directory were flushed. `false` without `flush`, in memory (tmpfs), on an overlay
   * mounted `volatile`, and wherever the file system or the platform offers no such operation.
   */
  durable: boolean
  /** How far the bytes were read back: through the system's cache, or from the device. */
  verified: 'cache' | 'device' | false
}
