import { readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inside, leftovers, makeDir, names, numbered, numbersSeen, pattern, written } from '../helpers/files'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** Without what takes long, so that calls overlap. */
const quick = { flush: false, verify: false }

describe('calls for one file', () => {
  test('run one after the other in their order, and the last wins', async ({ dir }) => {
    const path = join(dir, 'file')
    const calls = Array.from({ length: 300 }, (_, i) =>
      atomicWrite(path, numbered(i, i % 7 ? 10 : 200_000), quick),
    )
    expect(await numbersSeen(path, Promise.all(calls))).toStrictEqual({ ascending: true, last: 299 })
  })

  test('run in their order however long each takes', async ({ dir }) => {
    const path = join(dir, 'file')
    const calls = [16 << 20, 1, 8 << 20, 1, 1 << 20, 7].map((size, i) =>
      atomicWrite(path, numbered(i, size), quick),
    )
    expect(await numbersSeen(path, Promise.all(calls))).toStrictEqual({ ascending: true, last: 5 })
  })

  test('run in their order when encoding an earlier one takes longer', async ({ dir }) => {
    for (let round = 0; round < 5; round++) {
      const calls = ['漢'.repeat(8 << 20), Buffer.from('last')].map((data) =>
        atomicWrite(join(dir, 'file'), data, { flush: false, verify: false }),
      )
      await Promise.all(calls)
      expect(readFileSync(join(dir, 'file'), 'utf8').slice(0, 10)).toBe('last')
    }
  })

  test('keep their order when a link on the way is switched while they wait', async ({ dir }) => {
    for (const folder of ['a', 'b']) makeDir(dir, folder)
    symlinkSync('a', join(dir, 'current'))
    const path = join(dir, 'current', 'file')
    const waiting = [atomicWrite(path, 'x'.repeat(64 << 20), quick), atomicWrite(path, 'second', quick)]
    // Until both are enqueued; then what a deployment does.
    await atomicWrite(join(dir, 'other'), '', quick)
    symlinkSync('b', join(dir, 'next'))
    renameSync(join(dir, 'next'), join(dir, 'current'))
    await Promise.all([...waiting, atomicWrite(path, 'third', quick)])
    expect(readFileSync(join(dir, 'a', 'file'), 'utf8')).toBe('second')
    expect(readFileSync(join(dir, 'b', 'file'), 'utf8')).toBe('third')
  })

  test('share one queue under every name of the file: the last call wins', async ({ dir }) => {
    const real = makeDir(dir, 'real')
    symlinkSync('real', join(dir, 'folder-link'))
    symlinkSync('real/file', join(dir, 'file-link'))
    symlinkSync('folder-link/../file-link', join(dir, 'link-to-link'))
    const aliases = (round: number) => [
      join(real, 'file'),
      'real/file',
      './real/../real//file',
      join(dir, 'folder-link', 'file'),
      join(dir, 'file-link'),
      'link-to-link',
      Buffer.from(join(real, 'file')),
      pathToFileURL(join(dir, 'file-link')),
      `${dir}/made-${round}/../real/file`,
    ]
    await inside(dir, async () => {
      for (let round = 0; round < 20; round++) {
        makeDir(dir, `made-${round}`)
        const paths = aliases(round)
        const calls = paths.map((_, i) => {
          const path = paths[(i + round) % paths.length] as string
          return atomicWrite(path, numbered(i, i === 0 ? 4 << 20 : 10), quick)
        })
        const seen = await numbersSeen(join(real, 'file'), Promise.all(calls), round > 0)
        expect(seen).toStrictEqual({ ascending: true, last: paths.length - 1 })
      }
    })
  })

  test('go on behind one that fails', async ({ dir }) => {
    const path = join(dir, 'file')
    const outcomes = await Promise.allSettled([
      atomicWrite(path, 'one'),
      atomicWrite(path, 'two', { flag: 'wx' }),
      atomicWrite(path, '\ud800'),
      atomicWrite(path, 'four', { signal: AbortSignal.abort() }),
      atomicWrite(path, 'five'),
    ])
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toStrictEqual([
      true,
      false,
      false,
      false,
      true,
    ])
    expect(readFileSync(path, 'utf8')).toBe('five')
  })

  test('see what the one before them left', async ({ dir }) => {
    const path = join(dir, 'file')
    const [first, same, taken] = await Promise.allSettled([
      atomicWrite(path, 'x'),
      atomicWrite(path, 'x', { ifChanged: true }),
      atomicWrite(path, 'y', { flag: 'wx' }),
    ])
    expect(first).toMatchObject({ value: { written: true } })
    expect(same).toMatchObject({ value: { written: false } })
    expect(taken).toMatchObject({ reason: { code: 'EEXIST' } })
  })
})

describe('calls for many files', () => {
  test('all succeed, with the right bytes in each', async ({ dir }) => {
    const files = Array.from({ length: 500 }, (_, i) => join(dir, `${i % 10}`, `${i}`))
    const results = await Promise.all(
      files.map((file, i) => atomicWrite(file, pattern(1000 + i, i), { flush: false })),
    )
    results.forEach((result, i) => {
      expect(result).toStrictEqual(written(dir, 1000 + i, { durable: false }))
      expect(readFileSync(files[i] as string).equals(pattern(1000 + i, i))).toBe(true)
    })
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('are not delayed by a failing one', async ({ dir }) => {
    const failing = rejection(atomicWrite(dir, 'x'))
    await atomicWrite(join(dir, 'file'), 'x')
    expect(await failing).toMatchObject({ code: 'EISDIR' })
  })
})

describe('with a single libuv thread', () => {
  test('calls that wait for one another all end, and the last wins', async ({ dir }) => {
    const writer = inProcess(
      async ({ atomicWrite }, dir) => {
        const calls = Array.from({ length: 300 }, (_, i) =>
          atomicWrite(`${dir}/${i % 3}`, `${i}`, { flush: false }),
        )
        return (await Promise.all(calls)).length
      },
      [dir],
      { env: { UV_THREADPOOL_SIZE: '1' } },
    )
    expect(await writer.returned).toBe(300)
    expect(names(dir).map((name) => readFileSync(join(dir, name), 'utf8'))).toStrictEqual([
      '297',
      '298',
      '299',
    ])
  })

  test('waiting writes leave the thread to others', async ({ dir }) => {
    const writer = inProcess(
      async ({ atomicWrite, require }, dir) => {
        const { promises } = require('node:fs')
        const waiting = Array.from({ length: 50 }, (_, i) => atomicWrite(`${dir}/file`, `${i}`))
        await promises.stat(dir)
        await Promise.all(waiting)
        return 'done'
      },
      [dir],
      { env: { UV_THREADPOOL_SIZE: '1' } },
    )
    expect(await writer.returned).toBe('done')
  })
})
