/** Object stores for `@pipeline/atomic`. It is loaded by that package; its functions are documented there. */

/** Where a store is and how long a call may take. */
export interface CloudOptions {
  /** The address of a server, instead of the cloud's own: `https://host:port`. `http:` for this machine only. */
  endpoint?: string | URL | undefined
  /**
   * How long the call may take, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number | undefined
  /**
   * How many requests may fail before the call does.
   *
   * @default no limit but `timeout`
   */
  maxAttempts?: number | undefined
  /** Aborts the call. While a write is on its way that leaves its outcome unknown. */
  signal?: AbortSignal | undefined
}

export interface CloudWriteOptions extends CloudOptions {
  /** Write only in the place of this version: the `version` of a result. */
  ifVersion?: string | undefined
  /** `'wx'`: only if there is no object yet. */
  flag?: 'w' | 'wx' | undefined
  /** Leave an object alone that has these bytes already. */
  ifChanged?: boolean | undefined
  /** Copy the version before to `${path}.backup`, or to another object of the same bucket. */
  backup?: boolean | string | URL | undefined
  /** How a string is encoded. */
  encoding?: BufferEncoding | undefined
}

/** How a change came about. */
export interface CloudCommit {
  /** The version that holds the change. */
  version: string
  /** How many writes were sent. */
  attempts: number
  /** How often another version was there first. */
  conflicts: number
  /** A reply was lost, and the object itself told that the change had been made. */
  recovered: boolean
  /** How it is known that the store has the bytes: its own digest of them, or reading. `false`: others had written since. */
  verified: 'checksum' | 'readback' | false
  /** The store acknowledged the write. */
  durable: true
}

export interface CloudWriteResult extends CloudCommit {
  written: boolean
  bytes: number
  atomic: true
}

export interface CloudObject {
  path: string
  size: number
  /** `undefined` on GCS, whose listings do not tell it. */
  version: string | undefined
  modified: Date
}

export interface IndexCommit {
  /** Names the object in this process. */
  readonly key: string
  /** The version that was read or written last. */
  readonly version: string | undefined
  /** The newest text; `undefined`: no such object. */
  read(): Promise<string | undefined>
  /** Replaces exactly what was read last, or nothing. */
  replaceIf(text: string): Promise<({ done: true } & CloudCommit) | { done: false }>
}

export type CloudData = string | NodeJS.ArrayBufferView | ArrayBuffer

export function atomicWrite(
  url: string | URL,
  data: CloudData,
  options?: CloudWriteOptions | BufferEncoding | null,
): Promise<CloudWriteResult>

export function atomicWriteAll(
  entries:
    | Iterable<{ path: string | URL; data: CloudData } & CloudWriteOptions>
    | AsyncIterable<{ path: string | URL; data: CloudData } & CloudWriteOptions>,
  options?: (CloudWriteOptions & { onProgress?: ((done: number) => void) | undefined }) | null,
): Promise<CloudWriteResult[]>

export function readIndex<T = any>(
  url: string | URL,
  options?: (CloudOptions & { initial?: T | undefined }) | null,
): Promise<{ value: T | undefined; version: string | undefined }>

export function remove(
  url: string | URL,
  options?: (CloudOptions & { ifVersion?: string | undefined }) | null,
): Promise<{ removed: boolean; durable: true }>

export function list(prefix: string | URL, options?: CloudOptions | null): AsyncGenerator<CloudObject, void>

export function openIndex(
  url: string | URL,
  options?: CloudOptions & { backup?: boolean | string | URL | undefined },
): IndexCommit

export interface CloudPublishOptions extends CloudOptions {
  /**
   * How many releases before the live one are kept, at least one.
   *
   * @default 1
   */
  keep?: number | undefined
  /**
   * How long the call may take, in milliseconds. Longer than half an hour it cannot.
   *
   * @default 300_000
   */
  timeout?: number | undefined
}

/**
 * Publishes a set of objects as a whole: they are written to a folder of their own, `${prefix}/.releases/…`, and one
 * pointer is swapped. Readers follow the pointer with {@link readRelease}. Releases that are no longer kept are removed,
 * and what killed publishers have left an hour ago; never the live one or the one before.
 */
export function atomicPublish(
  prefix: string | URL,
  entries: Iterable<{ path: string; data: CloudData }> | AsyncIterable<{ path: string; data: CloudData }>,
  options?: CloudPublishOptions | null,
): Promise<{ release: string; files: number; swept: string[] } & CloudCommit>

/** The live release and where its files are; all `undefined` if there is none. */
export function readRelease(
  prefix: string | URL,
  options?: CloudOptions | null,
): Promise<{
  release: string | undefined
  version: string | undefined
  /** The folder of the files, with a slash at the end. */
  url: string | undefined
  files: { path: string; url: string; size: number }[]
}>

/**
 * Sets and deletes keys of an index that many machines share. The patch is put into an inbox, `${url}.inbox/`, where it
 * is safe; any process folds the inbox into the index. The index is an object, its other values stay as they are.
 *
 * Patches of one process are applied in the order of its calls; those of several processes in any order. Each accepted patch is applied once, however long it waits for a fold. A patch that rejects with
 * `ERR_ATOMIC_UNKNOWN_OUTCOME` is applied once or never, and never over a later patch of the same process. So it rejects
 * also when half an hour has passed since a lost reply, for example because the machine was suspended.
 *
 * An error with `committed: true` is one of a patch that is accepted: it will be applied, so do not repeat it. Its `code` tells why the index
 * does not have it yet: `ERR_ATOMIC_CONTENDED` or `ETIMEDOUT` at the end of `timeout`, `ABORT_ERR`, or what the store refuses.
 * `maxAttempts` counts for the request that brings the patch into the inbox.
 *
 * Not promised: that a patch is applied only once if another program writes or restores the index, or if {@link remove}
 * removes it, while the inbox has patches; nor that one is applied whose object another program removes from the inbox, as
 * a rule for old objects does; nor anything about patches of a virtual machine that was restored twice from one snapshot.
 */
export function atomicIndexPatch(
  url: string | URL,
  patch: { set?: Record<string, unknown> | undefined; delete?: string[] | undefined },
  options?:
    | (CloudOptions & {
        /**
         * `'accepted'`: until the patch is safe. `'applied'`: until the index has it.
         *
         * @default 'applied'
         */
        wait?: 'accepted' | 'applied' | undefined
      })
    | null,
): Promise<{ accepted: true; applied: boolean; version?: string | undefined; durable: true }>
