// `publish: 'rename'`, for programs that wait for a file that is renamed to a folder.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AtomicFile,
  atomicDirectory,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteAll,
  type WriteOptions,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'
import { steps } from '../helpers/steps'
import { test } from '../helpers/test'
import { Writer } from '../helpers/trace'
import { watching } from '../helpers/watch'

buildRefuse()

const watched = needs('linux', 'python3')

type Writes = (path: string, options: Pick<WriteOptions, 'publish'>) => Promise<unknown>

const writers: Record<string, Writes> = {
  atomicWrite: (path, options) => atomicWrite(path, 'x', options),
  "atomicWrite with 'wx'": (path, options) => atomicWrite(path, 'x', { ...options, flag: 'wx' }),
  'atomicWrite with a mode': (path, options) => atomicWrite(path, 'x', { ...options, mode: 0o600 }),
  AtomicFile: async (path, options) => {
    const file = await AtomicFile.open(path, options)
    await file.write('x')
    await file.commit()
  },
  atomicIndexUpdate: (path, options) => atomicIndexUpdate(path, () => ['x'], options),
  atomicWriteAll: (path, options) => atomicWriteAll([{ path, data: 'x' }], options),
}

/** What is seen of the file itself, and not of its temp name. */
const ofFile = (events: string[]) => events.filter((event) => event.startsWith('file '))

describe('a new file', () => {
  for (const [title, write] of Object.entries(writers)) {
    watched(`is renamed with publish: 'rename': ${title}`, async ({ dir }) => {
      const events = await watching(dir, () => write(join(dir, 'file'), { publish: 'rename' }))
      expect(ofFile(events)).toStrictEqual(['file MOVED_TO'])
      expect([names(dir), leftovers(dir)]).toStrictEqual([['file'], []])
    })
  }

  watched('is created without it: nobody sees a temp name', async ({ dir }) => {
    for (const options of [{}, { publish: 'link' } as const]) {
      const name = `file${Object.keys(options).length}`
      const events = await watching(dir, () => atomicWrite(join(dir, name), 'x', options))
      expect(events.filter((event) => !event.startsWith('#'))).toContain(`${name} CREATE`)
      expect(events.join()).not.toContain('atomic-tmp')
    }
  })

  test('is reported as any other', async ({ dir }) => {
    const result = await atomicWrite(join(dir, 'file'), 'x', { publish: 'rename' })
    expect(result).toStrictEqual(written(dir, 1))
  })

  needs('strace that may attach')('is flushed before it has any name', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x', { publish: 'rename' })
    expect(steps(calls, dir)).toStrictEqual([
      ...['stage without a name', 'write', 'fsync', 'pread64', 'flock', 'link to a temp name'],
      ...['rename to a free name', 'fsync folder'],
    ])
  })

  needs(
    'linux',
    'python3',
    'a C compiler',
  )('is renamed also where a rename cannot refuse a taken name', async ({ dir }) => {
    const writer = await Writer.start(refusing({ renameat2: 'EINVAL' }))
    const events = await watching(dir, () => writer.write(join(dir, 'file'), 'x', { publish: 'rename' }))
    expect(ofFile(events)).toStrictEqual(['file MOVED_TO'])
  })
})

describe('a file that is there', () => {
  watched('is replaced by a rename in any case', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    const events = await watching(dir, () => atomicWrite(join(dir, 'file'), 'x'))
    expect(ofFile(events)).toStrictEqual(['file MOVED_TO'])
  })

  test("is refused with 'wx'", async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    const error = await rejection(atomicWrite(join(dir, 'file'), 'x', { publish: 'rename', flag: 'wx' }))
    expect(error).toMatchObject({ code: 'EEXIST' })
    expect([readFileSync(join(dir, 'file'), 'utf8'), names(dir)]).toStrictEqual(['old', ['file']])
  })

  test("is refused with 'wx' also if it appears at the same time: one of many wins", async ({ dir }) => {
    for (let round = 0; round < 10; round++) {
      const path = join(dir, `file-${round}`)
      const calls = Array.from({ length: 8 }, (_, at) =>
        atomicWrite(path, `${at}`, { flag: 'wx', publish: 'rename', flush: false }),
      )
      const settled = await Promise.allSettled(calls)
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(existsSync(path)).toBe(true)
    }
    expect(leftovers(dir)).toStrictEqual([])
  })
})

test('another word is refused', async ({ dir }) => {
  for (const write of [
    () => atomicWrite(join(dir, 'file'), 'x', { publish: 'copy' as 'link' }),
    () => AtomicFile.open(join(dir, 'file'), { publish: true as unknown as 'link' }),
  ]) {
    const error = await rejection(write())
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    expect(error.message).toContain("'options.publish' must be 'link' or 'rename'")
  }
  expect(names(dir)).toStrictEqual([])
})

watched('a new directory is renamed, whatever is asked for', async ({ dir }) => {
  const events = await watching(dir, () => atomicDirectory(join(dir, 'file'), () => {}))
  expect(ofFile(events)).toStrictEqual(['file MOVED_TO'])
})
