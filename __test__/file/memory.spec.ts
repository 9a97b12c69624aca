import { AsyncLocalStorage } from 'node:async_hooks'
import { join } from 'node:path'
import { AtomicFile } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, type There } from '../helpers/elsewhere'
import { pattern } from '../helpers/files'
import { rejection, test } from '../helpers/index-file'

/** Megabytes that the process grew by at most while it wrote so many chunks of so many bytes. */
const growth = async ({ AtomicFile }: There, path: string, how: string, chunks: number, size: number) => {
  const options = { flush: false }
  const warm = await AtomicFile.open(path, options)
  await warm.write(Buffer.alloc(4 << 20, 1))
  await warm.commit()
  const chunk = how === 'text' ? 'ü'.repeat(size / 2) : Buffer.alloc(size, 7)
  const file = await AtomicFile.open(path, options)
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 5)
  if (how === 'piped') {
    let i = 0
    const source = new ReadableStream({
      pull(to) {
        if (i++ < chunks) to.enqueue(chunk)
        else to.close()
      },
    })
    await source.pipeTo(file.writable as any)
  } else {
    for (let i = 0; i < chunks; i++) await file.write(chunk)
  }
  const { bytes } = await file.commit()
  clearInterval(timer)
  most = Math.max(most, process.memoryUsage.rss())
  return { bytes, growth: (most - before) / (1 << 20) }
}

describe('memory', () => {
  for (const [what, how, chunks, size] of [
    // A tenth of this size or ten times it grow by as much: nothing is kept.
    ['a gigabyte of bytes', 'bytes', 16_384, 65_536],
    ['256 megabytes of text', 'text', 4_096, 65_536],
    ['256 megabytes piped to the stream', 'piped', 4_096, 65_536],
    ['two million bytes one by one', 'bytes', 2_000_000, 1],
  ] as const) {
    test(`stays within a few megabytes while one writes ${what}`, async ({ dir }) => {
      const child = inProcess(growth, [join(dir, 'file'), how, chunks, size])
      const found = await child.returned
      expect(found.bytes).toBe(chunks * size)
      // Most of it is V8's: garbage that it collects when it likes.
      expect(found.growth).toBeLessThan(40)
    })
  }

  test('is given back when a file is committed or aborted', async ({ dir }) => {
    const child = inProcess(
      async ({ AtomicFile }, path) => {
        const round = async () => {
          for (let i = 0; i < 150; i++) {
            const file = await AtomicFile.open(path, { flush: false, signal: new AbortController().signal })
            void file.write(Buffer.alloc(300_000))
            if (i % 3 === 0) await file.commit()
            else if (i % 3 === 1) await file.abort()
            else await file.writable.abort()
          }
          ;(globalThis as any).gc()
          return process.memoryUsage.rss()
        }
        await round()
        const before = await round()
        await round()
        return ((await round()) - before) / (1 << 20)
      },
      [join(dir, 'file')],
      { execArgv: ['--expose-gc'] },
    )
    // The rounds between the two wrote 90 MB.
    expect(await child.returned).toBeLessThan(20)
  })
})

test('the event loop turns while a large file is written and committed', async ({ dir }) => {
  const child = inProcess(
    async ({ AtomicFile, require }, path) => {
      const { performance } = require('node:perf_hooks')
      const chunk = Buffer.alloc(8 << 20, 7)
      let [last, longest, turns, over] = [performance.now(), 0, 0, false]
      const started = last
      const write = async () => {
        const file = await AtomicFile.open(path)
        for (let i = 0; i < 8; i++) await file.write(chunk)
        await file.commit()
      }
      const writing = write().finally(() => {
        over = true
      })
      while (!over) {
        await new Promise(setImmediate)
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
        turns++
      }
      await writing
      return { turns, longest, total: last - started }
    },
    [join(dir, 'file')],
  )
  const { turns, longest, total } = await child.returned
  expect(turns).toBeGreaterThan(50)
  expect(longest).toBeLessThan(Math.max(total / 2, 100))
})

test('the caller’s async context is there after each method', async ({ dir }) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const note = () => seen.push(storage.getStore())
  await Promise.all(
    ['one', 'two'].map((name) =>
      storage.run(name, async () => {
        const file = await AtomicFile.open(join(dir, name))
        note()
        await file.write(pattern(2 << 20)).then(note)
        const piping = new Response('x'.repeat(100_000)).body?.pipeTo(file.writable as any)
        await piping?.then(note)
        await file.commit().then(note)
        await rejection(file.commit()).then(note)
        await file[Symbol.asyncDispose]().then(note)
      }),
    ),
  )
  expect(seen.filter((name) => name === 'one')).toHaveLength(6)
  expect(seen.filter((name) => name === 'two')).toHaveLength(6)
})
