import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

/** How many megabytes the process grew by, at most, while it wrote that many chunks of that many bytes. */
const growth = async ({ AtomicFile }: Remote, path: string, how: string, chunks: number, size: number) => {
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
  for (const [what, how, chunks, size, most] of [
    // Ten times the size, or a tenth, makes no difference: nothing is kept.
    ['256 megabytes of bytes', 'bytes', 4_096, 65_536, 40],
    // It takes long to encode, and leaves half the garbage.
    ['128 megabytes of text', 'text', 2_048, 65_536, 20],
    ['256 megabytes piped to the stream', 'piped', 4_096, 65_536, 40],
    ['200,000 bytes one by one', 'bytes', 200_000, 1, 20],
  ] as const) {
    test(`stays within a few megabytes during a write of ${what}`, async ({ dir }) => {
      const child = inProcess(growth, [join(dir, 'file'), how, chunks, size])
      const found = await child.returned
      expect(found.bytes).toBe(chunks * size)
      // Most of it is garbage that V8 has not collected yet.
      expect(found.growth).toBeLessThan(most)
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
        // The least of some rounds: a buffer may be given back a moment later.
        const least = async () => Math.min(await round(), await round(), await round())
        await round()
        const before = await least()
        return ((await least()) - before) / (1 << 20)
      },
      [join(dir, 'file')],
      { execArgv: ['--expose-gc'] },
    )
    // A round writes 45 MB.
    expect(await child.returned).toBeLessThan(20)
  })
})
