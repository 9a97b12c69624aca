import { linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, numbered, numbersSeen } from '../helpers/files'
import { readJson } from '../helpers/index-file'
import { inProcess, inThread } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

async function opened(path: string, content: string, options?: Parameters<typeof AtomicFile.open>[1]) {
  const file = await AtomicFile.open(path, options)
  await file.write(content)
  return file
}

describe('of several open files for one path', () => {
  test('the one that is committed last wins, whichever was opened last', async ({ dir }) => {
    const path = join(dir, 'file')
    const files = await Promise.all(Array.from({ length: 20 }, (_, i) => opened(path, `${i}`)))
    const order = [...files.keys()].reverse()
    await Promise.all(order.map((i) => files[i]?.commit()))
    expect(readFileSync(path, 'utf8')).toBe('0')
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('none waits for one that is not committed', async ({ dir }) => {
    const path = join(dir, 'file')
    const idle = await opened(path, 'idle')
    await atomicWrite(path, 'written')
    await (await opened(path, 'other')).commit()
    expect(readFileSync(path, 'utf8')).toBe('other')
    await idle.commit()
    expect(readFileSync(path, 'utf8')).toBe('idle')
  })
})

describe('a commit has the place of its call', () => {
  test('among writes of the same file, under any of its names', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    symlinkSync('file', join(dir, 'link'))
    const files = new Map<number, AtomicFile>()
    for (let call = 0; call < 60; call += 3) {
      const file = await AtomicFile.open(call % 2 ? path : join(dir, 'link'), { flush: false })
      await file.write(numbered(call, call % 4 ? 10 : 300_000))
      files.set(call, file)
    }
    const writing = Array.from({ length: 60 }, (_, call) => {
      const data = numbered(call, call % 4 ? 10 : 300_000)
      return (
        files.get(call)?.commit() ?? atomicWrite(call % 2 ? path : join(dir, 'link'), data, { flush: false })
      )
    })
    expect(await numbersSeen(path, Promise.all(writing), true)).toStrictEqual({ ascending: true, last: 59 })
  })

  test('even if it has megabytes left to write', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    for (let i = 0; i < 16; i++) void file.write(Buffer.alloc(1 << 20))
    const committing = file.commit()
    await atomicWrite(path, 'after')
    await committing
    expect(readFileSync(path, 'utf8')).toBe('after')
  })

  test('among updates of the same index', async ({ dir }) => {
    const path = join(dir, 'index.json')
    writeFileSync(path, '{"n":0}')
    const file = await opened(path, '{"n":100}')
    const increment = (index: any) => ({ n: index.n + 1 })
    const before = atomicIndexUpdate(path, increment)
    const committing = file.commit()
    const after = [atomicIndexUpdate(path, increment), atomicIndexUpdate(path, increment)]
    await Promise.all([before, committing, ...after])
    expect(readJson(path)).toStrictEqual({ n: 102 })
  })

  test('and frees it when it fails before its turn', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await opened(path, 'x')
    const long = atomicWrite(path, Buffer.alloc(32 << 20))
    const committing = rejection(file.commit())
    const after = atomicWrite(path, 'after')
    void file.abort()
    expect(await committing).toMatchObject({ code: 'ABORT_ERR' })
    await Promise.all([long, after])
    expect(readFileSync(path, 'utf8')).toBe('after')
  })
})

test('hard links of the old file keep its content', async ({ dir }) => {
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  linkSync(path, join(dir, 'other'))
  await (await opened(path, 'new')).commit()
  expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('old')
})

describe('worker threads', () => {
  test('open, write and commit at the same time', async ({ dir }) => {
    const workers = Array.from({ length: 4 }, (_, me) =>
      inThread(
        async ({ AtomicFile }, dir, me) => {
          for (let round = 0; round < 10; round++) {
            const file = await AtomicFile.open(`${dir}/shared`)
            for (let i = 0; i < 30; i++) await file.write(`${me}`.repeat(10_000))
            await file.commit()
          }
        },
        [dir, me],
      ),
    )
    await Promise.all(workers.map((worker) => worker.returned))
    const found = readFileSync(join(dir, 'shared'), 'utf8')
    expect(found === (found[0] ?? '').repeat(300_000)).toBe(true)
    expect(names(dir)).toStrictEqual(['shared'])
  })
})

describe('a limit of 256 descriptors', () => {
  for (const folders of [1, 150]) {
    test(`is enough for 500 files at once in ${folders} folders`, async ({ dir }) => {
      const child = inProcess(
        async ({ AtomicFile }, dir, folders) => {
          const one = async (i: number) => {
            const file = await AtomicFile.open(`${dir}/${i % folders}/${i}`, { flush: false })
            await file.write(`${i}`)
            await file.commit()
          }
          const outcomes = await Promise.allSettled(Array.from({ length: 500 }, (_, i) => one(i)))
          return outcomes.filter(({ status }) => status === 'rejected').length
        },
        [dir, folders],
        { before: 'ulimit -n 256' },
      )
      expect(await child.returned).toBe(0)
    })
  }

  test('makes the opening of one more wait until another is closed', async ({ dir }) => {
    const child = inProcess(
      async ({ AtomicFile }, dir) => {
        const files = await Promise.all(
          Array.from({ length: 20 }, (_, i) => AtomicFile.open(`${dir}/${i}`, { flush: false })),
        )
        const more = Promise.all(Array.from({ length: 30 }, (_, i) => AtomicFile.open(`${dir}/more-${i}`)))
        const early = await Promise.race([more.then(() => 'early'), new Promise((r) => setTimeout(r, 200))])
        await Promise.all(files.map((file) => file.abort()))
        await Promise.all((await more).map((file) => file.commit()))
        return early ?? 'waited'
      },
      [dir],
      { before: 'ulimit -n 128' },
    )
    expect(await child.returned).toBe('waited')
    expect(names(dir)).toHaveLength(30)
  })
})

test('1,000 files may be open at once', async ({ dir }) => {
  const child = inProcess(
    async ({ AtomicFile }, dir) => {
      const files = await Promise.all(
        Array.from({ length: 1000 }, (_, i) => AtomicFile.open(`${dir}/${i}`, { flush: false })),
      )
      await Promise.all(files.map((file, i) => file.write(`${i}`)))
      await Promise.all(files.map((file) => file.commit()))
      return 'done'
    },
    [dir],
    { before: 'ulimit -n 4096' },
  )
  expect(await child.returned).toBe('done')
  expect(names(dir)).toHaveLength(1000)
})
