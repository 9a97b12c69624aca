// Compiled, never run: misuse that the types are to find.
import {
  type AtomicError,
  type AtomicErrorCode,
  AtomicFile,
  atomicDirectory,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  IndexLock,
  type UpdateOptions,
  withIndexLock,
} from '@pipeline/atomic'

interface Index {
  documents: Record<string, { title: string }>
}

declare const updateOptions: UpdateOptions<Index>

export function misuse(): void {
  // @ts-expect-error: what is to be done is a function or a list
  void atomicTransaction('root', { write: 'a', data: 'a' })
  // @ts-expect-error: there may be no file
  void atomicTransaction('root', (tx) => tx.update<Index>('i', (index) => index))
  // @ts-expect-error: an operation has its data
  void atomicTransaction('root', [{ write: 'a' }])
  // @ts-expect-error: an operation is one
  void atomicTransaction('root', [{ write: 'a', data: 'a', remove: 'b' }])
  // @ts-expect-error: whether anything is flushed is the whole transaction's
  void atomicTransaction('root', (tx) => tx.write('a', 'a', { flush: false }))
  // @ts-expect-error: build is what fills the directory
  void atomicDirectory('d', { keepPrevious: true })
  // @ts-expect-error: there is one fallback
  void atomicDirectory('d', () => {}, { fallback: 'copy' })
  // @ts-expect-error: a number is neither text nor bytes
  void atomicWrite('a', 1)
  // @ts-expect-error: a file is opened, not made
  void new AtomicFile('a')
  // @ts-expect-error: a number is neither text nor bytes
  void AtomicFile.open('a').then((file) => file.write(1))
  // @ts-expect-error: pipe writes to streams of Node's own kind, pipeTo to this one
  void AtomicFile.open('a').then((file) => process.stdin.pipe(file.writable))
  // @ts-expect-error: a signal is the whole call's
  void atomicWriteAll([{ path: 'a', data: 'a', signal: AbortSignal.timeout(1) }])
  // @ts-expect-error: a file that is written piece by piece is no object
  void AtomicFile.open('a', { ifVersion: 'v' })
  // @ts-expect-error: one version is not that of all entries
  void atomicWriteAll([], { ifVersion: 'v' })
  // @ts-expect-error: appending is not atomic
  void atomicWrite('a', 'a', { flag: 'a' })
  // @ts-expect-error: fn has to return the index
  void atomicIndexUpdate<Index>('i', () => undefined)
  // @ts-expect-error: fn has to return the index
  void atomicIndexUpdate('i', (index) => console.log(index), { initial: {} })
  // @ts-expect-error: fn has to return the index
  void atomicIndexUpdate('i', (index) => index.push(1), { initial: [] })
  // @ts-expect-error: an index is an object or an array
  void atomicIndexUpdate('i', () => 1)
  // @ts-expect-error: an index is an object or an array
  void atomicIndexUpdate<string>('i', () => 'text')
  // @ts-expect-error: an index is an object or an array
  void atomicIndexUpdate('i', (n) => n, { initial: 1 })
  // @ts-expect-error: the index has no such member
  void atomicIndexUpdate<Index>('i', (index) => index.pages, { initial: { documents: {} } })
  // @ts-expect-error: the index has no such member
  void atomicIndexUpdate('i', (index) => ({ n: index.m }), { initial: { n: 0 } })
  // @ts-expect-error: the next index is of another type
  void atomicIndexUpdate('i', () => ({ n: 'one' }), { initial: { n: 0 } })
  // @ts-expect-error: there may be no file
  void atomicIndexUpdate<Index>('i', (index) => index)
  // @ts-expect-error: there may be no file
  void atomicIndexUpdate('i', (index: Index) => index)
  // @ts-expect-error: there may be no file
  void atomicIndexUpdate<Index>('i', (index) => ({ documents: index.documents }), { initial: undefined })
  // @ts-expect-error: these options do not say whether there is an initial index
  void atomicIndexUpdate<Index>('i', (index) => index, updateOptions)
  // @ts-expect-error: that is no such index
  void atomicIndexUpdate<Index>('i', (index) => index, { initial: {} })
  // @ts-expect-error: that is no such index
  void atomicIndexUpdate('i', (index: Index) => index, { initial: {} })
  // @ts-expect-error: a timeout is a number of milliseconds
  void atomicIndexUpdate('i', (index) => index, { initial: {}, timeout: '1s' })
  // @ts-expect-error: there is no such kind of numbers
  void atomicIndexUpdate('i', (index) => index, { initial: {}, numbers: 'precise' })
  // @ts-expect-error: an update has no such option
  void atomicIndexUpdate('i', (index) => index, { initial: {}, ifChanged: true })
  // @ts-expect-error: where the index is was said when it was locked
  void withIndexLock('i', (lock) => lock.update((index) => index, { network: 'allow' }))
  // @ts-expect-error: there may be no file
  void withIndexLock('i', (lock) => lock.update<Index>((index) => index))
  // @ts-expect-error: an index is an object or an array
  void withIndexLock('i', (lock) => lock.write('text'))
  // @ts-expect-error: there is a lock for each path
  void withIndexLock(['a', 'b'], ([a, b, c]) => [a, b, c])
  // @ts-expect-error: a lock is acquired, not made
  void new IndexLock('i')
  // @ts-expect-error: there is no class of that name
  void (new Error('x') instanceof AtomicError)
  // @ts-expect-error: an error has no such field
  void atomicWrite('a', 'a').catch((error: AtomicError) => error.comitted)
  // @ts-expect-error: there is no such code
  const code: AtomicErrorCode = 'ERR_ATOMIC_VERFY'
  console.log(code)
}
