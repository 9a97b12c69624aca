// Compiled, never run: every name that the package exports, used as a user would.
import { Readable } from 'node:stream'
import {
  type AtomicError,
  type AtomicErrorCode,
  AtomicFile,
  acquireIndexLock,
  atomicDirectory,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicPublish,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  type BuildResult,
  beginTransaction,
  type CloudOptions,
  type CopyDirectoryOptions,
  copyDirectoryAtomic,
  type Data,
  type DirectoryOptions,
  type DirectoryResult,
  type IndexLock,
  type IndexLockOptions,
  type IndexLocks,
  type IndexPatch,
  type IndexRead,
  type ListedObject,
  type LockedUpdateOptions,
  list,
  type OpenTransaction,
  type PatchOptions,
  type PatchResult,
  type PathLike,
  type PublishOptions,
  type PublishResult,
  type Recovered,
  type RecoverOptions,
  type Release,
  type ReleaseEntry,
  type RemoveOptions,
  type RemoveResult,
  readIndex,
  readRelease,
  recover,
  remove,
  type SnapshotOptions,
  snapshotRead,
  snapshotReadIndex,
  type Transaction,
  type TransactionOperation,
  type TransactionOptions,
  type TransactionResult,
  type TransactionUpdateOptions,
  type TransactionWriteOptions,
  type Updated,
  type UpdateOptions,
  type UpdateResult,
  type UpdateRun,
  type WriteAllOptions,
  type WriteEntry,
  type WriteOptions,
  type WriteResult,
  withIndexLock,
} from '@pipeline/atomic'

interface Index {
  documents: Record<string, { title: string }>
}

const paths: PathLike[] = ['a', Buffer.from('a'), new URL('file:///a')]
const contents: Data[] = [
  'a',
  Buffer.from('a'),
  new Float64Array(1),
  new DataView(new ArrayBuffer(1)),
  new ArrayBuffer(1),
]

const writeOptions: WriteOptions = {
  encoding: 'utf8',
  mode: 0o644,
  flag: 'wx',
  flush: true,
  verify: 'device',
  ifChanged: false,
  mkdir: true,
  signal: AbortSignal.timeout(1000),
}
const updateOptions: UpdateOptions<Index> = {
  initial: { documents: {} },
  space: '\t',
  backup: new URL('file:///backup'),
  numbers: 'exact',
  timeout: 1000,
  fnTimeout: 1000,
  network: 'allow',
  mode: '644',
  flush: true,
  verify: true,
  mkdir: true,
  signal: AbortSignal.timeout(1000),
}

export async function write(): Promise<WriteResult[]> {
  const results: WriteResult[] = []
  for (const path of paths)
    for (const data of contents) results.push(await atomicWrite(path, data, writeOptions))
  results.push(
    await atomicWrite('a', 'a'),
    await atomicWrite('a', 'a', 'latin1'),
    await atomicWrite('a', 'a', null),
  )
  const { written, bytes, durable, verified } = await atomicWrite('a', 'a', {})
  const facts: [boolean, number, boolean, 'cache' | 'device' | 'checksum' | 'readback' | false] = [
    written,
    bytes,
    durable,
    verified,
  ]
  console.log(facts)
  return results
}

export async function writeInPieces(): Promise<WriteResult> {
  const file: AtomicFile = await AtomicFile.open('a', writeOptions)
  for (const data of contents) await file.write(data)
  await file.write('61', 'hex')
  const stream: WritableStream<Data> = file.writable
  await new Blob(['a']).stream().pipeTo(stream)
  await Readable.toWeb(process.stdin).pipeTo(file.writable)
  const result: WriteResult = await file.commit()
  await file.abort()
  await file[Symbol.asyncDispose]()
  return result
}

export async function forget(): Promise<void> {
  await using file = await AtomicFile.open('a', 'latin1')
  await file.write('a')
}

export async function writeTogether(): Promise<WriteResult[]> {
  const entries: WriteEntry[] = [
    { path: 'a', data: 'a' },
    { path: new URL('file:///b'), data: '61', encoding: 'hex', mode: 0o600, ifChanged: true },
  ]
  const options: WriteAllOptions = {
    ...writeOptions,
    onProgress: (done: number, total?: number) => console.log(done, total),
  }
  async function* later(): AsyncGenerator<WriteEntry> {
    yield* entries
  }
  return [...(await atomicWriteAll(entries, options)), ...(await atomicWriteAll(later()))]
}

export async function update(): Promise<UpdateResult> {
  await atomicIndexUpdate<Index>('i', async (index) => index ?? { documents: {} })
  await atomicIndexUpdate<Index>('i', (index = { documents: {} }) => index)
  await atomicIndexUpdate('i', (index: Index | undefined) => index ?? { documents: {} }, { backup: true })
  await atomicIndexUpdate('i', (untyped) => ({ ...untyped, any: 'thing' }))
  const result: WriteResult & { lockWaitMs: number; batchSize: number } = await atomicIndexUpdate<Index>(
    'i',
    (index) => {
      if (index) index.documents.a = { title: 'a' }
      return index ?? { documents: {} }
    },
    updateOptions,
  )
  return result
}

export async function updateFromInitial(post: { slug: string; title: string }): Promise<void> {
  // Nothing is said of what an empty one will hold.
  await atomicIndexUpdate(
    'i',
    (index) => {
      index.x = 1
      return index
    },
    { initial: {} },
  )
  await atomicIndexUpdate('i', async (index) => ({ ...index, [post.slug]: post }), { initial: {}, space: 0 })
  await atomicIndexUpdate('i', (index) => [...index, post], { initial: [] })
  await atomicIndexUpdate('i', (index: Record<string, typeof post>) => index, { initial: {} })
  await atomicIndexUpdate('i', (index: string[]) => [...index, index.join()], { initial: [] })
  await atomicIndexUpdate<Record<string, string>>('i', (index) => ({ ...index, a: 'a' }), { initial: {} })
  // Otherwise its type is that of the index.
  await atomicIndexUpdate('i', ({ n }) => ({ n: n.valueOf() + 1 }), { initial: { n: 0 } })
  await atomicIndexUpdate('i', async (index) => [...index, index.length], { initial: [1] })
  await atomicIndexUpdate('i', async (index: Index) => index, { initial: { documents: {} } })
  await atomicIndexUpdate<Index>('i', async (index) => index, { initial: { documents: {} } })
  const shared = { initial: { n: 0 }, timeout: Number.POSITIVE_INFINITY }
  await atomicIndexUpdate('i', ({ n }) => ({ n }), shared)
}

export async function locks(): Promise<UpdateResult[]> {
  const options: IndexLockOptions = {
    timeout: 1000,
    signal: AbortSignal.timeout(1000),
    mkdir: false,
    fallback: 'in-place',
    network: 'allow',
  }
  const lock: IndexLock = await acquireIndexLock('i', options)
  const read: IndexRead<Index> = await lock.read<Index>({ initial: { documents: {} }, timeout: 1 })
  const updating: LockedUpdateOptions<Index> = { fnTimeout: 1000, backup: true, flush: false, timeout: 1 }
  const updated = await lock.update<Index>((index) => index ?? { documents: {} }, updating)
  await lock.update(({ n }, run: UpdateRun) => ({ n: n + run.attempt }), { initial: { n: 0 } })
  await lock.update(async (index, { signal, attempt }) => ({ ...index, attempt, at: signal.aborted }))
  const written = await lock.write(read.value ?? [], { space: 2 })
  await lock.release()
  await lock[Symbol.asyncDispose]()
  const both: IndexLocks<[string, URL]> = await acquireIndexLock(['a', new URL('file:///b')])
  const many: IndexLock[] = await acquireIndexLock([lock.path] as string[])
  const made: number = await withIndexLock(['a', Buffer.from('b')], async ([a, b]) => {
    await a.write({})
    return (await b.read()).value.length
  })
  const nothing: undefined = await withIndexLock('a', (one) => void one.path.length, options)
  console.log(both[1].path, many.length, made, nothing)
  return [updated, written]
}

export class Store<T extends object> {
  constructor(private readonly initial: T) {}

  update(fn: (index: T) => T | Promise<T>): Promise<UpdateResult> {
    return atomicIndexUpdate('i', fn, { initial: this.initial })
  }

  updateLater(fn: (index: T) => T): Promise<UpdateResult> {
    return atomicIndexUpdate('i', async (index) => fn(index), { initial: this.initial })
  }
}

export async function errors(): Promise<boolean> {
  const own: AtomicErrorCode = 'ERR_ATOMIC_VERIFY'
  try {
    await atomicWrite('a', 'a')
  } catch (error) {
    const { committed, code, errno, syscall, path, dest, entry, replaced, cause } = error as AtomicError
    const { duplicateOf, offset, line, column, literal, size, lock, holder } = error as AtomicError
    const texts: (string | undefined)[] = [code, syscall, path, dest, literal, lock, holder?.host]
    const numbers: (number | undefined)[] = [
      errno,
      entry,
      replaced,
      duplicateOf,
      offset,
      line,
      column,
      size,
      holder?.pid,
      holder?.since.getTime(),
    ]
    console.log(texts, numbers, cause, code === own, code === 'ENOSPC')
    const certain: true | undefined = committed
    if (certain) return true
  }
  const asInNode: (error: AtomicError) => NodeJS.ErrnoException = (error) => error
  return atomicWrite('a', 'a').then(
    () => false,
    (error: AtomicError) => error.committed === true && asInNode(error).code === 'EIO',
  )
}

export async function objects(): Promise<unknown[]> {
  const store: CloudOptions = { endpoint: 'http://127.0.0.1:9000', timeout: 1000, maxAttempts: 3 }
  const url = new URL('s3://bucket/key')
  const first = await atomicWrite(url, 'a', { ...store, flag: 'wx', backup: true })
  const second = await atomicWrite('s3://bucket/key', 'b', { ...store, ifVersion: first.version })
  const { version, attempts, conflicts, recovered } = await atomicIndexUpdate<Index>(
    'az://container/index.json',
    (index) => index,
    { ...store, initial: { documents: {} } },
  )
  // No property of a result is there and `undefined`.
  const facts: { version?: string; attempts?: number } = await atomicIndexUpdate<Index>('i', () => ({
    documents: {},
  }))
  const read: IndexRead<Index> = await readIndex<Index>('i', { ...store, initial: { documents: {} } })
  const removing: RemoveOptions = { ...store, ifVersion: read.version, flush: true }
  const { removed, durable }: RemoveResult = await remove(url, removing)
  const patch: IndexPatch = { set: { a: 1 }, delete: ['b'] }
  const patching: PatchOptions = { ...store, wait: 'accepted', space: 2 }
  const { applied }: PatchResult = await atomicIndexPatch('gs://bucket/index.json', patch, patching)
  const publishing: PublishOptions = { ...store, keep: 3 }
  const entries: ReleaseEntry[] = [{ path: 'index.html', data: '<p>' }]
  const published: PublishResult = await atomicPublish('s3://bucket/site/', entries, publishing)
  const release: Release = await readRelease('s3://bucket/site/', store)
  const listed: ListedObject[] = []
  for await (const object of list('s3://bucket/', store)) listed.push(object)
  const each: [string | undefined, number | undefined, number | undefined, boolean | undefined] = [
    version,
    attempts,
    conflicts,
    recovered,
  ]
  return [second, facts, each, removed, durable, applied, published.release, release.version, listed]
}

const directoryOptions: DirectoryOptions = {
  mode: 0o755,
  flush: true,
  mkdir: true,
  keepPrevious: new URL('file:///previous'),
  fallback: 'rename',
  signal: AbortSignal.timeout(1000),
}

export async function directories(): Promise<DirectoryResult[]> {
  const pages: BuildResult<number> = await atomicDirectory(
    'd',
    async (staging) => staging.length,
    directoryOptions,
  )
  const nothing: BuildResult<void> = await atomicDirectory('d', () => {}, { keepPrevious: true })
  const copyOptions: CopyDirectoryOptions = { ...directoryOptions, verify: false }
  const copied = await copyDirectoryAtomic('from', Buffer.from('to'), copyOptions)
  const leftover: AtomicError | null = copied.leftover
  const facts: [number, boolean, string | null, string | undefined] = [
    pages.value + copied.files + copied.directories + copied.links + copied.bytes,
    copied.durable,
    copied.previous,
    leftover?.code,
  ]
  console.log(facts)
  return [pages, nothing, copied, await copyDirectoryAtomic('from', 'to')]
}

const transactionOptions: TransactionOptions = {
  flush: true,
  verify: 'device',
  timeout: 1000,
  retries: 5,
  signal: AbortSignal.timeout(1000),
}

function publish(tx: Transaction): Updated<Index> {
  const write: TransactionWriteOptions = { flag: 'wx', mode: 0o644, ifChanged: true }
  const update: TransactionUpdateOptions<Index> = { space: 2, backup: true, numbers: 'lossy', keep: 'value' }
  tx.write('a', async () => Buffer.from('a'), write)
  tx.write(new URL('file:///content/b'), 'b', 'latin1')
  tx.remove('c', { missing: 'ignore' })
  tx.rename('d', 'e')
  tx.mkdir('folder')
  tx.update('counter', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
  return tx.update<Index>('index', (index) => index ?? { documents: {} }, update)
}

export async function transactions(): Promise<TransactionResult<unknown>[]> {
  const done: TransactionResult<Updated<Index>> = await atomicTransaction('root', publish, transactionOptions)
  const operations: TransactionOperation[] = [
    { write: 'a', data: 'a', mode: 0o600 },
    { write: 'a/b', data: 'a', mkdir: false },
    { update: 'b', fn: (index) => index, initial: {} },
    { remove: 'c', missing: 'ignore' },
    { rename: 'd', to: 'e' },
    { mkdir: 'f' },
  ]
  const listed: TransactionResult<void> = await atomicTransaction('root', operations)
  const read = await atomicTransaction('root', async (tx) => {
    const [text, bytes]: [string | null, Buffer | null] = [await tx.read('a', 'utf8'), await tx.read('a')]
    const index: Index | undefined = await tx.readIndex<Index>('index')
    const counter: { n: number } = await tx.readIndex('counter', { initial: { n: 0 } })
    return [text, bytes, index, counter, tx.root]
  })
  const open: OpenTransaction = await beginTransaction('root', { timeout: 1000 })
  open.write('a', 'a')
  const committed: TransactionResult<undefined> = await open.commit()
  await open.rollback()
  const options: SnapshotOptions = { encoding: 'latin1', timeout: 1000 }
  const [first, second]: [string | null, string | null] = await snapshotRead('root', ['a', 'b'], options)
  const [buffer]: [Buffer | null] = await snapshotRead('root', ['a'], { encoding: null })
  const [index, count] = await snapshotReadIndex<[Index, { n: number }]>('root', ['index', 'counter'])
  const facts: [number | undefined, number | undefined] = [
    count?.n,
    Object.keys(index?.documents ?? {}).length,
  ]
  const how: RecoverOptions = { giveUp: true, timeout: 1000 }
  const recovered: Recovered = await recover('root', how)
  const kept: (string | null)[] = recovered.files.map((file) => file.kept)
  console.log(first, second, buffer, facts, kept, done.value.value.documents)
  return [done, listed, read, committed]
}
