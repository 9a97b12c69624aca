// Data of which there is no memory for a copy: the call is refused as Node refuses a buffer that cannot be made, and the process lives on.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

/** Calls with data that are larger than what the process may still allocate. */
async function refused({ require, ...atomic }: Remote, path: string) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const bytes = Buffer.allocUnsafe(300 << 20)
  // One that V8 does not have to put together first.
  const text = bytes.fill('x').toString('latin1')
  // Libuv ends a process that cannot start its threads.
  await Promise.all(
    Array.from({ length: 16 }, () => atomic.atomicWriteAll([{ path: `${path}-${Math.random()}`, data: '' }])),
  )
  const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${size + (250 << 20)}:`])
  const codes: unknown[] = []
  for (const data of [bytes, bytes.buffer, text]) {
    for (const call of [
      () => atomic.atomicWrite(path, data),
      async () => atomic.atomicWriteSync(path, data),
      () => atomic.atomicWriteAll([{ path, data }]),
      async () => {
        const file = await atomic.AtomicFile.open(path)
        await file.write(data).finally(() => file.abort())
      },
    ]) {
      codes.push(
        await call().then(
          () => 'written',
          (error: NodeJS.ErrnoException) => error.code,
        ),
      )
    }
  }
  await atomic.atomicWrite(path, 'small')
  return codes
}

/** A transaction with data of which there is memory for one copy, and not for two. */
async function refusedInTransaction({ require, ...atomic }: Remote, root: string, asList: boolean) {
  const { execFileSync } = require('node:child_process') as typeof import('node:child_process')
  const { readFileSync } = require('node:fs') as typeof import('node:fs')
  const data = Buffer.alloc(150 << 20, 'x')
  await Promise.all(
    Array.from({ length: 16 }, () => atomic.atomicTransaction(root, (tx) => tx.write('file', 'old'))),
  )
  const size = Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
  execFileSync('prlimit', ['--pid', `${process.pid}`, `--as=${size + (250 << 20)}:`])
  const { code, syscall } = await atomic
    .atomicTransaction(root, asList ? [{ write: 'file', data }] : (tx) => tx.write('file', data))
    .then(
      () => ({ code: 'written', syscall: '' }),
      (error: NodeJS.ErrnoException) => error,
    )
  await atomic.atomicTransaction(root, (tx) => tx.write('small', 'small'))
  return [code, syscall]
}

describe('data of which there is no memory for a copy', () => {
  needs('linux', 'prlimit')('is refused, and the process lives on', async ({ dir }) => {
    const child = inProcess(refused, [join(dir, 'file')])
    expect(await child.returned).toStrictEqual(Array(12).fill('ERR_MEMORY_ALLOCATION_FAILED'))
    expect(names(dir).filter((name) => !name.startsWith('file-'))).toStrictEqual(['file'])
  })

  for (const asList of [false, true]) {
    needs('linux', 'prlimit')(
      `is refused by a transaction, ${asList ? 'a list' : 'a function'}, which changes nothing`,
      async ({ dir }) => {
        const child = inProcess(refusedInTransaction, [dir, asList])
        expect(await child.returned).toStrictEqual(['ENOMEM', 'malloc'])
        expect(names(dir)).toStrictEqual(['.atomic', 'file', 'small'])
        expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
      },
    )
  }
})
