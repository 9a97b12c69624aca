// A path that begins with s3://, az:// or gs:// is never a file: it goes to the peer, or is refused with what to do.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test } from '../helpers/cloud'
import { names } from '../helpers/files'

describe('atomicWrite', () => {
  test('hands all arguments to the peer, however the object is named', async ({ project }) => {
    project.installPeer()
    const calls = await project.run(async ({ atomicWrite, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const urls = [
        's3://b/k',
        'az://c/k',
        'gs://b/k',
        'S3://b/k',
        new URL('s3://b/a%20b'),
        Buffer.from('s3://b/ü'),
      ]
      for (const url of urls) await atomicWrite(url, 'data', { ifVersion: '7' } as object)
      await atomicWrite('s3://b/plain', 'data')
      return fake.calls.map(([name, url, ...rest]: unknown[]) => [name, typeof url, String(url), ...rest])
    })
    const rest = ['data', { ifVersion: '7' }]
    expect(calls).toEqual([
      ['atomicWrite', 'string', 's3://b/k', ...rest],
      ['atomicWrite', 'string', 'az://c/k', ...rest],
      ['atomicWrite', 'string', 'gs://b/k', ...rest],
      ['atomicWrite', 'string', 'S3://b/k', ...rest],
      ['atomicWrite', 'object', 's3://b/a%20b', ...rest],
      ['atomicWrite', 'string', 's3://b/ü', ...rest],
      ['atomicWrite', 'string', 's3://b/plain', 'data', null],
    ])
    expect(names(project.folder)).toEqual([])
  })

  test('passes on what the peer resolves and rejects with, the very same', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicWrite, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const result = await atomicWrite('s3://b/k', 'data')
      fake.failure = { any: 'value' }
      const reason = await atomicWrite('s3://b/k', 'data').catch((reason) => reason)
      return [result, reason === fake.failure]
    })
    expect(seen).toEqual([{ by: 'atomicWrite' }, true])
  })

  test('works in a worker thread and in a module', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ addon, require }) => {
      const { Worker } = require('node:worker_threads')
      const { once } = require('node:events')
      const code = `
        const { parentPort } = require('node:worker_threads')
        const write = import(${JSON.stringify(require.resolve(addon))})
        write.then(({ atomicWrite }) => atomicWrite('s3://b/k', 'data')).then((result) => parentPort.postMessage(result))`
      return Promise.all([0, 1].map(() => once(new Worker(code, { eval: true }), 'message')))
    })
    expect(seen).toEqual([[{ by: 'atomicWrite' }], [{ by: 'atomicWrite' }]])
  })
})

describe('atomicWriteAll', () => {
  test('hands all entries of any iterable to the peer', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicWriteAll }) => {
      const entries = ['s3://b/1', 'az://c/2'].map((path) => ({ path, data: path }))
      async function* later() {
        yield* entries
      }
      const options = { ifChanged: true }
      return [
        await atomicWriteAll(entries, options),
        await atomicWriteAll(new Set(entries)),
        await atomicWriteAll(later()),
        await atomicWriteAll(entries.map(async (entry) => entry) as never),
      ]
    })
    const entries = ['s3://b/1', 'az://c/2'].map((path) => ({ path, data: path }))
    expect(seen).toEqual([entries, entries, entries, entries])
  })

  test('refuses entries of both kinds, and closes the iterator', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicWriteAll }) => {
      const outcomes = []
      for (const paths of [
        ['s3://b/1', 'file', 's3://b/2'],
        ['file', 's3://b/1', 'other'],
      ]) {
        let closed = false
        function* entries() {
          try {
            for (const path of paths) yield { path, data: 'data' }
          } finally {
            closed = true
          }
        }
        const { code, message, path, entry } = await atomicWriteAll(entries()).catch((error) => error)
        outcomes.push({ code, message, path, entry, closed })
      }
      return outcomes
    })
    const message = (path: string) =>
      'ERR_ATOMIC_UNSUPPORTED: the entries of one call are all files or all objects in stores: ' +
      `call atomicWriteAll once for each, '${path}'`
    const code = 'ERR_ATOMIC_UNSUPPORTED'
    expect(seen).toEqual([
      { code, message: message('file'), path: 'file', entry: 1, closed: true },
      { code, message: message('s3://b/1'), path: 's3://b/1', entry: 1, closed: true },
    ])
    expect(names(project.folder)).toEqual([])
  })

  test('closes an iterator that the peer did not ask for an entry', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicWriteAll, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      fake.failure = new Error('refused')
      let closed = 0
      async function* entries() {
        try {
          yield { path: 's3://b/1', data: '' }
        } finally {
          closed++
        }
      }
      const { message } = await atomicWriteAll(entries()).catch((error) => error)
      return [message, closed]
    })
    expect(seen).toEqual(['refused', 1])
  })

  test('does not wait for an iterator that is at work on an entry when the peer gives up', async ({
    project,
  }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicWriteAll, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const first = { path: 's3://b/1', data: '' }
      const never = new Promise<never>(() => {})
      let closed = 0
      async function* generator() {
        yield first
        await never
      }
      const iterator = (next: () => unknown) => {
        const own = { next, return: () => closed++ }
        return { [Symbol.asyncIterator]: () => own }
      }
      let step = 0
      const asked = iterator(() => (step++ === 0 ? { value: first, done: false } : never))
      const outcomes = []
      for (const entries of [generator(), asked, [first, never]]) {
        const caller = new AbortController()
        const aborted = new Promise((_, reject) => {
          caller.signal.addEventListener('abort', () => reject(caller.signal.reason))
        })
        fake.writeAll = async (entries: AsyncGenerator) => {
          await entries.next()
          const next = entries.next()
          setImmediate(() => caller.abort('enough'))
          await Promise.race([next, aborted])
        }
        outcomes.push(
          await atomicWriteAll(entries as never, { signal: caller.signal }).catch((error) => error),
        )
      }
      return [outcomes, closed]
    })
    expect(seen).toEqual([Array(3).fill('enough'), 1])
  })
})

test('what only file systems have is refused, with what to do instead', async ({ project }) => {
  project.installPeer()
  const seen = await project.run(async (atomic) => {
    const url = 's3://b/k'
    const none = () => {}
    const calls: [string, Promise<unknown>][] = [
      ['atomicDirectory', atomic.atomicDirectory(url, none)],
      ['atomicDirectory', atomic.atomicDirectory('local', none, { keepPrevious: url })],
      ['copyDirectoryAtomic', atomic.copyDirectoryAtomic('local', url)],
      ['copyDirectoryAtomic', atomic.copyDirectoryAtomic(url, 'local')],
      ['AtomicFile.open', atomic.AtomicFile.open(url)],
      ['atomicTransaction', atomic.atomicTransaction(url, none)],
      ['atomicTransaction', atomic.atomicTransaction('root', (tx) => tx.write(url, 'data'))],
      ['beginTransaction', atomic.beginTransaction(url)],
      ['snapshotRead', atomic.snapshotRead(url, ['a'])],
      ['snapshotRead', atomic.snapshotRead('root', [url])],
      ['snapshotReadIndex', atomic.snapshotReadIndex(url, ['a'])],
      ['recover', atomic.recover(url)],
      ['backup', atomic.atomicIndexUpdate('local', (index) => index, { backup: url, initial: {} })],
    ]
    const outcomes = []
    for (const [name, call] of calls) {
      const { code, message, path }: any = await call.catch((error) => error)
      outcomes.push([name, code, path, message])
    }
    return outcomes
  })
  const says = (name: string, instead: string) => [
    name,
    'ERR_ATOMIC_UNSUPPORTED',
    's3://b/k',
    `ERR_ATOMIC_UNSUPPORTED: ${instead}, 's3://b/k'`,
  ]
  const trees =
    'only file systems have directories that can be exchanged; in an object store atomicPublish replaces all objects below ' +
    'a prefix at once'
  const transactions =
    'transactions are for files; in an object store atomicPublish replaces all objects below a prefix at once, readRelease ' +
    'reads them, and atomicIndexUpdate changes one index'
  const inside =
    'a transaction changes files below its root; change the object after it, with atomicWrite or atomicIndexUpdate'
  expect(seen).toEqual([
    ...Array(2).fill(says('atomicDirectory', trees)),
    ...Array(2).fill(says('copyDirectoryAtomic', trees)),
    says('AtomicFile.open', 'an object is written as a whole; pass its content to atomicWrite'),
    says('atomicTransaction', transactions),
    says('atomicTransaction', inside),
    says('beginTransaction', transactions),
    says('snapshotRead', transactions),
    says('snapshotRead', inside),
    says('snapshotReadIndex', transactions),
    says('recover', transactions),
    says('backup', 'the backup of a file is a file; copy it to the store after the update, with atomicWrite'),
  ])
  expect(names(project.folder)).toEqual([])
})

describe('paths that look like those of objects', () => {
  // Windows has no names with a colon.
  test.skipIf(process.platform === 'win32')('are files, if they begin with ./', async ({ project }) => {
    await project.run(({ atomicWrite }) =>
      Promise.all([atomicWrite('./s3://b/k', 'local'), atomicWrite('s3:k', 'a name with a colon')]),
    )
    expect(readFileSync(join(project.folder, 's3:/b/k'), 'utf8')).toBe('local')
    expect(names(project.folder)).toEqual(['s3:', 's3:k'])
  })

  test('are refused with one slash, which is what path.join leaves of two', async ({ project }) => {
    mkdirSync(join(project.folder, 's3:'))
    const seen = await project.run(async ({ atomicWrite, require }) => {
      const path = require('node:path').posix.join('s3://b', 'k')
      const { code, message } = await atomicWrite(path, 'data').catch((error) => error)
      return [code, message]
    })
    expect(seen).toEqual([
      'ERR_INVALID_ARG_VALUE',
      "The argument 'path' must be a URL with two slashes, such as s3://bucket/key (path.join makes one of them), or " +
        "begin with ./ for a local directory of that name. Received type string ('s3:/b/k')",
    ])
    expect(names(join(project.folder, 's3:'))).toEqual([])
  })

  test('are refused with another protocol, and its password is not repeated', async ({ project }) => {
    const seen = await project.run(async ({ atomicWrite, readIndex }) => {
      const urls = [
        'gcs://b/k',
        'https://user:secret@b.example/k?sig=secret',
        'ftp://h/p#secret',
        'file:///tmp/k',
        Buffer.from('s3a://b/k'),
      ]
      const calls = [...urls.map((url) => atomicWrite(url, 'data')), readIndex('azure://c/k')]
      return Promise.all(calls.map((call) => call.catch(({ code, message }) => [code, message])))
    })
    const says = (advice: string, url: string) => [
      'ERR_INVALID_ARG_VALUE',
      `The argument 'path' must be a path, or a URL that is known: ${advice}. A local directory of that name begins ` +
        `with ./. Received '${url}'`,
    ]
    const stores = 'objects in stores begin with s3://, az:// or gs:// (the option `endpoint` names a server)'
    expect(seen).toEqual([
      says(stores, 'gcs://b/k'),
      says(stores, 'https://b.example/k'),
      says(stores, 'ftp://h/p'),
      says('pass a file: URL as an instance of URL', 'file:///tmp/k'),
      says(stores, 's3a://b/k'),
      says(stores, 'azure://c/k'),
    ])
    expect(names(project.folder)).toEqual([])
  })
})
