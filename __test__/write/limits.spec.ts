import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names, shape, state } from '../helpers/files'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('a full disk', () => {
  const full = (path: string) =>
    shape({
      ...{ name: 'Error', code: 'ENOSPC', errno: -28, syscall: 'write', path },
      message: `ENOSPC: no space left on device, write '${path}'`,
    })

  needs('root that may mount')('is ENOSPC: the old file stands, and nothing is left', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      const path = join(disk, 'file')
      writeFileSync(path, 'old')
      const before = state(path)
      expect(shape(await rejection(atomicWrite(path, Buffer.alloc(3 << 20, 1))))).toStrictEqual(full(path))
      expect(state(path)).toStrictEqual(before)
      expect(names(disk)).toStrictEqual(['file'])
      expect(openBelow(disk)).toStrictEqual([])
    })
  })

  needs('root that may mount')('leaves no new file behind', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      const path = join(disk, 'file')
      expect(await rejection(atomicWrite(path, Buffer.alloc(3 << 20)))).toMatchObject({ code: 'ENOSPC' })
      expect(names(disk)).toStrictEqual([])
      // The room that the failed write had taken is free again.
      expect(await atomicWrite(path, Buffer.alloc(900 << 10))).toMatchObject({ written: true })
    })
  })

  needs('root that may mount')('without room for old and new together keeps the old', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      const path = join(disk, 'file')
      await atomicWrite(path, Buffer.alloc(700 << 10, 1))
      expect(await rejection(atomicWrite(path, Buffer.alloc(700 << 10, 2)))).toMatchObject({ code: 'ENOSPC' })
      expect(readFileSync(path).equals(Buffer.alloc(700 << 10, 1))).toBe(true)
    })
  })

  needs('root that may mount')('without inodes is ENOSPC for the open', async ({ dir }) => {
    await mounted(join(dir, 'disk'), ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=2', 'tmpfs'], async (disk) => {
      const path = join(disk, 'file')
      writeFileSync(path, 'old')
      expect(await rejection(atomicWrite(path, 'new'))).toMatchObject({
        code: 'ENOSPC',
        syscall: 'open',
        path,
      })
      expect(readFileSync(path, 'utf8')).toBe('old')
    })
  })
})

describe('a read-only file system', () => {
  needs('root that may mount')('is EROFS: the old file stands', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      const path = join(disk, 'file')
      writeFileSync(path, 'old')
      execFileSync('mount', ['-o', 'remount,ro', disk])
      expect(await rejection(atomicWrite(path, 'new'))).toMatchObject({ code: 'EROFS', path })
      expect(await rejection(atomicWrite(join(disk, 'a', 'b'), 'x'))).toMatchObject({
        code: 'EROFS',
        syscall: 'mkdir',
      })
      expect(readFileSync(path, 'utf8')).toBe('old')
    })
  })
})

describe('a limit on the size of files', () => {
  // The write that crosses it comes up short, and the one after it fails.
  const limited = (path: string, options?: object) =>
    inProcess(
      ({ atomicWrite, require }, path, options) =>
        atomicWrite(path, Buffer.alloc(100_001), options).then(
          () => 'written',
          ({ code, errno, syscall, path, message }) => ({
            ...{ code, errno, syscall, path, message },
            ...{ open: require('node:fs').readdirSync('/proc/self/fd').length > 30 },
          }),
        ),
      [path, options],
      { before: 'ulimit -f 64' },
    ).returned

  for (const options of [{}, { verify: false }, { flush: false, verify: false }]) {
    needs('linux')(`is EFBIG and leaves the old file, with ${JSON.stringify(options)}`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, 'old')
      const before = state(path)
      expect(await limited(path, options)).toStrictEqual({
        ...{ code: 'EFBIG', errno: -27, syscall: 'write', path, open: false },
        message: `EFBIG: file too large, write '${path}'`,
      })
      expect(state(path)).toStrictEqual(before)
      expect(names(dir)).toStrictEqual(['file'])
    })
  }

  needs('linux')('is EFBIG and leaves no new file', async ({ dir }) => {
    expect(await limited(join(dir, 'file'))).toMatchObject({ code: 'EFBIG' })
    expect(names(dir)).toStrictEqual([])
  })
})

describe('a limit of 256 descriptors', () => {
  const swarm = (dir: string, files: number, folders: number) =>
    inProcess(
      async ({ atomicWrite }, dir, files, folders) => {
        const outcomes = await Promise.allSettled(
          Array.from({ length: files }, (_, i) =>
            atomicWrite(`${dir}/${i % folders}/${Math.floor(i / folders)}`, `${i}`, { flush: false }),
          ),
        )
        return [
          ...new Set(outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'ok'))),
        ]
      },
      [dir, files, folders],
      { before: 'ulimit -n 256' },
    ).returned

  test('is enough for 1,000 writes at once', async ({ dir }) => {
    expect(await swarm(dir, 1000, 1)).toStrictEqual(['ok'])
  })

  test('is enough for 1,000 writes at once to 300 folders', async ({ dir }) => {
    expect(await swarm(dir, 1000, 300)).toStrictEqual(['ok'])
    expect(readFileSync(join(dir, '99', '3'), 'utf8')).toBe('999')
  })

  test('is waited for when the descriptors are used up, until some are free', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite, require }, dir) => {
        const fs = require('node:fs')
        await atomicWrite(`${dir}/warm`, 'x')
        const taken: number[] = []
        try {
          for (;;) taken.push(fs.openSync('/dev/null'))
        } catch {}
        const writing = atomicWrite(`${dir}/a/b/file`, 'x')
        setTimeout(() => taken.forEach((fd) => void fs.closeSync(fd)), 200)
        return writing
      },
      [dir],
      { before: 'ulimit -n 128' },
    )
    expect(await child.returned).toMatchObject({ written: true })
    expect(statSync(join(dir, 'a', 'b', 'file')).size).toBe(1)
  })
})
