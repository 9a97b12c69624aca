/**
 * Options for objects in stores, whose paths begin with `s3://`, `az://` or `gs://`. They mean nothing for files. Credentials come from
 * the environment, as for the tools of the clouds.
 */
export interface CloudOptions {
  /**
   * The address of the store, for one that is not the cloud's own: `'http://127.0.0.1:9000'`.
   *
   * @default the cloud's
   */
  endpoint?: string
  /**
   * How long the whole call may take, in milliseconds. For {@link atomicIndexUpdate} of a file it is how long to wait for the index.
   *
   * @default 30_000
   */
  timeout?: number
  /**
   * How often to try, before the call rejects with `ERR_ATOMIC_CONTENDED`.
   *
   * @default as often as `timeout` allows
   */
  maxAttempts?: number
}

/** What {@link list} gives for each object. */
export interface ListedObject {
  /** Its URL. */
  path: string
  /** Its size in bytes. */
  size: number
  /** Its version, as `ifVersion` takes it. */
  version: string
  /** When it was written, by the clock of the store. */
  modified: Date
}

/** One object of {@link atomicPublish}. */
export interface ReleaseEntry {
  /** Its name below the prefix. */
  path: string
  /** Its content. */
  data: Data
  /** The encoding of a string. */
  encoding?: BufferEncoding
}

/** Options of {@link atomicPublish}. */
export interface PublishOptions extends CloudOptions {
  /** How many older releases stay. */
  keep?: number
  /** Aborts the call, until the new release is the newest. */
  signal?: AbortSignal
}

/** What {@link atomicPublish} did. The package for stores tells more. */
export interface PublishResult {
  /** The name of the release. */
  release: string
  /** The version of the pointer to it. */
  version: string
  [more: string]: unknown
}

/** The newest release below a prefix. The package for stores tells more. */
export interface Release {
  /** The name of the release. */
  release: string
  /** The version of the pointer to it. */
  version: string
  [more: string]: unknown
}
