// What a file system keeps: found out by trying, where it is known from elsewhere too.

import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicWrite, type DirectoryInspection, inspectDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { ext4, mounted, needs, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { giveAway, unprivileged } from '../helpers/users'

const values = ({ traits }: DirectoryInspection) =>
  Object.fromEntries(traits.map(({ name, value }) => [name, value]))

/** The column of the table in docs/filesystems.md, without what differs from disk to disk. */
function documented(title: string): Record<string, unknown> {
  const page = readFileSync(join(import.meta.dirname, '../../docs/filesystems.md'), 'utf8')
  const rows = page.match(/^\|.*\|$/gm)?.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  const [head = [], , ...rest] = rows ?? []
  const at = head.indexOf(title)
  expect(at, `${title} is in the table`).toBeGreaterThan(0)
  const read = (cell = '') => ({ yes: true, no: false, '?': null })[cell] ?? (Number(cell) || cell)
  return Object.fromEntries(rest.map((row) => [row[0]?.replaceAll('`', ''), read(row[at])]))
}

describe('inspectDirectory', () => {
  test('tells each trait once and what it means, and leaves nothing', async ({ dir }) => {
    const inspection = await inspectDirectory(dir)
    expect(inspection.path).toBe(realpathSync(dir))
    expect(new Set(inspection.traits.map(({ name }) => name)).size).toBe(20)
    for (const { name, means } of inspection.traits) expect(means, name).toMatch(/^\w.*\.$/)
    expect(values(inspection)).toMatchObject({ exclusiveCreate: true, renameOver: true, locks: true })
    expect(names(dir)).toEqual([])
  })

  needs('root that may mount')('knows memory', ({ dir }) =>
    mounted(join(dir, 'memory'), tmpfs('1m'), async (at) => {
      const inspection = values(await inspectDirectory(at))
      expect(inspection).toMatchObject({ ...documented('tmpfs'), device: 'tmpfs', durable: false })
      expect(names(at)).toEqual([])
    }),
  )

  needs('root that may mount a disk')('knows a disk', ({ dir }) =>
    mounted(join(dir, 'disk'), ext4(join(dir, 'image')), async (at) => {
      const { device, ...inspection } = values(await inspectDirectory(at))
      expect(inspection).toMatchObject({ ...documented('ext4'), durable: true, deviceVerify: true })
      expect(device).toMatch(/^\/dev\/loop/)
    }),
  )

  needs('root that may mount FUSE', 'exFAT by FUSE')(
    'knows one that has next to nothing',
    async ({ dir }) => {
      const [image, at] = [join(dir, 'image'), makeDir(dir, 'exfat')]
      writeFileSync(image, '')
      truncateSync(image, 4 << 20)
      execFileSync('mkfs.exfat', [image], { stdio: 'ignore' })
      const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
      let isMounted = false
      try {
        execFileSync('mount.exfat-fuse', [device, at], { stdio: 'ignore' })
        isMounted = true
        expect(values(await inspectDirectory(at))).toMatchObject(documented('exFAT'))
        expect(await atomicIndexUpdate(join(at, 'Index.json'), () => ({ n: 1 }))).toMatchObject({
          written: true,
        })
        expect(await atomicWrite(join(at, 'index.JSON'), '{}')).toMatchObject({ atomic: true })
        expect(names(at)).toHaveLength(1)
      } finally {
        if (isMounted) execFileSync('umount', [at])
        execFileSync('losetup', ['--detach', device])
      }
    },
  )

  needs('root that may mount FUSE')('finds out what is missing, whatever the type says', ({ dir }) => {
    const refuse = {
      link: 'EPERM',
      'rename-flags': 'EINVAL',
      flock: 'ENOLCK',
      setxattr: 'ENOTSUP',
      'fsync-dir': 'EINVAL',
    } as const
    return onPoorFs(dir, { refuse, mode: 0o777, foldCase: true, subtype: 'sshfs' }, async (at, folder) => {
      const inspection = await inspectDirectory(at)
      expect(values(inspection)).toMatchObject({
        fileSystem: 'fuse.sshfs',
        exclusiveCreate: true,
        renameOver: true,
        renameNoReplace: false,
        exchange: false,
        hardLinks: false,
        unnamedFiles: false,
        directoryFlush: false,
        durable: false,
        locks: false,
        local: false,
        caseSensitive: false,
        modes: false,
        extendedAttributes: false,
      })
      expect(inspection.traits.find(({ name }) => name === 'locks')?.means).toContain('ERR_ATOMIC_NO_LOCKS')
      expect(names(folder)).toEqual([])
    })
  })

  testUnprivileged('rejects where nothing can be tried', async ({ dir }) => {
    const closed = makeDir(dir, 'closed')
    giveAway(closed)
    giveAway(dir)
    const child = inProcess(
      async ({ inspectDirectory, require }, closed) => {
        require('node:fs').chmodSync(closed, 0o500)
        return inspectDirectory(closed).catch(({ code, path }) => [code, path])
      },
      [closed],
      { ...unprivileged, cwd: '/' },
    )
    expect(await child.returned).toEqual(['EACCES', closed])
    expect(await rejection(inspectDirectory(join(dir, 'none')))).toMatchObject({ code: 'ENOENT' })
    expect(await rejection(inspectDirectory('s3://bucket/x'))).toMatchObject({
      code: 'ERR_ATOMIC_UNSUPPORTED',
    })
    expect(await rejection(inspectDirectory(dir, { signal: AbortSignal.abort() }))).toMatchObject({
      name: 'AbortError',
    })
    expect(names(dir)).toEqual(['closed'])
  })
})
