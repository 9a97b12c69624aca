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
