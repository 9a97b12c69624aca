// Directories in which names that differ in the case of their letters are one name, and those in which they are two.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names, pattern } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

type Body = (dir: string) => Promise<unknown>

describe('names that are one', () => {
  const there = (title: string, body: Body) =>
    needs('root that may mount FUSE')(title, ({ dir }) => onPoorFs(dir, { foldCase: true }, body))

  for (const [one, other] of [
    ['Readme.md', 'readme.md'],
    ['über', 'ÜBER'],
  ] as const) {
    for (const exists of [false, true]) {
      const state = exists ? 'that is there' : 'that is new'
      there(`a batch of ${one} and ${other}, a file ${state}, is refused`, async (dir) => {
        if (exists) writeFileSync(join(dir, one), 'old')
        const batch = atomicWriteAll([
          { path: join(dir, one), data: '1' },
          { path: join(dir, other), data: '2' },
        ])
        expect(await rejection(batch)).toMatchObject({
          code: 'ERR_ATOMIC_DUPLICATE',
          entry: 1,
          duplicateOf: 0,
        })
        expect(names(dir)).toEqual(exists ? [one] : [])
      })
    }
  }

  there('writes are done in the order of the calls', async (dir) => {
    const large = pattern(32 << 20)
    const writes: Promise<unknown>[] = []
    for (let round = 0; round < 4; round++) {
      writes.push(atomicWrite(join(dir, 'Readme.md'), large))
      writes.push(atomicWrite(join(dir, 'readme.md'), `${round}`))
      await Promise.all(writes)
      expect(readFileSync(join(dir, 'README.md'), 'utf8')).toBe(`${round}`)
    }
    expect(names(dir)).toHaveLength(1)
  })

  there('updates are of one index, with one lock', async (dir) => {
    const update = (name: string) =>
      atomicIndexUpdate(join(dir, name), ({ count }) => ({ count: count + 1 }), { initial: { count: 0 } })
    const long = 'x'.repeat(252)
    const spellings = ['i.json', 'I.json', long, long.toUpperCase()]
    await Promise.all(Array.from({ length: 40 }, (_, call) => update(spellings[call % 4] as string)))
    const counts = readdirSync(dir).map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')).count)
    expect(counts).toEqual([20, 20])
  })

  there('a backup of I.JSON beside i.json is the index itself', async (dir) => {
    const update = atomicIndexUpdate(join(dir, 'i.json'), () => ({ new: true }), {
      backup: join(dir, 'I.JSON'),
      initial: {},
    })
    await update
    const again = atomicIndexUpdate(join(dir, 'i.json'), () => ({}), { backup: join(dir, 'I.JSON') })
    expect(await rejection(again)).toMatchObject({ code: 'EINVAL' })
  })

  there('a directory is not kept in its own place', async (dir) => {
    const build = () => {}
    await atomicDirectory(join(dir, 'site'), build)
    const kept = atomicDirectory(join(dir, 'site'), build, { keepPrevious: join(dir, 'SITE') })
    expect(await rejection(kept)).toMatchObject({ code: 'EINVAL' })
  })
})

describe('names that are two', () => {
  const two = (title: string, body: Body) =>
    test(title, ({ dir, skip }) => {
      writeFileSync(join(dir, 'x'), '')
      skip(existsSync(join(dir, 'X')), 'names are one here')
      return body(makeDir(dir, 'two'))
    })

  two('a batch writes both', async (dir) => {
    const write = (version: string) =>
      atomicWriteAll([
        { path: join(dir, 'Readme.md'), data: `1${version}` },
        { path: join(dir, 'readme.md'), data: `2${version}` },
      ])
    // New, and replaced.
    for (const version of ['a', 'b']) {
      await write(version)
      expect(['Readme.md', 'readme.md'].map((name) => readFileSync(join(dir, name), 'utf8'))).toEqual([
        `1${version}`,
        `2${version}`,
      ])
    }
    expect(names(dir)).toEqual(['Readme.md', 'readme.md'])
  })

  two('updates do not share a commit', async (dir) => {
    const update = (name: string) =>
      atomicIndexUpdate(join(dir, name), ({ calls }) => ({ calls: [...calls, name] }), {
        initial: { calls: [] as string[] },
      })
    await Promise.all(['a', 'A', 'a', 'A'].map(update))
    const calls = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8')).calls
    expect([calls('a'), calls('A')]).toEqual([
      ['a', 'a'],
      ['A', 'A'],
    ])
  })
})
