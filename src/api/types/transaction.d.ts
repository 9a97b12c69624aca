/** Options of {@link atomicTransaction}. They are read once, when the function is called. */
export interface TransactionOptions {
  /**
   * Flush all files, the journal and the directories, so that the transaction survives a power cut. Without it, it
   * survives that its process is killed.
   *
   * @default true
   */
  flush?: boolean
  /**
   * Read the files back before the commit, as {@link WriteOptions.verify}.
   *
   * @default true
   */
  verify?: boolean | 'device'
  /**
   * How long to wait for the files and the indexes, in milliseconds, before the call rejects with
   * `ERR_ATOMIC_LOCK_TIMEOUT`. 0 tries once; `Infinity` waits without a limit.
   *
   * @default 30_000
   */
  timeout?: number
  /**
   * How often `build` runs again because others have changed what `tx.read` had read, before the call rejects with
   * `ERR_ATOMIC_CONFLICT`.
   *
   * @default 3
   */
  retries?: number
  /** Aborts the call until the commit begins: it rejects with an `AbortError`, and nothing has changed. */
  signal?: AbortSignal
}

/** How a transaction writes a file. */
export type TransactionWriteOptions = Pick<
  WriteOptions,
  'encoding' | 'mode' | 'flag' | 'verify' | 'ifChanged' | 'mkdir'
>

/**
 * How a transaction updates an index. `backup` is below the root as well; it is a copy, written by the same transaction.
 *
 * With `keep: 'value'` the function gets a frozen index, as that of {@link atomicIndexUpdate} does, and each may be the one that the other has kept. Of several transactions
 * that are committed together, and of several updates of one index in a transaction, each may have it or not. If more than eight of them update one index, they get
 * it as without the option, not frozen, and it is parsed by the next one. Patches do without it, and {@link Transaction.readIndex} calls the functions of this
 * transaction with an index that is not frozen.
 *
 * What is written is what would be written without it, with one exception. Of two functions one behind the other, in one transaction or in two that are committed
 * together, at least one of which has the option, the second one is given what JSON has of the index that the first one returned. A date is a string there, and
 * what JSON has nothing of, such as a `Set`, is refused with `ERR_INVALID_RETURN_VALUE`, though the second function would have replaced it.
 */
export type TransactionUpdateOptions<T = any> = Pick<
  UpdateOptions<T>,
  | 'initial'
  | 'keep'
  | 'space'
  | 'numbers'
  | 'backup'
  | 'codec'
  | 'schema'
  | 'migrate'
  | 'mode'
  | 'verify'
  | 'mkdir'
>

/** An index as a transaction has written it. */
export interface Updated<T> {
  /**
   * The index, once the transaction is committed; before that it throws `ERR_INVALID_STATE`. Transactions that were
   * committed together share the object.
   */
  readonly value: T
}

/**
 * What {@link atomicTransaction} gives to `build`. Paths are relative to the root, or absolute and below it. Operations take
 * effect in the order of the calls; several on one file are one change of it.
 */
export interface Transaction {
  /** The root, as it was given. */
  readonly root: string
  /**
   * Writes a file. `data` is copied at the call; a function is called as those of `update` are, and may be async.
   */
  write(
    path: PathLike,
    data: Data | (() => Data | PromiseLike<Data>),
    options?: TransactionWriteOptions | BufferEncoding,
  ): void
  /**
   * Changes a JSON file, as {@link atomicIndexUpdate}: `fn` runs when all files are locked, or while the transactions before this one are being
   * committed, on what they write; then it runs again if the index is not that when it is locked. What it reads by itself elsewhere nobody locks:
   * `read` what the transaction depends on. What it throws rejects the transaction.
   */
  update<T extends object = any>(
    path: PathLike,
    fn: (index: T) => T | PromiseLike<T>,
    options: TransactionUpdateOptions<T> & { initial: T },
  ): Updated<T>
  update<T extends object = any>(
    path: PathLike,
    fn: (index: T | undefined) => T | PromiseLike<T>,
    options?: TransactionUpdateOptions<T>,
  ): Updated<T>
  /**
   * Changes a JSON file as {@link atomicIndexPatch} does, in the order of the calls, among them those of `update`. What is not there begins as
   * `initial`, or as `{}`. A function is called as those of `update` are. If more than eight patches and updates of one index are committed together, its view is of the parsed index,
   * and else of the text.
   */
  patch<T extends object = any>(
    path: PathLike,
    patch: IndexPatch | ((view: IndexView) => IndexPatch | undefined | PromiseLike<IndexPatch | undefined>),
    options?: Omit<TransactionUpdateOptions<T>, 'keep'>,
  ): Updated<T>
  /** Removes a file. With `missing: 'ignore'` it need not be there; the default is `'error'` (`ENOENT`). */
  remove(path: PathLike, options?: { missing?: 'error' | 'ignore' }): void
  /** Renames a file, over another one if there is one. It keeps its owner, mode and attributes. */
  rename(from: PathLike, to: PathLike): void
  /** Makes a directory, and those above it. It is made before the commit, and stays if that fails. */
  mkdir(path: PathLike): void
  /**
   * Reads a file as this transaction sees it: with its own changes so far. Resolves with `null` if there is none. If others
   * change what was read before the commit, `build` runs again.
   */
  read(path: PathLike, options: BufferEncoding | { encoding: BufferEncoding }): Promise<string | null>
  read(path: PathLike, options?: { encoding?: null } | null): Promise<Buffer | null>
  /** As `read`, parsed; without a file `initial`. To change an index, prefer `update`, which waits for its turn. */
  readIndex<T extends object = any>(
    path: PathLike,
    options: Pick<UpdateOptions<T>, 'numbers' | 'codec' | 'schema' | 'migrate'> & { initial: T },
  ): Promise<T>
  readIndex<T extends object = any>(
    path: PathLike,
    options?: Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'>,
  ): Promise<T | undefined>
}

/** One operation of a transaction that is given as a list. Beside `write`, `update` and `patch`, `mkdir` is the option, `true` or `false`; alone it is the path of a directory. */
export type TransactionOperation =
  | ({ write: PathLike; data: Data | (() => Data | PromiseLike<Data>) } & TransactionWriteOptions &
      Partial<Record<'update' | 'patch' | 'remove' | 'rename', undefined>>)
  | ({ update: PathLike; fn: (index: any) => object | PromiseLike<object> } & TransactionUpdateOptions &
      Partial<Record<'write' | 'patch' | 'remove' | 'rename', undefined>>)
  | ({ patch: PathLike; change: Parameters<Transaction['patch']>[1] } & Omit<
      TransactionUpdateOptions,
      'keep'
    > &
      Partial<Record<'write' | 'update' | 'remove' | 'rename', undefined>>)
  | ({ remove: PathLike; missing?: 'error' | 'ignore' } & Partial<
      Record<'write' | 'update' | 'patch' | 'rename' | 'mkdir', undefined>
    >)
  | ({ rename: PathLike; to: PathLike } & Partial<
      Record<'write' | 'update' | 'patch' | 'remove' | 'mkdir', undefined>
    >)
  | ({ mkdir: PathLike } & Partial<Record<'write' | 'update' | 'patch' | 'remove' | 'rename', undefined>>)

/** What a transaction did. */
export interface TransactionResult<T> {
  /** What `build` returned. */
  value: T
  /** The number of the commit in its root; `null` if at most one file had to be changed, which takes no record. */
  transaction: number | null
  /** Whether all of it was flushed to disk. */
  durable: boolean
  /** What was done to each file, by the path that was given. `bytes` is its size, and of a file that was removed 0. */
  files: {
    path: string
    action: 'written' | 'unchanged' | 'removed' | 'renamed'
    bytes: number
    verified: 'cache' | 'device' | false
  }[]
  /** How often `build` ran. */
  attempts: number
  /** The number of transactions that were committed together, this one included. */
  batchSize: number
  /** Milliseconds from the beginning of the commit until all files were locked. */
  lockWaitMs: number
  /** What an earlier transaction had left, if it was recovered on the way. */
  recovered: Recovered | null
}

/** A transaction that is committed by hand. */
export interface OpenTransaction extends Transaction {
  /** Commits. Rejects as {@link atomicTransaction} does. The transaction has ended then in any case. */
  commit(): Promise<TransactionResult<undefined>>
  /** Ends the transaction without a commit. Nothing has happened. */
  rollback(): Promise<void>
  /** As `rollback`, unless it is committed. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Options of {@link snapshotRead}. */
export interface SnapshotOptions {
  /**
   * The encoding of the files; with `null` they are buffers.
   *
   * @default 'utf8'
   */
  encoding?: BufferEncoding | null
  /**
   * How long to try, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number
  /** Aborts the call. */
  signal?: AbortSignal
}

/** As {@link snapshotRead} with an encoding, but resolves with buffers. */
export declare function snapshotRead<const P extends readonly PathLike[]>(
  root: PathLike,
  paths: P,
  options: Omit<SnapshotOptions, 'encoding'> & { encoding: null },
): Promise<{ -readonly [K in keyof P]: Buffer | null }>

/** Options of {@link recover}. */
export interface RecoverOptions {
  /**
   * Give up what cannot be recovered.
   *
   * @default false
   */
  giveUp?: boolean
  /**
   * How long to wait for a transaction that is at work, in milliseconds.
   *
   * @default 30_000
   */
  timeout?: number
  /** Aborts the call. */
  signal?: AbortSignal
}

/** What {@link recover} found and did. */
export interface Recovered {
  /**
   * `'nothing'`: there was nothing to recover. `'completed'`: all of the transaction is there. `'dropped'`: nothing of it is, because
   * it had not been committed. `'given-up'`: see `giveUp`.
   */
  outcome: 'nothing' | 'completed' | 'dropped' | 'given-up'
  /** The number of the transaction. */
  transaction: number | null
  /**
   * What was done to each file, by its path below the root. `'superseded'`: somebody had changed it since, and theirs stays; `kept`
   * is where the transaction's is, if there was one. `'lost'`: somebody has removed what was to be written. `'stood'`: it was
   * as it was to be.
   */
  files: {
    path: string
    action: 'stood' | 'renamed' | 'removed' | 'dropped' | 'superseded' | 'lost'
    kept: string | null
  }[]
}
