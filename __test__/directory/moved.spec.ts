// A file's directory is replaced between the beginning of a write and its end: what is written then must not land in
// the old one and be called durable.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicDirectory, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers } from '../helpers/files'
import { rejection, test } from '../helpers/index-file'

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
    async function* entries() {
      yield { path: join(dir, 'other'), data: 'batch' }
      yield { path: join(site, 'page'), data: 'batch' }
      // Until what was yielded is staged.
      await new Promise((resolve) => setTimeout(resolve, 100))
      await atomicDirectory(site, build, { keepPrevious: true })
    }
    const error = await rejection(atomicWriteAll(entries()))
    expect(error).toMatchObject({ code: 'ENOENT', entry: 1, path: join(site, 'page') })
    expect(error).not.toHaveProperty('committed')
    expect(readFileSync(join(site, 'page'), 'utf8')).toBe('built')
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('is ENOENT also if somebody moved it away and made another', async ({ dir }) => {
    const folder = join(dir, 'folder')
    const file = await AtomicFile.open(join(folder, 'page'))
    renameSync(folder, join(dir, 'elsewhere'))
    mkdirSync(folder)
    expect(await rejection(file.commit())).toMatchObject({ code: 'ENOENT' })
  })
})
