// Where freeing a replaced file takes long, it is freed a moment after the answer. Its space is not lost.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect } from 'vitest'
import { mounted, needs, tmpfs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

describe('a replaced file', () => {
  /** Three times each of them, those of one time at once. What is freed late is freed before the next time: else it may be so after the next rename. */
  const replace = async ({ atomicWrite, until, openBelow }: Remote, dir: string, files: string[]) => {
    for (const text of ['1', '2', '3']) {
      await Promise.all(files.map((file) => atomicWrite(file, text)))
      await until(() => openBelow(dir).length === 0)
    }
  }
  const replaceAll = async ({ atomicWriteAll, until, openBelow }: Remote, dir: string, files: string[]) => {
    for (const data of ['1', '2', '3']) {
      await atomicWriteAll(files.map((path) => ({ path, data })))
      await until(() => openBelow(dir).length === 0)
    }
  }

  for (const { how, names, write } of [
    { how: 'alone', names: ['a'], write: replace },
    { how: 'with others that share the flush', names: ['a', 'b', 'c'], write: replace },
    { how: 'in a batch', names: ['a', 'b', 'c'], write: replaceAll },
  ]) {
    needs('strace that may attach')(
      `is freed after the flush of its directory, which would wait behind that: ${how}`,
      async ({ dir }) => {
        const files = names.map((name) => join(dir, name))
        for (const file of files) writeFileSync(file, '0')
        const { calls } = await systemCalls(write, [dir, files], {
          trace: ['renameat', 'fsync', 'close'],
          // Freeing seems slow, from the second time on, and so do flushes.
          inject: ['renameat:delay_enter=20000', 'fsync:delay_enter=2000'],
        })
        const freed = calls.flatMap(({ name, args, began }) => {
          const file = /\/([abc])>?\s*\(deleted\)/.exec(args)?.[1]
          return name === 'close' && file ? [{ file, began }] : []
        })
        // The first one of all was freed by its rename, and so were those of that moment.
        expect(freed.length).toBeGreaterThanOrEqual(2 * names.length)
        for (const { file, began } of freed) {
          const before = calls.filter(({ ended }) => ended < began)
          const renamed = before
            .filter(({ name, args }) => name === 'renameat' && args.endsWith(`"${file}"`))
            .at(-1)
          const flushed = before
            .filter(({ name, args }) => name === 'fsync' && args.includes(`<${dir}>`))
            .at(-1)
          expect(flushed?.began).toBeGreaterThan(renamed?.ended ?? Number.NaN)
        }
      },
    )
  }
})

describe('a write that finds the disk full', () => {
  /** Three times the same file, of which the disk has room for two versions. */
  const replace = async ({ atomicWrite }: Remote, file: string, size: number) => {
    const outcomes: string[] = []
    for (const fill of [1, 2, 3]) {
      const write = atomicWrite(file, Buffer.alloc(size, fill))
      outcomes.push(
        await write.then(
          () => 'written',
          ({ code }) => code,
        ),
      )
    }
    return outcomes
  }

  needs('root that may mount', 'strace that may attach')(
    'waits for the replaced files that are still open, and retries once',
    async ({ dir }) => {
      await mounted(join(dir, 'disk'), tmpfs('1m'), async (at) => {
        const file = join(at, 'file')
        writeFileSync(file, Buffer.alloc(400 << 10))
        const attempt = async () => {
          const { returned, calls } = await systemCalls(replace, [file, 400 << 10], {
            trace: ['renameat', 'close', '/write'],
            // The first: freeing seems slow. A thread of its own closes what was replaced, first of all that it does.
            inject: ['renameat:delay_enter=20000', 'close:delay_enter=500000:when=1'],
            env: { UV_THREADPOOL_SIZE: '1' },
          })
          return { returned, wasFull: calls.some(({ result }) => result.includes('ENOSPC')) }
        }
        const expected = { returned: ['written', 'written', 'written'], wasFull: true }
        // A busy machine may write when the old file is freed already, or free it when a write has waited for a second.
        let found = await attempt()
        for (let more = 0; more < 20 && !isDeepStrictEqual(found, expected); more++) found = await attempt()
        expect(found).toEqual(expected)
      })
    },
  )
})

describe('an unchanged file whose fsync finds the disk full', () => {
  /** A write of what the file holds already, while a replaced file may still be open. */
  const writeSame = async ({ atomicWrite, openBelow }: Remote, replaced: string, same: string) => {
    for (const text of ['1', '2']) await atomicWrite(replaced, text, { flush: false })
    const open = openBelow(replaced).length
    const write = atomicWrite(same, 'same', { ifChanged: true })
    const outcome = await write.then(
      () => 'resolved',
      ({ code, syscall }) => `${code} ${syscall}`,
    )
    return { open, outcome }
  }

  needs('strace that may attach')('is not flushed a second time, which would lie', async ({ dir }) => {
    const [replaced, same] = [join(dir, 'replaced'), join(dir, 'same')]
    const attempt = async () => {
      writeFileSync(replaced, '0')
      writeFileSync(same, 'same')
      const { returned, calls } = await systemCalls(writeSame, [replaced, same], {
        trace: ['renameat', 'close', 'fsync'],
        // The first: freeing seems slow, so that a thread of its own closes the next file; the second delays that.
        inject: [
          'renameat:delay_enter=20000',
          'close:delay_enter=500000:when=1',
          'fsync:error=ENOSPC:when=1',
        ],
        env: { UV_THREADPOOL_SIZE: '1' },
      })
      return { ...returned, flushes: calls.filter(({ name }) => name === 'fsync').length }
    }
    // On a busy machine that thread may have closed it before the write.
    let found = await attempt()
    for (let more = 0; more < 20 && found.open === 0; more++) found = await attempt()
    expect(found).toStrictEqual({ open: 1, outcome: 'ENOSPC fsync', flushes: 1 })
  })
})
