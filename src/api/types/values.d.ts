/**
 * A path, as in `node:fs`: a string, a `Buffer` with its bytes, or a `file:` URL.
 *
 * A path that begins with `s3://`, `az://` or `gs://`, and a `URL` of that protocol, is an object in a store:
 * `s3://bucket/key`. For these the package `@pipeline/atomic-cloud` has to be installed too, or the call rejects with
 * `ERR_ATOMIC_NO_CLOUD`. A function that has no meaning there rejects with `ERR_ATOMIC_UNSUPPORTED` and says what to call
 * instead. Text that begins with another protocol and two slashes, `https://` or `file://`, is `ERR_INVALID_ARG_VALUE`. A local directory with the name
 * `s3:` is reached as `./s3://…`.
 *
 * Names such as `.NAME.xxxxxxxxxxxx.atomic-tmp` and `….atomic-txn`, with twelve letters and digits, are those of unfinished files of this package,
 * and what a killed process has left under them is removed. So calls that write refuse them, and do not make a directory of such a name (`EINVAL`).
 */
export type PathLike = string | Buffer | URL

/**
 * The content of a file: a string, or all bytes of an `ArrayBuffer` or of a view of any kind, at any offset. A buffer that was transferred, and a view whose
 * buffer was made shorter so that it no longer fits, show no bytes, and are refused (`ERR_INVALID_ARG_VALUE`).
 */
export type Data = string | NodeJS.ArrayBufferView | ArrayBuffer

/** One file of {@link atomicWriteAll}. Options given here win over the options of the call. */
export interface WriteEntry extends Omit<WriteOptions, 'signal' | 'fallback'> {
  /** The file to write. */
  path: PathLike
  /** Its content. It is copied when the entry is taken from the iterable, and may be changed right after that. */
  data: Data
}
