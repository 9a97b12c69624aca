// Files for which there is no memory, to be read or to be made anew: the call is refused, the file stays, and the process lives on.

import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IndexPatch } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type Main, type Remote } from '../helpers/processes'

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

/** The function of a call that begins when the process may have `mebibytes` more than it has. */
type Limited = [dir: string, mebibytes: number]

/** Changes the last letter of an index of 32 MiB with an escape in it. */
async function changing({ require, ...atomic }: Remote, ...[dir, mebibytes]: Limited) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const start = () => atomic.atomicTransaction(dir, (tx) => tx.write('small', ''))
  await Promise.all(Array.from({ length: 16 }, start))
  const change = (index?: { a: string }) => {
    const a = `${index?.a.slice(0, -1)}y`
    const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
    execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${size + (mebibytes << 20)}:`])
    return { a }
  }
  return atomic.atomicIndexUpdate(`${dir}/file`, change).then(
    ({ written }) => (written ? 'done' : 'the same'),
    ({ code }) => `${code}`,
  )
}

/** Patches an indented index of 32 MiB. */
async function patching(
  { require, ...atomic }: Remote,
  ...[dir, mebibytes, patch]: [...Limited, IndexPatch]
) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const start = () => atomic.atomicTransaction(dir, (tx) => tx.write('small', ''))
  await Promise.all(Array.from({ length: 16 }, start))
  const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${size + (mebibytes << 20)}:`])
  return atomic.atomicIndexPatch(`${dir}/file`, patch).then(
    () => 'done',
    ({ code }) => `${code}`,
  )
}

/**
 * What a process has told. JavaScript's engine ends one where it has no memory for itself, which nobody can catch, and so does Rust where
 * there is none for so little as a part of a mebibyte.
 */
async function told<A extends unknown[] | []>(main: Main<A>, args: A) {
  return inProcess(main, args).returned.catch((error) => {
    const end =
      /heap out of memory|Allocation failed|Fatal process out of memory|std::bad_alloc|memory allocation of \d{1,6} bytes failed/
    if (end.test(error.message)) return 'ended'
    throw error
  }) as Promise<string>
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
    for (const part of ['{"a":"', Buffer.alloc(150 << 20, 'x'), '"}']) appendFileSync(file, part)
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
      const file = join(dir, 'file')
      const old = Buffer.concat([Buffer.from('{"a":"\\n'), Buffer.alloc(32 << 20, 'x'), Buffer.from('"}')])
      const outcomes = new Set<string>()
      for (const mebibytes of [30, 60, 90, 120, 150, 1000]) {
        writeFileSync(file, old)
        const outcome = await told(changing, [dir, mebibytes])
        outcomes.add(outcome)
        const isChanged = readFileSync(file).at(-3) === 'y'.charCodeAt(0)
        const refusal = /^(ENOMEM|ERR_MEMORY_ALLOCATION_FAILED|ended)$/
        expect(outcome, `${mebibytes} MiB more`).toMatch(isChanged ? 'done' : refusal)
      }
      expect(outcomes.size).toBeGreaterThan(1)
    },
  )

  const lines = Array.from({ length: 2000 }, () => ({}))
  const patches: [string, IndexPatch][] = [
    ['adds a line', { set: { '/k': 1 } }],
    ['adds many lines, each with an indent', { set: { '/k': lines } }],
    ['copies a value', [{ op: 'copy', from: '/a', path: '/k' }]],
    ['moves a value', [{ op: 'move', from: '/a', path: '/k' }]],
  ]
  for (const [what, patch] of patches) {
    needs('linux', 'prlimit')(`a patch that ${what} is made or refused`, async ({ dir }) => {
      const [start, end] = JSON.stringify({ a: '|' }, null, 8).split('|') as [string, string]
      const old = Buffer.concat([Buffer.from(start), Buffer.alloc(32 << 20, 'x'), Buffer.from(end)])
      const outcomes = new Set<string>()
      for (const mebibytes of [10, 25, 45, 65, 85, 105, 125, 1000]) {
        writeFileSync(join(dir, 'file'), old)
        outcomes.add(await told(patching, [dir, mebibytes, patch]))
      }
      outcomes.delete('ended')
      expect([...outcomes].sort()).toEqual(['ENOMEM', 'done'])
    })
  }
})
