// What an update is given after an earlier one of the same process, whatever changed the file in between.

import {
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names, state } from '../helpers/files'
import { readJson, untilClockTicks, writeJson } from '../helpers/index-file'
import { ext4, mounted, needs } from '../helpers/needs'
import { inProcess, inThread } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** What the function of an update of `file` gets, which then adds `ours`. */
async function given(file: string, initial?: unknown): Promise<any> {
  let given: unknown
  const update = (index: any) => {
    given = structuredClone(index)
    return { ...index, ours: true }
  }
  await atomicIndexUpdate(file, update, { initial })
  return given
}

describe('after an update, the next one sees', () => {
  test('what the first one left', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    expect(await given(file)).toEqual({ n: 1 })
  })

  test('nothing that happens to the object that the function got or returned', async ({ file }) => {
    writeJson(file, { n: 1 })
    const objects: any[] = []
    for (let round = 0; round < 3; round++) {
      await atomicIndexUpdate(file, (index) => {
        objects.push(index, { ...index })
        return objects.at(-1 - (round % 2))
      })
      for (const object of objects) object.n = 'changed later'
    }
    expect(await given(file)).toEqual({ n: 1 })
  })

  test('nothing of an update that failed', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const fail = (index: any) => {
      index.n = 'half'
      throw new Error('no')
    }
    await rejection(atomicIndexUpdate(file, fail))
    await rejection(atomicIndexUpdate(file, () => ({ n: 1n })))
    expect(await given(file)).toEqual({ n: 1 })
  })

  const others: [by: string, change: (file: string) => unknown][] = [
    [
      'another process, by an update',
      (file) =>
        inProcess(
          ({ atomicIndexUpdate }, file) => atomicIndexUpdate(file, () => ({ theirs: 2 })).then(() => {}),
          [file],
        ).returned,
    ],
    [
      'another thread, by an update',
      (file) =>
        inThread(
          ({ atomicIndexUpdate }, file) => atomicIndexUpdate(file, () => ({ theirs: 2 })).then(() => {}),
          [file],
        ).returned,
    ],
    ['this process, by a write', (file) => atomicWrite(file, '{"theirs":2}')],
    [
      'this process, by a write without a flush',
      (file) => atomicWrite(file, '{"theirs":2}', { flush: false }),
    ],
    ['an editor that writes in place', (file) => writeFileSync(file, '{"theirs":2}')],
    [
      'an editor that writes in place and keeps length and time',
      (file) => {
        const { atime, mtime } = statSync(file)
        writeFileSync(file, readFileSync(file, 'utf8').replace('"n": 1', '"n": 2'))
        utimesSync(file, atime, mtime)
      },
    ],
    [
      'a program that renames another file over it',
      (file) => {
        writeFileSync(`${file}.new`, readFileSync(file, 'utf8').replace('1', '2'))
        renameSync(`${file}.new`, file)
      },
    ],
    [
      'a program that deletes it and makes it again',
      (file) => {
        const text = readFileSync(file, 'utf8')
        rmSync(file)
        writeFileSync(file, text.replace('1', '2'))
      },
    ],
    [
      'a program that puts a link in its place',
      (file) => {
        writeFileSync(`${file}.other`, '{"theirs":2}')
        rmSync(file)
        symlinkSync('index.json.other', file)
      },
    ],
  ]
  for (const [by, change] of others) {
    test(`the change of ${by}`, async ({ file }) => {
      await atomicIndexUpdate(file, () => ({ n: 1 }))
      await untilClockTicks(file)
      await change(file)
      const theirs = readJson(file)
      expect(theirs).not.toEqual({ n: 1 })
      expect(await given(file)).toEqual(theirs)
      expect(readJson(file)).toEqual({ ...theirs, ours: true })
    })
  }

  test('that the file was deleted: it is given the initial index', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    rmSync(file)
    expect(await given(file, { initial: true })).toEqual({ initial: true })
  })

  test('that its folder was deleted', async ({ dir }) => {
    const folder = makeDir(dir, 'folder')
    const file = join(folder, 'index.json')
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    rmSync(folder, { recursive: true })
    expect(await given(file)).toBeUndefined()
  })

  test('that its folder was replaced by another', async ({ dir }) => {
    const [folder, other] = [makeDir(dir, 'folder'), makeDir(dir, 'other')]
    await atomicIndexUpdate(join(folder, 'index.json'), () => ({ n: 1 }))
    writeJson(join(other, 'index.json'), { n: 2 })
    rmSync(folder, { recursive: true })
    renameSync(other, folder)
    expect(await given(join(folder, 'index.json'))).toEqual({ n: 2 })
  })

  test('that the version before was put back', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    await atomicIndexUpdate(file, () => ({ n: 2 }), { backup: true })
    renameSync(`${file}.backup`, file)
    expect(await given(file)).toEqual({ n: 1 })
  })

  test('that two indexes have changed places', async ({ dir, file }) => {
    const [other, aside] = [join(dir, 'other.json'), join(dir, 'aside')]
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    await atomicIndexUpdate(other, () => ({ n: 2 }))
    renameSync(file, aside)
    renameSync(other, file)
    renameSync(aside, other)
    expect([await given(file), await given(other)]).toEqual([{ n: 2 }, { n: 1 }])
  })

  test('that a link was switched to another index', async ({ dir }) => {
    const link = join(dir, 'link.json')
    for (const n of [1, 2]) writeJson(join(dir, `${n}.json`), { n })
    symlinkSync('1.json', link)
    await atomicIndexUpdate(link, (index) => ({ ...index, more: true }))
    rmSync(link)
    symlinkSync('2.json', link)
    expect(await given(link)).toEqual({ n: 2 })
  })

  test('a change through another name of the same inode', async ({ dir, file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    linkSync(file, join(dir, 'twin'))
    await untilClockTicks(file)
    writeJson(join(dir, 'twin'), { n: 2 })
    expect(await given(file)).toEqual({ n: 2 })
  })

  test('that it is no JSON any more, and leaves its bytes alone', async ({ dir, file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    writeFileSync(file, '{"n":')
    const before = state(file)
    expect(await rejection(given(file))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('the layout that an editor gave it', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    writeFileSync(file, '{\n\t"n": 1\n}\n')
    await atomicIndexUpdate(file, () => ({ n: 2 }))
    expect(readFileSync(file, 'utf8')).toBe('{\n\t"n": 2\n}\n')
  })
})

needs('root that may mount a disk')(
  'an edit in place is seen where the clock of the file system has only seconds',
  async ({ dir }) => {
    // Inodes of 128 bytes have no room for more.
    await mounted(join(dir, 'disk'), ext4(join(dir, 'image'), '-I', '128'), async (at) => {
      const file = join(at, 'index.json')
      let unchanged = 0
      for (let n = 0; n < 10; n++) {
        await atomicIndexUpdate(file, () => ({ n }))
        const before = statSync(file)
        writeFileSync(file, readFileSync(file, 'utf8').replace(`${n}`, `${9 - n}`))
        if (statSync(file).ctimeMs === before.ctimeMs) unchanged++
        expect(await given(file)).toEqual({ n: 9 - n })
      }
      expect(unchanged).toBeGreaterThan(0)
    })
  },
)
