// Compiled, never run: schemas, the type of an index that is inferred from them, more backups than one, watching and recovery.
import {
  applyIndexPatch,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  type BackupOptions,
  type IndexChange,
  type IndexPatch,
  type IndexPatchFunction,
  type IndexRecovery,
  type IndexRestoration,
  type IndexView,
  type JsonPatchOperation,
  type KeyPatch,
  type MergePatch,
  type PointerPatch,
  type ReadIndexAtOptions,
  type ReadIndexOptions,
  type RecordsPatch,
  type RecoverIndexOptions,
  type RecoveryOptions,
  type RestoreIndexOptions,
  readIndex,
  readIndexAt,
  readIndexKeys,
  readIndexRecords,
  readIndexSync,
  recoverIndex,
  restoreIndex,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
  type WatchIndexOptions,
  watchIndex,
  withIndexLock,
} from '@pipeline/atomic'

interface Posts {
  posts: string[]
}

declare const schema: StandardSchema<Posts>
const result: SchemaResult = { issues: [{ message: 'no', path: ['posts', { key: 0 }] }] }
const options: ReadIndexOptions<Posts> = {
  schema,
  fallback: 'backup',
  migrate: (old) => ({ posts: old.all }),
}

export async function schemas() {
  await atomicIndexUpdate('i', (index) => ({ posts: [...(index?.posts ?? []), 'new'] }), { schema })
  await atomicIndexUpdate('i', (index) => ({ posts: [...index.posts, 'new'] }), {
    schema,
    initial: { posts: [] },
  })
  await atomicTransaction(
    'r',
    (tx) => tx.update('i', (index) => ({ posts: index?.posts ?? [] }), { schema }).value.posts,
  )
  const { value, source, backup, corrupt } = await readIndex('i', options)
  const posts: string[] | undefined = value?.posts
  const issues: readonly SchemaIssue[] | undefined = corrupt?.issues
  console.log(posts, source === 'backup' && backup, issues, result)
  const { value: always } = await readIndex<{ posts: string[] }>('i', { initial: { posts: [] } })
  const { value: atOnce } = readIndexSync<{ posts: string[] }>('i', {
    initial: { posts: [] },
    fallback: 'backup',
  })
  const underLock = await withIndexLock('i', async (lock) => {
    const { value } = await lock.read<{ posts: string[] }>({ initial: { posts: [] } })
    // @ts-expect-error: there may be no file
    void (await lock.read<{ posts: string[] }>({ timeout: 1 })).value.posts
    await lock.write(value)
    return value
  })
  console.log([always, atOnce, underLock].map(({ posts }) => posts.length))
  // @ts-expect-error: there may be no file
  void (await readIndex<{ posts: string[] }>('i', { fallback: 'backup' })).value.posts
  const { value: inferred } = await readIndex('i', { schema })
  console.log(inferred?.posts.length)
  // @ts-expect-error: the schema knows no such member
  void atomicIndexUpdate('i', (index) => ({ posts: index?.pages }), { schema })
  // @ts-expect-error: that is no index of the schema
  void atomicIndexUpdate('i', () => ({ posts: 1 }), { schema })
  // @ts-expect-error: there is no other fallback
  void readIndex('i', { fallback: 'older' })
}

const backups: BackupOptions = { generations: 3, every: '1h' }

export async function keepMore() {
  await atomicIndexUpdate('i', (index) => index, { initial: {}, backup: backups })
  // @ts-expect-error: there is no such unit
  await atomicIndexUpdate('i', (index) => index, { initial: {}, backup: { every: '1 week' } })
}

export async function keepValue() {
  await atomicIndexUpdate('i', (index) => ({ ...index, n: 1 }), { initial: {}, keep: 'value' })
  // @ts-expect-error: there is no other thing to keep
  await atomicIndexUpdate('i', (index) => index, { initial: {}, keep: 'index' })
  // @ts-expect-error: a patch is made of the text
  await atomicIndexPatch('i', { merge: {} }, { keep: 'value' })
}

declare const list: StandardSchema<string[]>

export async function emptyInitial() {
  await atomicIndexUpdate('i', (index) => [...index, 'new'], { initial: [], schema: list })
  // @ts-expect-error: that is none of the schema's
  await atomicIndexUpdate('i', (index) => [...index, 1], { initial: [], schema: list })
}

const watching: WatchIndexOptions<Posts> = {
  schema,
  initial: { posts: [] },
  signal: new AbortController().signal,
  onError: (error) => console.error(error.code),
}

export async function watch() {
  for await (const { value, previous } of watchIndex<Posts>('i')) console.log(value.posts, previous?.posts)
  for await (const { value } of watchIndex('i', { schema })) console.log(value.posts)
  const changes = watchIndex('i', watching)
  const { value, done } = await changes.next()
  if (!done) {
    const change: IndexChange<Posts> = value
    console.log(change)
  }
  await changes.return?.()
  // @ts-expect-error: at first there is no version before
  for await (const { previous } of watchIndex<Posts>('i')) console.log(previous.posts)
}

const byLock: RecoveryOptions<Posts> = { schema, initial: { posts: [] } }
const restoring: RestoreIndexOptions = { flush: false, timeout: 1000 }

const recovery: RecoverIndexOptions<Posts> = {
  schema,
  rebuild: async (corrupt) => ({ posts: corrupt ? [corrupt.code] : [] }),
  timeout: 1000,
}

export async function recovers() {
  const { action, value, setAside, corrupt }: IndexRecovery<Posts> = await recoverIndex('i', recovery)
  const posts: string[] = value.posts
  console.log(action === 'restored', posts, setAside?.length, corrupt?.issues)
  await withIndexLock('i', (lock) => lock.recover({ ...byLock, timeout: 0 }))
  const { backup = '', setAside: aside }: IndexRestoration = await restoreIndex('i', 1, restoring)
  console.log(aside, (await restoreIndex('i', backup)).written)
  const { value: inferred } = await recoverIndex('i', { schema })
  console.log(inferred.posts.length)
  await atomicIndexUpdate('i', (index) => index ?? { posts: [] }, { schema, onCorrupt: 'recover' })
  await atomicIndexUpdate('i', (index) => index ?? { posts: [] }, {
    schema,
    onCorrupt: ({ code }) => ({ posts: [code] }),
  })
  // @ts-expect-error: there is no other word
  void atomicIndexUpdate('i', (index) => index, { onCorrupt: 'ignore' })
  // @ts-expect-error: that is no index of the schema
  void recoverIndex('i', { schema, rebuild: () => ({ posts: 1 }) })
}

const records: RecordsPatch = { at: '/posts', key: 'slug', records: [{ slug: 'a' }], remove: ['b', 1] }
const pointers: PointerPatch = {
  set: { '/a/b': 1 },
  remove: ['/c'],
  upsert: [records],
  increment: { '/n': 1 },
  append: { '/log': ['x'] },
}
const keys: KeyPatch = { set: { a: 1 }, delete: ['b'] }
const merge: MergePatch = { merge: { a: { b: null } } }
const operations: JsonPatchOperation[] = [
  { op: 'add', path: '/a', value: 1 },
  { op: 'move', from: '/a', path: '/b' },
  { op: 'remove', path: '/b' },
]

export async function patches(): Promise<string[]> {
  const all: IndexPatch[] = [pointers, keys, merge, operations, { set: { '/a': 1 } }, { upsert: records }]
  const made: IndexPatchFunction = async (view: IndexView, { attempt }) => {
    const found: { pointer: string; value: any }[] = view.findAll('/posts', 'slug', attempt)
    const count: number | undefined = view.count('/posts')
    return found[0]
      ? { set: { [found[0].pointer]: view.at('/posts/0') } }
      : count === 0
        ? undefined
        : operations
  }
  await atomicIndexPatch('i', made, { fnTimeout: 100 })
  const applied: { n: number } = applyIndexPatch({ n: 1 }, (view) => ({ set: { '/n': view.at('/n') } }))
  await atomicTransaction('.', (tx) =>
    tx.patch('i', (view) => ({ increment: { '/n': view.count('') ?? 0 } })),
  )
  await atomicTransaction('.', [{ patch: 'i', change: () => undefined }])
  // @ts-expect-error A function that takes its time has no value to return.
  applyIndexPatch(applied, async () => undefined)
  for (const patch of all) await atomicIndexPatch('i', patch, { initial: { log: [] }, numbers: 'lossy' })
  // @ts-expect-error: keys or pointers.
  await atomicIndexPatch('i', { delete: ['a'], remove: ['/a'] })
  // @ts-expect-error: no such operation.
  await atomicIndexPatch('i', [{ op: 'append', path: '/a', value: 1 }])
  const { value } = await atomicTransaction('.', (tx) =>
    tx.patch<Posts>('i', pointers, { initial: { posts: [] } }),
  )
  await atomicTransaction('.', [{ patch: 'i', change: merge, backup: true }])
  return value.value.posts
}

export async function parts(): Promise<unknown> {
  const options: ReadIndexAtOptions = { numbers: 'lossy', fallback: 'backup' }
  const post: { title: string } | undefined = await readIndexAt<{ title: string }>(
    'i',
    '/posts/hello',
    options,
  )
  const names: string[] | undefined = await readIndexKeys('i', '/posts', options)
  for await (const [key, value] of readIndexRecords<[string, number]>('i', null, { numbers: 'lossy' })) {
    if (key.length > value) break
  }
  // @ts-expect-error: a codec needs the whole index.
  await readIndexAt('i', '/a', { codec: {} })
  return [post, names]
}
