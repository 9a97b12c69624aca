// What a watcher of an index sees, in one process.

import fs, {
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  atomicDirectory,
  atomicIndexUpdate,
  atomicWrite,
  type IndexChange,
  type WatchIndexOptions,
  watchIndex,
} from '@pipeline/atomic'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import { makeDir } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { gate, isPending, rejection, until } from '../helpers/promises'
import { test } from '../helpers/test'

/** An iterator that the end of the test ends. */
function watching<T = any>(path: string | Buffer, options?: WatchIndexOptions<T>) {
  const changes = watchIndex<T>(path, options)
  onTestFinished(async () => {
    await changes.return?.()
  })
  const next = async (): Promise<IndexChange<T>> => (await changes.next()).value
  return { changes, next, value: async () => (await next())?.value }
}

/** What the system watches for this process. */
const watches = () => {
  const fds = readdirSync('/proc/self/fdinfo')
  return fds.flatMap((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify .*/gm) ?? []
    } catch {
      return []
    }
  }).length
}

test('begins with what is there, and then each change comes with the version before', async ({ file }) => {
  writeJson(file, { n: 1 })
  const { next } = watching(file)
  const first = await next()
  expect(first).toEqual({ value: { n: 1 }, previous: undefined })
  const second = next()
  await atomicIndexUpdate(file, increment)
  expect(await second).toEqual({ value: { n: 2 }, previous: { n: 1 } })
  expect((await second).previous).toBe(first.value)
  // With a backup the two versions change places.
  const third = next()
  await atomicIndexUpdate(file, increment, { backup: true })
  expect((await third).value).toEqual({ n: 3 })
  const fourth = next()
  writeJson(file, { in: 'place' })
  expect((await fourth).value).toEqual({ in: 'place' })
})

test('a slow loop skips versions, and gets the newest', async ({ file }) => {
  writeJson(file, { n: 0 })
  const { next } = watching(file)
  await next()
  for (let n = 0; n < 5; n++) await atomicIndexUpdate(file, increment)
  expect(await next()).toEqual({ value: { n: 5 }, previous: { n: 0 } })
  // There and back is no change.
  await atomicWrite(file, '{"n":6}')
  await atomicWrite(file, '{"n":5}')
  const following = next()
  await atomicWrite(file, '{"n":7}')
  expect(await following).toEqual({ value: { n: 7 }, previous: { n: 5 } })
})

test('what leaves the content as it is, is no change', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  const { next } = watching(file)
  await next()
  const following = next()
  utimesSync(file, 1, 1)
  await atomicWrite(file, '{ "n": 1 }\n')
  await atomicWrite(join(dir, 'other.json'), '{}')
  await expect(atomicIndexUpdate(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await isPending(following, 50)).toBe(true)
  await atomicWrite(file, '{"n":2}')
  expect(await following).toEqual({ value: { n: 2 }, previous: { n: 1 } })
})

needs('linux')('a change is seen whose event the system has dropped', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  const { next } = watching(file)
  await next()
  const following = next()
  // At work, without a turn of the event loop: the system keeps so many events, those of other files.
  const most = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
  const [one, two] = [join(dir, 'one'), join(dir, 'two')]
  writeFileSync(one, '')
  for (let events = 0; events <= most; events += 4) {
    renameSync(one, two)
    renameSync(two, one)
  }
  writeJson(file, { n: 2 })
  expect((await following).value).toEqual({ n: 2 })
})

describe('a path that leads elsewhere', () => {
  // On Windows a folder that is watched cannot be replaced.
  needs('linux')('a directory is exchanged, again and again', async ({ dir }) => {
    const site = join(dir, 'site')
    const publish = (n: number) =>
      atomicDirectory(site, (staging) => writeJson(join(String(staging), 'index.json'), { n }), {
        fallback: 'rename',
      })
    await publish(0)
    const { value } = watching(join(site, 'index.json'))
    expect(await value()).toEqual({ n: 0 })
    for (let n = 1; n <= 3; n++) {
      const following = value()
      await publish(n)
      expect(await following).toEqual({ n })
    }
    // The new directory is watched.
    const following = value()
    await atomicIndexUpdate(join(site, 'index.json'), increment)
    expect(await following).toEqual({ n: 4 })
  })

  test('directories are removed and made again, also those above, and need not be there at first', async ({
    dir,
  }) => {
    const top = join(dir, 'a')
    const file = join(top, 'b/b/index.json')
    const { value } = watching(file)
    for (let n = 0; n < 3; n++) {
      const following = value()
      await atomicIndexUpdate(file, () => ({ n }), { mkdir: true })
      expect(await following).toEqual({ n })
      rmSync(top, { recursive: true })
    }
  })

  needs('linux')('a directory above is moved away while another one takes its place', async ({ dir }) => {
    const top = join(dir, 'a')
    const file = join(top, 'b/c/index.json')
    for (const [name, n] of [
      ['a', 0],
      ['next', 1],
    ] as const)
      writeJson(join(makeDir(dir, name, 'b/c'), 'index.json'), { n })
    const { value } = watching(file)
    expect(await value()).toEqual({ n: 0 })
    let following = value()
    expect(await isPending(following, 20)).toBe(true)
    renameSync(top, join(dir, 'away'))
    renameSync(join(dir, 'next'), top)
    expect(await following).toEqual({ n: 1 })
    following = value()
    expect(await isPending(following, 20)).toBe(true)
    await atomicIndexUpdate(file, increment)
    expect(await following).toEqual({ n: 2 })
    // And away for a while.
    rmSync(join(dir, 'away'), { recursive: true })
    renameSync(top, join(dir, 'away'))
    following = value()
    expect(await isPending(following, 20)).toBe(true)
    writeJson(join(dir, 'away/b/c/index.json'), { n: 3 })
    renameSync(join(dir, 'away'), top)
    expect(await following).toEqual({ n: 3 })
  })

  test('a link is switched: of the file, and of a directory', async ({ dir }) => {
    for (const name of ['one', 'two']) writeJson(join(makeDir(dir, name), 'index.json'), { name })
    const link = (to: string, at: string) => {
      symlinkSync(to, `${at}.new`)
      renameSync(`${at}.new`, at)
    }
    const current = join(dir, 'current')
    link('one', current)
    link('current/index.json', join(dir, 'index.json'))
    const { value } = watching(join(dir, 'index.json'))
    expect(await value()).toEqual({ name: 'one' })
    let following = value()
    link('two', current)
    expect(await following).toEqual({ name: 'two' })
    following = value()
    link('one/index.json', join(dir, 'index.json'))
    expect(await following).toEqual({ name: 'one' })
    following = value()
    await atomicIndexUpdate(join(dir, 'one/index.json'), (index) => ({ ...index, changed: true }))
    expect(await following).toEqual({ name: 'one', changed: true })
  })

  needs('linux')('a name need not be UTF-8', async ({ dir }) => {
    const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xc3, 0x41])])
    const { value } = watching(path, { initial: [] })
    expect(await value()).toEqual([])
    const following = value()
    await atomicWrite(path, '[1]')
    expect(await following).toEqual([1])
  })
})

describe('what is missing or broken', () => {
  test('without initial a missing file is waited for', async ({ file }) => {
    const { next } = watching(file)
    const first = next()
    expect(await isPending(first, 20)).toBe(true)
    writeJson(file, [1])
    expect(await first).toEqual({ value: [1], previous: undefined })
  })

  test('a missing file counts as initial when it stays away', async ({ file }) => {
    const { value } = watching(file, { initial: { n: 0 } })
    expect(await value()).toEqual({ n: 0 })
    let following = value()
    writeJson(file, { n: 1 })
    expect(await following).toEqual({ n: 1 })
    // A program that removes before it writes.
    following = value()
    rmSync(file)
    expect(await isPending(following, 20)).toBe(true)
    writeJson(file, { n: 2 })
    expect(await following).toEqual({ n: 2 })
    following = value()
    rmSync(file)
    expect(await following).toEqual({ n: 0 })
  })

  test('a file in the middle of a write is waited for, and one that stays broken is told', async ({
    file,
  }) => {
    const schema = z.object({ n: z.number() })
    const errors: any[] = []
    const [first, told] = [gate(), gate()]
    const onError = (error: unknown) => {
      errors.push(error)
      if (errors.length === 1) first.open()
      if (errors.length === 2) told.open()
    }
    writeFileSync(file, '{"n":')
    const { value } = watching(file, { schema, onError })
    let following = value()
    expect(await isPending(following, 20)).toBe(true)
    writeFileSync(file, '{"n":1}')
    expect(await following).toEqual({ n: 1 })
    expect(errors).toEqual([])
    const ending = watching(file, { schema }).changes
    await ending.next()
    const ended = rejection(ending.next())
    following = value()
    writeFileSync(file, '{"n":')
    expect(await ended).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
    expect(await ending.next()).toEqual({ value: undefined, done: true })
    // Each of the two tells it in its own time.
    await first.opened
    writeFileSync(file, '{"n":"x"}')
    await told.opened
    expect(errors).toMatchObject([{ code: 'ERR_ATOMIC_CORRUPT_INDEX' }, { code: 'ERR_ATOMIC_SCHEMA' }])
    // What comes back is no change, what is new is one.
    writeFileSync(file, '{"n":1}')
    expect(await isPending(following, 20)).toBe(true)
    writeFileSync(file, '{"n":2}')
    expect(await following).toEqual({ n: 2 })
  })

  test('what was good in between is told when it is broken again', async ({ dir }) => {
    writeJson(join(makeDir(dir, 'good'), 'index.json'), { n: 1 })
    writeFileSync(join(makeDir(dir, 'broken'), 'index.json'), '{"n":')
    const lead = (to: string) => {
      symlinkSync(to, join(dir, 'new'))
      renameSync(join(dir, 'new'), join(dir, 'current'))
    }
    lead('good')
    // Known by its times, and so not read again, is a file that has rested for a while.
    const old = BigInt(Date.now() - 60_000) * 1_000_000n
    const real = fs.promises.lstat as (...args: unknown[]) => Promise<any>
    let looks = 0
    const lstat = vi.spyOn(fs.promises, 'lstat').mockImplementation((async (path: unknown, how: unknown) => {
      const stat = await real(path, how)
      if (typeof stat.size === 'bigint') stat.ctimeNs = old
      if (String(path).endsWith('good/index.json')) looks++
      return stat
    }) as never)
    onTestFinished(() => lstat.mockRestore())
    let told = gate()
    const errors: any[] = []
    const onError = (error: unknown) => {
      errors.push(error)
      told.open()
    }
    const { value } = watching(join(dir, 'current/index.json'), { onError })
    expect(await value()).toEqual({ n: 1 })
    const following = value()
    for (const times of [1, 2]) {
      lead('broken')
      await told.opened
      expect(errors).toHaveLength(times)
      told = gate()
      looks = 0
      lead('good')
      await until(() => looks > 0)
    }
    expect(await isPending(following, 20)).toBe(true)
  })

  test('migrate makes the value of an older index', async ({ file }) => {
    writeJson(file, { all: ['a'] })
    const schema = z.object({ posts: z.array(z.string()) })
    const { value } = watching(file, { schema, migrate: (old) => ({ posts: old.all }) })
    expect(await value()).toEqual({ posts: ['a'] })
    expect(readJson(file)).toEqual({ all: ['a'] })
  })
})

describe('its end', () => {
  test('break and return end it, and a step that waits', async ({ file }) => {
    writeJson(file, {})
    const { changes, next } = watching(file)
    for await (const { value } of changes) {
      expect(value).toEqual({})
      break
    }
    expect(await changes.next()).toEqual({ value: undefined, done: true })
    const other = watching(file)
    await other.next()
    const waiting = other.changes.next()
    expect(await isPending(waiting, 20)).toBe(true)
    await other.changes.return?.()
    expect(await waiting).toEqual({ value: undefined, done: true })
    expect(await next()).toBeUndefined()
  })

  test('an abort rejects the step that waits, or else the next one', async ({ file }) => {
    writeJson(file, {})
    const [waiting, idle, early] = [0, 1, 2].map(() => new AbortController()) as AbortController[]
    const first = watching(file, { signal: waiting?.signal })
    const second = watching(file, { signal: idle?.signal })
    await Promise.all([first.next(), second.next()])
    const step = rejection(first.changes.next())
    expect(await isPending(step, 20)).toBe(true)
    for (const controller of [waiting, idle, early]) controller?.abort('enough')
    const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' }
    expect(await step).toMatchObject(aborted)
    expect(await rejection(second.changes.next())).toMatchObject(aborted)
    expect(await rejection(watching(file, { signal: early?.signal }).changes.next())).toMatchObject(aborted)
    expect(await first.changes.next()).toEqual({ value: undefined, done: true })
  })

  needs('linux')(
    'all watchers of a directory share what they watch, and the last one closes it',
    async ({ dir }) => {
      const before = watches()
      const many = Array.from({ length: 20 }, (_, n) => watching(join(dir, `${n % 4}.json`), { initial: {} }))
      await many[0]?.next()
      const one = watches() - before
      // This folder, and those above it.
      expect(one).toBe(dir.split('/').length)
      await Promise.all(many.slice(1).map(({ next }) => next()))
      expect(watches() - before).toBe(one)
      await Promise.all(many.map(({ changes }) => changes.return?.()))
      expect(watches()).toBe(before)
    },
  )
})

test('wrong arguments reject the first step', async ({ file }) => {
  const cases: [() => AsyncIterator<unknown>, string][] = [
    [() => watchIndex(1 as never), 'ERR_INVALID_ARG_TYPE'],
    [() => watchIndex(''), 'ERR_INVALID_ARG_VALUE'],
    [() => watchIndex(file, 1 as never), 'ERR_INVALID_ARG_TYPE'],
    [() => watchIndex(file, { onError: 1 as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => watchIndex(file, { signal: 1 as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => watchIndex(file, { schema: {} as never }), 'ERR_INVALID_ARG_TYPE'],
    [() => watchIndex('s3://bucket/index.json'), 'ERR_ATOMIC_UNSUPPORTED'],
  ]
  for (const [call, code] of cases) {
    const changes = call()
    expect((await rejection(changes.next())).code).toBe(code)
    expect(await changes.next()).toEqual({ value: undefined, done: true })
  }
})
