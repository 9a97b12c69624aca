// A file's directory is replaced between the beginning of a write and its end: what is written then must not land in
// the old one and be called durable.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicDirectory, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers } from '../helpers/files'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const build = (staging: string) => writeFileSync(join(staging, 'page'), 'built')

describe('a directory that is replaced meanwhile', () => {
  test('is ENOENT for an AtomicFile that was opened in the old one', async ({ dir }) => {
    const site = join(dir, 'site')
    await atomicDirectory(site, build)
    const file = await AtomicFile.open(join(site, 'page'))
    await file.write('mine')
    await atomicDirectory(site, build, { keepPrevious: true })
    expect(await rejection(file.commit())).toMatchObject({ code: 'ENOENT', path: join(site, 'page') })
    expect(readFileSync(join(site, 'page'), 'utf8')).toBe('built')
    expect(readFileSync(join(dir, 'site.previous', 'page'), 'utf8')).toBe('built')
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('is ENOENT for a batch that has staged files in the old one, and none is renamed', async ({ dir }) => {
    const site = join(dir, 'site')
    await atomicDirectory(site, build)
    const { open, opened: bothAreStaged } = gate()
    async function* entries() {
      yield { path: join(dir, 'other'), data: 'batch' }
      yield { path: join(site, 'page'), data: 'batch' }
      await bothAreStaged
      await atomicDirectory(site, build, { keepPrevious: true })
    }
    const onProgress = (done: number) => {
      if (done === 2) open()
    }
    const error = await rejection(atomicWriteAll(entries(), { onProgress }))
    expect(error).toMatchObject({ code: 'ENOENT', entry: 1, path: join(site, 'page') })
    expect(error).not.toHaveProperty('committed')
    expect(readFileSync(join(site, 'page'), 'utf8')).toBe('built')
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('is ENOENT also if it was moved away and another was made', async ({ dir }) => {
    const folder = join(dir, 'folder')
    const file = await AtomicFile.open(join(folder, 'page'))
    renameSync(folder, join(dir, 'elsewhere'))
    mkdirSync(folder)
    expect(await rejection(file.commit())).toMatchObject({ code: 'ENOENT' })
  })
})
