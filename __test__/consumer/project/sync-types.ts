// Compiled, never run: calls that block.
import {
  acquireIndexLockSync,
  atomicWriteSync,
  type IndexLock,
  type IndexLockState,
  type IndexRead,
  inspectIndexLockSync,
  type ReadIndexSyncOptions,
  readIndexSync,
  type WriteResult,
  type WriteSyncOptions,
} from '@pipeline/atomic'

interface Config {
  port: number
}

export function configure(): number {
  const options: WriteSyncOptions = { mode: 0o600, verify: 'device', fallback: 'in-place' }
  const { durable }: WriteResult = atomicWriteSync('state.json', new Uint8Array(1), options)
  atomicWriteSync(new URL('file:///tmp/a'), 'text', 'latin1')
  const reading: ReadIndexSyncOptions<Config> = { initial: { port: 80 }, fallback: 'backup' }
  const { value, source }: IndexRead<Config> = readIndexSync<Config>('config.json', reading)
  // @ts-expect-error: nothing can abort a thread that is blocked
  atomicWriteSync('a', '', { signal: new AbortController().signal })
  // @ts-expect-error: files have no versions
  atomicWriteSync('a', '', { ifVersion: '1' })
  // @ts-expect-error: it is a promise's
  void readIndexSync('a').then
  const lock: IndexLock = acquireIndexLockSync('i', { mkdir: false, network: 'allow' })
  const { held, holder }: IndexLockState = inspectIndexLockSync(Buffer.from('i'))
  lock.releaseSync()
  acquireIndexLockSync('i', { timeout: 0 })[Symbol.dispose]()
  // @ts-expect-error: it does not wait
  acquireIndexLockSync('i', { timeout: 1000 })
  // @ts-expect-error: one index
  acquireIndexLockSync(['a', 'b'])
  console.log(held, holder?.pid)
  return durable && source === 'file' ? (value?.port ?? 0) : 0
}
