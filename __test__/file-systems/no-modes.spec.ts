// Mounts where permission bits are fixed, or cannot be changed, and where attributes are listed that cannot be set.

import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AtomicFile,
  atomicDirectory,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteAll,
  copyDirectoryAtomic,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { NOBODY_MAY_READ, setAttribute } from '../helpers/attributes'
import { makeDir, names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'

const testFuse = needs('root that may mount FUSE')
const testAttributes = needs('root that may mount FUSE', 'python3')

const mode = (path: string) => statSync(path).mode & 0o7777
const text = (path: string) => readFileSync(path, 'utf8')

describe('all modes are 0755', () => {
  testFuse('files need no chmod', ({ dir }) =>
    onPoorFs(dir, { mode: 0o755, refuse: { chmod: 'EIO' } }, async (at, folder) => {
      const path = join(at, 'a')
      for (const version of ['one', 'two']) {
        await atomicWrite(path, version)
        await atomicWriteAll([{ path: join(at, 'b'), data: version }])
        const file = await AtomicFile.open(join(at, 'c'))
        await file.write(version)
        await file.commit()
        await atomicIndexUpdate(join(at, 'i.json'), () => ({ version }), { initial: {}, backup: true })
      }
      expect(['a', 'b', 'c'].map((name) => text(join(folder, name)))).toEqual(['two', 'two', 'two'])
      expect(text(join(folder, 'i.json.backup'))).toContain('one')
    }),
  )

  testFuse("a caller's mode has no effect", ({ dir }) =>
    onPoorFs(dir, { mode: 0o755, refuse: { chmod: 'EPERM' } }, async (at, folder) => {
      await atomicWrite(join(at, 'a'), 'one', { mode: 0o600 })
      await atomicDirectory(join(at, 'site'), () => {}, { mode: 0o700 })
      expect(names(folder)).toEqual(['a', 'site'])
    }),
  )

  testFuse('directories are made, replaced and copied', ({ dir }) =>
    onPoorFs(dir, { mode: 0o755, refuse: { chmod: 'EPERM' } }, async (at, folder) => {
      const site = join(at, 'site')
      for (const version of ['one', 'two']) {
        await atomicDirectory(site, (to) => writeFileSync(join(to, 'page'), version), {
          keepPrevious: join(at, 'old'),
        })
      }
      const from = makeDir(dir, 'from', 'sub')
      writeFileSync(join(from, 'secret'), 'three', { mode: 0o600 })
      chmodSync(from, 0o500)
      await copyDirectoryAtomic(join(dir, 'from'), join(at, 'copy'))
      expect(['site/page', 'old/page', 'copy/sub/secret'].map((name) => text(join(folder, name)))).toEqual([
        'two',
        'one',
        'three',
      ])
      expect(names(folder)).toEqual(['copy', 'old', 'site'])
    }),
  )
})

describe('modes cannot be changed', () => {
  const noChmod = { refuse: { chmod: 'EPERM' } } as const

  testFuse('nothing is more open than what it replaces', ({ dir }) =>
    onPoorFs(dir, noChmod, async (at, folder) => {
      writeFileSync(join(folder, 'a'), 'old', { mode: 0o640 })
      mkdirSync(join(folder, 'closed'), { mode: 0o750 })
      await atomicWrite(join(at, 'a'), 'new')
      const seen: number[] = []
      const build = (to: string) => void seen.push(mode(to))
      await atomicDirectory(join(at, 'closed'), build)
      await atomicDirectory(join(at, 'new'), build)
      // As open as it will be.
      expect(seen).toEqual([0o700, 0o777 & ~process.umask()])
      expect(['a', 'closed', 'new'].map((name) => mode(join(folder, name)))).toEqual([
        0o600,
        0o700,
        0o777 & ~process.umask(),
      ])
    }),
  )

  testFuse('a copy that would be more open than its original is refused, and nothing is left', ({ dir }) =>
    onPoorFs(dir, noChmod, async (at, folder) => {
      const from = makeDir(dir, 'from')
      writeFileSync(join(from, 'secret'), 'x')
      chmodSync(from, 0o700)
      expect(await rejection(copyDirectoryAtomic(from, join(at, 'copy')))).toMatchObject({
        code: 'EPERM',
        syscall: 'fchmod',
      })
      expect(names(folder)).toEqual([])
    }),
  )
})

describe.each(['ENOTSUP', 'ENOSYS', 'EPERM'] as const)('setxattr is %s', (setxattr) => {
  testAttributes(
    'attributes that are there do not keep a file or a directory from being replaced',
    ({ dir }) =>
      onPoorFs(dir, { refuse: { setxattr } }, async (at, folder) => {
        writeFileSync(join(folder, 'a'), 'old', { mode: 0o640 })
        mkdirSync(join(folder, 'site'))
        for (const name of ['a', 'site']) {
          setAttribute(join(folder, name), 'user.x', "b'1'")
        }
        await atomicWrite(join(at, 'a'), 'new')
        await atomicDirectory(join(at, 'site'), () => {})
        expect(text(join(folder, 'a'))).toBe('new')
        expect(mode(join(folder, 'a'))).toBe(0o640)
      }),
  )

  testAttributes('a file whose ACL is lost is open to its owner only', ({ dir }) =>
    onPoorFs(dir, { refuse: { setxattr } }, async (at, folder) => {
      writeFileSync(join(folder, 'a'), 'old', { mode: 0o644 })
      setAttribute(join(folder, 'a'), 'system.posix_acl_access', NOBODY_MAY_READ)
      await atomicWrite(join(at, 'a'), 'new')
      expect(mode(join(folder, 'a'))).toBe(0o600)
    }),
  )
})
