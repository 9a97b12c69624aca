// Mounts without link(2) and without RENAME_NOREPLACE, as of object stores.

import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicDirectory, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'

const testFuse = needs('root that may mount FUSE')
const testRefused = needs('root that may mount FUSE', 'a C compiler')

buildRefuse()

// A kernel that has both calls refuses a taken name before it asks the file system.
testRefused(
  'where the kernel has neither call, the mode of a file that appears meanwhile is kept',
  ({ dir }) =>
    onPoorFs(dir, { appear: 'a' }, async (at, folder) => {
      const write = ({ atomicWrite }: Remote, path: string) => atomicWrite(path, 'one')
      await inProcess(write, [join(at, 'a')], {
        before: refusing({ renameat2: 'ENOSYS', linkat: 'EPERM' }),
      }).returned
      expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o604)
      expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('one')
      expect(names(folder)).toEqual(['a'])
    }),
)

describe.each(['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK', 'EACCES'] as const)('link(2) is %s', (link) => {
  const noLinks = { refuse: { link, 'rename-flags': 'EINVAL' } } as const
  const text = (folder: string, name: string) => readFileSync(join(folder, name), 'utf8')

  testFuse('a new file gets its name by a plain rename', ({ dir }) =>
    onPoorFs(dir, noLinks, async (at, folder) => {
      await atomicWrite(join(at, 'a'), 'one')
      await atomicWrite(join(at, 'a'), 'two')
      await atomicWriteAll([
        { path: join(at, 'a'), data: 'three' },
        { path: join(at, 'b'), data: 'four' },
      ])
      const file = await AtomicFile.open(join(at, 'c'))
      await file.write('five')
      await file.commit()
      expect(['a', 'b', 'c'].map((name) => text(folder, name))).toEqual(['three', 'four', 'five'])
      expect(names(folder)).toEqual(['a', 'b', 'c'])
    }),
  )

  testFuse("'wx' is refused before anything changes, and says what to do", ({ dir }) =>
    onPoorFs(dir, noLinks, async (at, folder) => {
      const [a, b] = [join(at, 'a'), join(at, 'b')]
      const refused = {
        code: 'ERR_ATOMIC_NO_EXCLUSIVE',
        path: b,
        message: expect.stringContaining("use { flag: 'w' }"),
      }
      expect(await rejection(atomicWrite(b, 'new', { flag: 'wx' }))).toMatchObject(refused)
      expect(await rejection(AtomicFile.open(b, { flag: 'wx' }))).toMatchObject(refused)
      const batch = atomicWriteAll([
        { path: a, data: 'one' },
        { path: b, data: 'two', flag: 'wx' },
      ])
      const error = await rejection(batch)
      expect(error).toMatchObject({ ...refused, entry: 1 })
      expect(error).not.toHaveProperty('committed')
      expect(names(folder)).toEqual([])
      writeFileSync(join(folder, 'b'), 'old')
      expect(await rejection(atomicWrite(b, 'new', { flag: 'wx' }))).toMatchObject({ code: 'EEXIST' })
    }),
  )

  testFuse('a backup is a copy', ({ dir }) =>
    onPoorFs(dir, noLinks, async (at, folder) => {
      const update = () =>
        atomicIndexUpdate(join(at, 'index.json'), ({ count }) => ({ count: count + 1 }), {
          initial: { count: 0 },
          backup: true,
        })
      await update()
      chmodSync(join(folder, 'index.json'), 0o640)
      await update()
      await update()
      expect(text(folder, 'index.json')).toContain('3')
      expect(text(folder, 'index.json.backup')).toContain('2')
      expect(statSync(join(folder, 'index.json.backup')).mode & 0o777).toBe(0o640)
      expect(names(folder)).toEqual(['index.json', 'index.json.backup'])
    }),
  )

  testFuse('a directory is made, replaced, and the old one kept', ({ dir }) =>
    onPoorFs(dir, noLinks, async (at, folder) => {
      const site = join(at, 'site')
      const build = (to: string) => writeFileSync(join(to, 'page'), text(folder, 'version'))
      for (const version of ['1', '2', '3']) {
        writeFileSync(join(folder, 'version'), version)
        await atomicDirectory(site, build, { fallback: 'rename', keepPrevious: join(at, 'old') })
      }
      expect(text(folder, 'site/page')).toBe('3')
      expect(text(folder, 'old/page')).toBe('2')
      expect(names(folder)).toEqual(['old', 'site', 'version'])
      mkdirSync(join(folder, 'plain'))
      expect(await rejection(atomicDirectory(join(at, 'plain'), build))).toMatchObject({
        code: 'ERR_ATOMIC_NO_EXCHANGE',
      })
    }),
  )
})
