// Changes between two steps of a watcher, of which no later event tells.

import fs, { linkSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite, watchIndex } from '@pipeline/atomic'
import { expect, onTestFinished, vi } from 'vitest'
import { makeDir } from '../helpers/files'
import { writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { isPending } from '../helpers/promises'
import { test } from '../helpers/test'

/** An iterator that the end of the test ends. */
function watching(path: string, options?: object) {
  const changes = watchIndex(path, options)
  onTestFinished(async () => {
    await changes.return?.()
  })
  return async () => (await changes.next()).value?.value
}

type Look = (...args: unknown[]) => Promise<never>

/** Replaces the looks at `path` that follow; `look` makes one of them. */
function onLook(path: string, look: (nth: number, look: () => Promise<never>) => Promise<never>) {
  const lstat = fs.promises.lstat as Look
  let looks = 0
  const spy = vi.spyOn(fs.promises, 'lstat').mockImplementation((...args: unknown[]) => {
    const real = () => lstat(...args)
    return String(args[0]) === path ? look(++looks, real) : real()
  })
  onTestFinished(() => spy.mockRestore())
}

needs('linux')('a directory that is made right after it was missing', async ({ dir }) => {
  const above = join(dir, 'above')
  onLook(above, (nth, look) =>
    look().finally(() => {
      if (nth !== 1) return
      mkdirSync(above)
      writeJson(join(above, 'index.json'), { n: 1 })
    }),
  )
  const value = watching(join(above, 'index.json'))
  expect(await value()).toEqual({ n: 1 })
  // It is watched by now.
  const following = value()
  expect(await isPending(following, 20)).toBe(true)
  writeJson(join(above, 'index.json'), { n: 2 })
  expect(await following).toEqual({ n: 2 })
})

needs('linux')('a file that is changed by another name right after it was read', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  const other = makeDir(dir, 'other')
  const [next, same] = [join(other, 'next'), join(other, 'same')]
  writeJson(next, { n: 2 })
  linkSync(next, same)
  const value = watching(file)
  expect(await value()).toEqual({ n: 1 })
  let following = value()
  expect(await isPending(following, 20)).toBe(true)
  // The second look follows the read. The system tells nothing of a change by a name in another directory.
  onLook(file, (nth, look) => {
    if (nth === 2) writeJson(same, { n: 3 })
    return look()
  })
  renameSync(next, file)
  expect(await following).toEqual({ n: 2 })
  following = value()
  expect(await following).toEqual({ n: 3 })
})

test('watchers of one directory ask the system once', async ({ dir }) => {
  const watch = vi.spyOn(fs, 'watch')
  onTestFinished(() => watch.mockRestore())
  for (const name of ['a', 'b']) writeJson(join(dir, name), name === 'a' ? [1] : [2])
  expect(await watching(join(dir, 'a'))()).toEqual([1])
  const asked = watch.mock.calls.length
  expect(await watching(join(dir, 'b'))()).toEqual([2])
  expect(asked).toBeGreaterThan(0)
  expect(watch).toHaveBeenCalledTimes(asked)
})

needs('linux')(
  'what is written through a hard link elsewhere is not seen before the next change',
  async ({ dir, file }) => {
    writeJson(file, { n: 0 })
    const value = watching(file)
    await value()
    const second = value()
    const link = join(makeDir(dir, 'elsewhere'), 'link')
    linkSync(file, link)
    writeFileSync(link, '{"n":1}')
    await atomicWrite(file, '{"n":2}')
    expect(await second).toEqual({ n: 2 })
  },
)
