// Files that are never finished: forgotten, or left by a thread or a process that ends.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AtomicFile, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { untilClosed } from '../helpers/descriptors'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, inThread, type Remote } from '../helpers/processes'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'

buildRefuse()

const collected = { execArgv: ['--expose-gc'] }

/** How a file can be when it is forgotten. */
const ways = ['open', 'written', 'unawaited', 'full', 'streamed', 'locked', 'signalled', 'ended'] as const

/** Opens files in each of these ways, forgets them and collects garbage until nothing of them is left. */
const forget = async (
  { AtomicFile, require, until, openBelow }: Remote,
  dir: string,
  ways: readonly string[],
) => {
  const fs = require('node:fs')
  const unhandled: unknown[] = []
  process.on('unhandledRejection', (error) => unhandled.push(error))
  const { signal } = new AbortController()
  const one = async (way: string, i: number) => {
    const file = await AtomicFile.open(`${dir}/${way}-${i}`, way === 'signalled' ? { signal } : {})
    if (way === 'written') await file.write(Buffer.alloc(100_000))
    if (way === 'unawaited') void file.write(Buffer.alloc(100_000))
    if (way === 'full') await file.write(Buffer.alloc(3 << 20))
    if (way === 'streamed') file.writable
    if (way === 'locked') await file.writable.getWriter().write('x')
    if (way === 'ended') await file.writable.close()
  }
  for (const way of ways) for (let i = 0; i < 5; i++) await one(way, i)
  const left = () => openBelow(dir).length + fs.readdirSync(dir).length
  const before = left()
  await until(() => {
    ;(globalThis as any).gc()
    return left() === 0
  })
  const listeners = require('node:events').getEventListeners(signal, 'abort').length
  return { before: before >= 5, unhandled: unhandled.length, listeners: listeners <= 1 }
}

const nothing = { before: true, unhandled: 0, listeners: true }

describe('a file that is forgotten', () => {
  for (const way of ways) {
    needs('linux')(`is discarded when it is collected: ${way}`, async ({ dir }) => {
      expect(await inProcess(forget, [dir, [way]], collected).returned).toStrictEqual(nothing)
    })
  }

  needs('linux', 'a C compiler')('is discarded where it has a name, too', async ({ dir }) => {
    const before = refusing({ tmpfile: 'EOPNOTSUPP' })
    const child = inProcess(forget, [dir, ways], { ...collected, before })
    expect(await child.returned).toStrictEqual(nothing)
  })

  test('while it is committed is committed', async ({ dir }) => {
    const child = inProcess(
      async ({ AtomicFile }, path) => {
        const commit = async () => {
          const file = await AtomicFile.open(path)
          void file.write(Buffer.alloc(8 << 20, 'x'))
          return { committing: file.commit() }
        }
        const { committing } = await commit()
        for (let i = 0; i < 20; i++) {
          ;(globalThis as any).gc()
          await new Promise(setImmediate)
        }
        return committing
      },
      [join(dir, 'file')],
      collected,
    )
    expect(await child.returned).toMatchObject({ written: true, bytes: 8 << 20 })
  })

  test('frees its memory, although its signal lives on', async ({ dir }) => {
    const child = inProcess(
      async ({ AtomicFile, until, openBelow }, dir) => {
        const { signal } = new AbortController()
        const forget = async () => {
          for (let i = 0; i < 300; i++) {
            const file = await AtomicFile.open(`${dir}/file`, { signal, flush: false })
            void file.write(Buffer.alloc(50_000))
            if (i % 2) file.writable
            if (i % 20 === 0) {
              ;(globalThis as any).gc()
              await new Promise(setImmediate)
            }
          }
        }
        const round = async () => {
          await forget()
          await until(() => {
            ;(globalThis as any).gc()
            return openBelow(dir).length === 0
          })
          return process.memoryUsage().rss
        }
        await round()
        const before = await round()
        for (let i = 0; i < 3; i++) await round()
        return ((await round()) - before) / (1 << 20)
      },
      [dir],
      collected,
    )
    // The rounds in between wrote 60 MB.
    expect(await child.returned).toBeLessThan(25)
  })
})

describe('a worker that is terminated', () => {
  const stages: [string, (there: Remote, path: string) => Promise<void>][] = [
    [
      'with a file open',
      async ({ AtomicFile, send, receive }, path) => {
        const file = await AtomicFile.open(path, { signal: new AbortController().signal })
        await file.write('x'.repeat(100_000))
        send('there')
        await receive()
        await file.commit()
      },
    ],
    [
      'while it opens files',
      async ({ AtomicFile, send }, path) => {
        for (let i = 0; ; i++) {
          await Promise.all(Array.from({ length: 10 }, () => AtomicFile.open(path).then((f) => f.abort())))
          if (i === 0) send('there')
        }
      },
    ],
    [
      'while it writes',
      async ({ AtomicFile, send }, path) => {
        const files = await Promise.all(Array.from({ length: 5 }, () => AtomicFile.open(path)))
        for (let i = 0; ; i++) {
          await Promise.all(files.map((file) => file.write(Buffer.alloc(1_200_000))))
          if (i === 0) send('there')
          if (i === 30) return
        }
      },
    ],
    [
      'with a stream that is piped to',
      async ({ AtomicFile, send }, path) => {
        const file = await AtomicFile.open(path)
        let chunks = 0
        const source = new ReadableStream({
          async pull(to) {
            await new Promise(setImmediate)
            to.enqueue(Buffer.alloc(300_000))
            if (chunks++ === 5) send('there')
          },
        })
        await source.pipeTo(file.writable as any)
      },
    ],
    [
      'while it commits',
      async ({ AtomicFile, send }, path) => {
        for (let i = 0; ; i++) {
          const file = await AtomicFile.open(path)
          await file.write(Buffer.alloc(1_200_000))
          const committing = file.commit()
          if (i === 1) send('there')
          await committing
        }
      },
    ],
    [
      'while its commits wait in the queue',
      async ({ AtomicFile, atomicWrite, send }, path) => {
        const files = await Promise.all(Array.from({ length: 20 }, () => AtomicFile.open(path)))
        for (const file of files) void file.write('x'.repeat(100_000))
        const writing = atomicWrite(path, Buffer.alloc(16 << 20))
        const commits = files.map((file) => file.commit())
        await new Promise(setImmediate)
        send('there')
        await Promise.all([writing, ...commits])
      },
    ],
  ]
  for (const [stage, main] of stages) {
    needs('linux')(`${stage} leaves nothing open, and later calls do not wait for it`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, 'old')
      for (let round = 0; round < 4; round++) {
        const worker = inThread(main, [path])
        await worker.next()
        await sleep(round)
        await worker.terminate()
        const file = await AtomicFile.open(path)
        await file.write(`${round}`)
        await file.commit()
        await atomicWrite(path, `${round}`)
        expect(readFileSync(path, 'utf8')).toBe(`${round}`)
      }
      await untilClosed(dir)
      expect(names(dir)).toStrictEqual(['file'])
    })
  }
})

describe('a process', () => {
  const open = async ({ AtomicFile }: Remote, path: string, how: string) => {
    const file = await AtomicFile.open(path)
    await file.write('x'.repeat(100_000))
    if (how === 'writing') void file.write(Buffer.alloc(8 << 20))
    if (how === 'committing') void file.commit()
    if (how !== 'idle') setTimeout(() => process.exit(7), 2)
  }

  test('is not kept alive by an open file, and leaves nothing of it', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    const child = inProcess(open, [path, 'idle'])
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readFileSync(path, 'utf8')).toBe('old')
    expect(names(dir)).toStrictEqual(['file'])
  })

  for (const how of ['exiting', 'writing', 'committing']) {
    test(`may exit with an open file: ${how}`, async ({ dir }) => {
      const path = join(dir, 'file')
      for (let round = 0; round < 5; round++) {
        writeFileSync(path, 'old')
        const child = inProcess(open, [path, how])
        expect(await child.exit).toMatchObject({ code: 7, signal: null, stderr: '' })
        expect(['old', 'x'.repeat(100_000)]).toContain(readFileSync(path, 'utf8'))
      }
      await atomicWrite(path, 'after')
      expect(names(dir)).toStrictEqual(['file'])
    })
  }

  needs('linux', 'a C compiler')('removes the names that its files have when it ends', async ({ dir }) => {
    const before = refusing({ tmpfile: 'EOPNOTSUPP' })
    const child = inProcess(open, [join(dir, 'file'), 'idle'], { before })
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(names(dir)).toStrictEqual([])
  })

  needs('linux', 'a C compiler')(
    'that exits leaves them to the next process that writes there',
    async ({ dir }) => {
      const before = refusing({ tmpfile: 'EOPNOTSUPP' })
      const child = inProcess(open, [join(dir, 'file'), 'exiting'], { before })
      expect(await child.exit).toMatchObject({ code: 7, signal: null, stderr: '' })
      await inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(dir, 'other')]).returned
      expect(names(dir)).toStrictEqual(['other'])
    },
  )
})
