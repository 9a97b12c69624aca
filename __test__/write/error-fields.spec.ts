// What an error has beside its message, each field of which `AtomicError` declares.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  type AtomicError,
  AtomicFile,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteAll,
  copyDirectoryAtomic,
} from '@pipeline/atomic'
import ts from 'typescript'
import { describe, expect } from 'vitest'
import { needs } from '../helpers/needs'
import { gate, rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { Writer } from '../helpers/trace'

/** The fields of every error that this file has seen. */
const seen = new Set<string>()

/** All that an error has of its own, but for its message and its stack. */
function fieldsOf(error: AtomicError): Partial<AtomicError> {
  const names = Object.getOwnPropertyNames(error).filter((name) => name !== 'message' && name !== 'stack')
  for (const name of names) seen.add(name)
  return Object.fromEntries(names.map((name) => [name, error[name as keyof AtomicError]]))
}

type Case = [
  what: string,
  call: (dir: string) => Promise<unknown>,
  fields: (dir: string) => Partial<AtomicError>,
]

const cases: Case[] = [
  [
    'a system call failed',
    (dir) => atomicWrite(join(dir, 'none/file'), '', { mkdir: false }),
    (dir) => ({ errno: -2, code: 'ENOENT', syscall: 'open', path: join(dir, 'none/file') }),
  ],
  [
    'a call of two paths failed',
    (dir) => copyDirectoryAtomic(dir, join(dir, 'inside')),
    (dir) => ({ errno: -22, code: 'EINVAL', syscall: 'cp', path: dir, dest: join(dir, 'inside') }),
  ],
  [
    'an entry failed',
    (dir) => {
      const entry = (name: string) => ({ path: join(dir, name), data: '', mkdir: false })
      return atomicWriteAll([entry('file'), entry('none/file')])
    },
    (dir) => ({ errno: -2, code: 'ENOENT', syscall: 'open', path: join(dir, 'none/file'), entry: 1 }),
  ],
  [
    'two entries name the same file',
    (dir) => atomicWriteAll(['file', './file'].map((name) => ({ path: `${dir}/${name}`, data: '' }))),
    (dir) => ({ code: 'ERR_ATOMIC_DUPLICATE', path: `${dir}/./file`, entry: 1, duplicateOf: 0 }),
  ],
  [
    'an index is not JSON',
    (dir) => {
      writeFileSync(join(dir, 'index'), '{\n  "a": 1,\n}')
      return atomicIndexUpdate(join(dir, 'index'), (index) => index)
    },
    (dir) => ({
      ...{ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: join(dir, 'index') },
      ...{ offset: 12, line: 3, column: 1 },
    }),
  ],
  [
    'an index was not to be had in time',
    async (dir) => {
      const { open: letGo, opened } = gate()
      const { open: enter, opened: entered } = gate()
      const holder = atomicIndexUpdate(join(dir, 'index'), async () => {
        enter()
        await opened
        return {}
      })
      await entered
      const late = atomicIndexUpdate(join(dir, 'index'), (index) => index, { timeout: 1 })
      return late.finally(() => {
        letGo()
        return holder
      })
    },
    (dir) => ({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
      path: join(dir, 'index'),
      lock: join(dir, '.index.lock'),
      holder: { pid: process.pid, host: hostname(), since: expect.any(Date) },
    }),
  ],
  [
    'what fn returned is no index',
    (dir) => atomicIndexUpdate(join(dir, 'index'), () => 1 as never),
    () => ({ code: 'ERR_INVALID_RETURN_VALUE' }),
  ],
  [
    'what fn returned is not JSON, with what JSON.stringify threw',
    (dir) => atomicIndexUpdate(join(dir, 'index'), () => ({ a: 1n })),
    () => ({ code: 'ERR_INVALID_RETURN_VALUE', cause: expect.any(TypeError) }),
  ],
  ['an argument is wrong', () => atomicWrite(1 as never, ''), () => ({ code: 'ERR_INVALID_ARG_TYPE' })],
  [
    'an argument turns out to be wrong on the worker',
    (dir) => atomicWriteAll([{ path: join(dir, 'file'), data: '\ud800' }]),
    () => ({ code: 'ERR_INVALID_ARG_VALUE', entry: 0 }),
  ],
  [
    'the signal was aborted',
    (dir) => atomicWrite(join(dir, 'file'), '', { signal: AbortSignal.abort('the reason') }),
    () => ({ name: 'AbortError', code: 'ABORT_ERR', cause: 'the reason' }),
  ],
  [
    'a method comes too late',
    async (dir) => {
      const file = await AtomicFile.open(join(dir, 'file'))
      await file.commit()
      await file.commit()
    },
    () => ({ code: 'ERR_INVALID_STATE' }),
  ],
]

describe('an error has these fields when', () => {
  for (const [what, call, fields] of cases) {
    test(what, async ({ dir }) => {
      expect(fieldsOf(await rejection(call(dir)))).toStrictEqual(fields(dir))
    })
  }

  needs('linux')('there is something else than a file', async ({ dir }) => {
    const path = join(dir, 'fifo')
    execFileSync('mkfifo', [path])
    const error = await rejection(atomicWrite(path, ''))
    expect(fieldsOf(error)).toStrictEqual({ code: 'ERR_ATOMIC_NOT_REGULAR', path })
  })

  const traced = needs('strace that may attach')

  traced('what is read back differs', async ({ dir }) => {
    const path = join(dir, 'file')
    const writer = await Writer.start()
    const { error } = await writer.traced(path, 'data', {}, 'pread64:poke_exit=@arg2=58:when=1')
    const { message, ...fields } = error ?? { message: '' }
    const present = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
    expect(present).toStrictEqual({ code: 'ERR_ATOMIC_VERIFY', path, offset: 0 })
    expect(message).toContain('offset 0')
  })

  traced('it came after a rename', async ({ dir }) => {
    for (let at = 0; at < 3; at++) writeFileSync(join(dir, `${at}`), 'old')
    const { returned } = await systemCalls(
      async ({ atomicWriteAll }, dir) => {
        const entries = Array.from({ length: 3 }, (_, at) => ({ path: `${dir}/${at}`, data: 'new' }))
        return atomicWriteAll(entries).then(
          () => ({}),
          (error) => ({ ...error }),
        )
      },
      [dir],
      { trace: ['renameat', 'renameat2'], inject: ['renameat:error=EIO:when=3'] },
    )
    for (const name of Object.keys(returned)) seen.add(name)
    expect(returned).toStrictEqual({
      ...{ errno: -5, code: 'EIO', syscall: 'rename', path: join(dir, '2'), dest: join(dir, '2') },
      ...{ entry: 2, committed: true, replaced: 2 },
    })
    expect(readFileSync(join(dir, '1'), 'utf8')).toBe('new')
  })
})

test('AtomicError declares all of these fields', () => {
  const known = declared()
  expect([...seen].filter((name) => !known.includes(name))).toStrictEqual([])
})

/** The members of `AtomicError`, with those that it has of `NodeJS.ErrnoException` and `Error`. */
function declared(): string[] {
  const path = join(import.meta.dirname, '../../index.d.ts')
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest)
  return file.statements
    .filter(ts.isInterfaceDeclaration)
    .filter(({ name }) => name.text === 'AtomicError')
    .flatMap(({ members }) => members.map((member) => (member.name as ts.Identifier).text))
    .concat('name', 'errno', 'syscall', 'path')
}
