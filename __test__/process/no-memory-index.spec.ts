// Files for which there is no memory, to be read or to be made anew: the call is refused, the file stays, and the process lives on.

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

/** What calls fail with in a process that may have 250 MiB more than it has. */
async function failing({ require, ...atomic }: Remote, dir: string, what: string) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const text = Buffer.alloc(150 << 20, 'x').toString('latin1')
  const codec = { parse: () => ({}), stringify: () => text }
  // Libuv ends a process that cannot start its threads.
  const start = () => atomic.atomicTransaction(dir, (tx) => tx.write('small', ''))
  await Promise.all(Array.from({ length: 16 }, start))
  const small = `${dir}/small.json`
  for (let n = 0; n < 4; n++) await atomic.atomicIndexPatch(small, { set: { '/n': n } }, { initial: {} })
  await atomic.readIndexAt(small, '/n')
  const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${size + (250 << 20)}:`])
  const path = `${dir}/file`
  const calls: Record<string, Record<string, () => unknown>> = {
    read: {
      readIndex: () => atomic.readIndex(path),
      'readIndex with a backup': () => atomic.readIndex(path, { fallback: 'backup' }),
      'a backup, and an older one': () => atomic.readIndex(`${dir}/broken`, { fallback: 'backup' }),
      readIndexSync: async () => atomic.readIndexSync(path),
      readIndexAt: () => atomic.readIndexAt(path, ''),
      readIndexKeys: () => atomic.readIndexKeys(path, ''),
      recoverIndex: () => atomic.recoverIndex(path),
      'recoverIndex of a broken one': () => atomic.recoverIndex(`${dir}/broken`),
      update: () => atomic.atomicIndexUpdate(path, (index) => index),
      patch: () => atomic.atomicIndexPatch(path, { set: { '/a': 1 } }),
      'lock.read': () => atomic.withIndexLock(path, (lock) => lock.read()),
      watchIndex: () => atomic.watchIndex(path).next(),
      snapshotRead: () => atomic.snapshotRead(dir, ['file']),
      'tx.read': () => atomic.atomicTransaction(dir, async (tx) => void (await tx.read('file'))),
      'tx.update': () => atomic.atomicTransaction(dir, (tx) => void tx.update('file', (index) => index)),
      readLines: () => atomic.readLines(path).next(),
    },
    make: {
      patch: () => atomic.atomicIndexPatch(path, { set: { '/b': 1 } }),
      'patches at once': () =>
        Promise.all([1, 2].map((n) => atomic.atomicIndexPatch(path, { set: { [`/${n}`]: n } }))),
      'tx.patch': () => atomic.atomicTransaction(dir, (tx) => void tx.patch('file', { set: { '/b': 1 } })),
      readIndexAt: () => atomic.readIndexAt(path, '/a'),
      'a codec whose text has a mark': () =>
        atomic.atomicIndexUpdate(`${dir}/marked`, () => ({ n: 1 }), { codec }),
    },
  }
  const failures: Record<string, unknown> = {}
  for (const [name, call] of Object.entries(calls[what] ?? {})) {
    failures[name] = await Promise.resolve(call()).then(
      () => 'done',
      ({ code, syscall, message }: NodeJS.ErrnoException) => [code, syscall, /let the process/.test(message)],
    )
  }
  await atomic.atomicWrite(`${dir}/after`, 'small')
  return failures
}

/** What becomes of an index of 64 MiB with an escape in it of which an update changes the last letter, where the process may have so many MiB more than it has. */
async function changing({ require, ...atomic }: Remote, dir: string, most: number[]) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { closeSync, openSync, readFileSync, readSync, writeFileSync } =
    require('node:fs') as typeof import('node:fs')
  await Promise.all(
    Array.from({ length: 16 }, () => atomic.atomicTransaction(dir, (tx) => tx.write('small', ''))),
  )
  const limit = (limit: number | string) =>
    execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${limit}:`])
  const size = () => Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  const path = `${dir}/file`
  const length = 64 << 20
  const wrong: unknown[] = []
  for (const mebibytes of most) {
    writeFileSync(
      path,
      Buffer.concat([Buffer.from('{"a":"\\n'), Buffer.alloc(length, 'x'), Buffer.from('"}')]),
    )
    const change = (index?: { a: string }) => {
      const a = `${index?.a.slice(0, -1)}y`
      limit(size() + (mebibytes << 20))
      return { a }
    }
    const told = await atomic.atomicIndexUpdate(path, change).then(
      ({ written }) => written,
      ({ code }) => code,
    )
    limit('unlimited')
    const fd = openSync(path, 'r')
    const last = Buffer.alloc(1)
    readSync(fd, last, 0, 1, length + 7)
    closeSync(fd)
    const isRight =
      String(last) === 'y' ? told === true : told === 'ENOMEM' || told === 'ERR_MEMORY_ALLOCATION_FAILED'
    if (!isRight) wrong.push([mebibytes, told, String(last)])
  }
  return wrong
}

/** What becomes of patches of an indented index of 64 MiB, where the process may have so many MiB more than it has. */
async function patching({ require, ...atomic }: Remote, dir: string, most: number[], patch: any) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync, writeFileSync } = require('node:fs') as typeof import('node:fs')
  const start = () => atomic.atomicTransaction(dir, (tx) => tx.write('small', ''))
  await Promise.all(Array.from({ length: 16 }, start))
  const limit = (limit: number | string) =>
    execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${limit}:`])
  const path = `${dir}/file`
  const outcomes = new Set<unknown>()
  for (const mebibytes of most) {
    writeFileSync(path, JSON.stringify({ a: 'x'.repeat(64 << 20) }, null, 8))
    const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
    limit(size + (mebibytes << 20))
    const told = await atomic.atomicIndexPatch(path, patch).then(
      () => 'done',
      ({ code }) => code,
    )
    limit('unlimited')
    outcomes.add(told)
  }
  return [...outcomes].sort()
}

const refused = ['ENOMEM', 'malloc', true]

describe('a file for which there is no memory', () => {
  needs('linux', 'prlimit')('is not read, and no older one is taken for it', async ({ dir }) => {
    for (const name of ['file', 'broken.backup']) {
      writeFileSync(join(dir, name), '')
      truncateSync(join(dir, name), 300 << 20)
    }
    writeFileSync(join(dir, 'broken'), '{')
    for (const name of ['file.backup', 'broken.backup.1']) writeFileSync(join(dir, name), '{}')
    const before = statSync(join(dir, 'file'))
    const failures = await inProcess(failing, [dir, 'read']).returned
    expect(Object.keys(failures)).toHaveLength(16)
    for (const [name, failure] of Object.entries(failures)) expect([name, failure]).toEqual([name, refused])
    expect(statSync(join(dir, 'file'))).toEqual({
      ...before,
      atime: expect.anything(),
      atimeMs: expect.anything(),
    })
    expect(readFileSync(join(dir, 'broken'), 'utf8')).toBe('{')
    expect(names(dir).filter((name) => /corrupt|lock|tmp/.test(name))).toEqual([])
  })

  needs('linux', 'prlimit')('is not made anew', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, `{"a":"${'x'.repeat(150 << 20)}"}`)
    writeFileSync(join(dir, 'marked'), '\ufeffold')
    const failures = await inProcess(failing, [dir, 'make']).returned
    expect(Object.keys(failures)).toHaveLength(5)
    for (const [name, failure] of Object.entries(failures)) expect([name, failure]).toEqual([name, refused])
    expect(statSync(file).size).toBe((150 << 20) + 8)
    expect(readFileSync(join(dir, 'marked'), 'utf8')).toBe('\ufeffold')
    expect(names(dir).filter((name) => /corrupt|lock|tmp/.test(name))).toEqual([])
  })

  needs('linux', 'prlimit')(
    'an update is written or refused: what it has changed is not taken for the same',
    async ({ dir }) => {
      const most = Array.from({ length: 5 }, (_, n) => 60 + n * 60)
      expect(await inProcess(changing, [dir, most]).returned).toEqual([])
    },
  )

  const lines = Array.from({ length: 2000 }, () => ({}))
  const patches: [string, object][] = [
    ['adds a line', { set: { '/k': 1 } }],
    ['adds many lines, each with an indent', { set: { '/k': lines } }],
    ['copies a value', [{ op: 'copy', from: '/a', path: '/k' }]],
    ['moves a value', [{ op: 'move', from: '/a', path: '/k' }]],
  ]
  for (const [what, value] of patches) {
    needs('linux', 'prlimit')(`a patch that ${what} is made or refused`, async ({ dir }) => {
      const most = [10, 50, 90, 130, 170, 210, 250, 1000]
      expect(await inProcess(patching, [dir, most, value]).returned).toEqual(['ENOMEM', 'done'])
    })
  }
})
