// Compiled, never run: doors from other packages.
import {
  type AdapterOptions,
  atomicAdapter,
  atomicAdapterSync,
  JSONFile,
  JSONFilePreset,
  JSONFileSync,
  JSONFileSyncPreset,
  Low,
  LowSync,
} from '@pipeline/atomic/compat/lowdb'
import lockfile, {
  type CheckOptions,
  check,
  checkSync,
  type LockOptions,
  lock,
  lockSync,
  type UnlockOptions,
  unlock,
  unlockSync,
} from '@pipeline/atomic/compat/proper-lockfile'
import { Writer } from '@pipeline/atomic/compat/steno'
import writeFile from '@pipeline/atomic/compat/write-file-atomic'

interface Data {
  posts: string[]
}

export async function doors() {
  const done = await writeFile('a', 'b', { chown: { uid: 1, gid: 1 }, mode: 0o600, fsync: false })
  const nothing = writeFile('a', Buffer.from('b'), 'utf8', (error) => console.log(error?.message))
  writeFile.sync('a', new Uint8Array(1), { tmpfileCreated: (name) => name.length })
  const options: writeFile.Options = { encoding: 'latin1' }
  writeFile('a', 'b', () => {})
  const written = await new Writer(new URL('file:///a')).write('b')
  const adapterOptions: AdapterOptions<Data> = { backup: true, onCorrupt: 'recover' }
  const adapter: JSONFile<Data> = atomicAdapter<Data>('db.json', adapterOptions)
  await adapter.write({ posts: [] })
  const read: Data | null = await new JSONFile<Data>('db.json').read()
  const blocking: Data | null =
    new JSONFileSync<Data>('db.json').read() ?? atomicAdapterSync<Data>('a').read()
  const db: Low<Data> = await JSONFilePreset<Data>('db.json', { posts: [] }, adapterOptions)
  await db.update(({ posts }) => posts.push('a'))
  const sync: LowSync<Data> = JSONFileSyncPreset<Data>('db.json', { posts: [] })
  sync.update(({ posts }) => posts.push('a'))
  const made: [Low<Data>, LowSync<Data>] = [
    new Low<Data>(adapter, { posts: [] }),
    new LowSync<Data>(new JSONFileSync<Data>('db.json'), { posts: [] }),
  ]
  const text: Low<string> = await JSONFilePreset<string>('db.json', '', null)
  const ofAny = <T>(data: T): Promise<Low<T>> => JSONFilePreset<T>('db.json', data)
  await ofAny(text.data)
  const locking: LockOptions = {
    retries: { retries: 5, maxTimeout: 100 },
    stale: 5000,
    onCompromised: () => {},
  }
  const release: () => Promise<void> = await lock('a', locking)
  await lock('b', { retries: [100, 200] })
  await lock('c', { retries: { forever: true, unref: true, maxRetryTime: 1000 } })
  await release()
  await (await lockfile('a'))()
  const [unlocking, checking]: [UnlockOptions, CheckOptions] = [{ realpath: false }, { stale: 5000 }]
  await unlock('a', unlocking)
  await check('a', checking)
  const isLocked: boolean = await check('a', { lockfilePath: 'b' })
  const releaseNow: () => void = lockSync('a', { retries: 0 })
  releaseNow()
  lockfile.unlockSync('a')
  unlockSync('a', { realpath: false })
  const isLockedNow: boolean = checkSync('a', { lockfilePath: 'b' })
  // @ts-expect-error: there is no such mode
  void writeFile('a', 'b', { mode: true })
  // @ts-expect-error: it is not what the file holds
  await adapter.write({ posts: 1 })
  return [done, nothing, options, written, read, blocking, made, isLocked, isLockedNow]
}
