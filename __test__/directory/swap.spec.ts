import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { needs, testUnprivileged } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'
import { plant, treeOf } from '../helpers/trees'
import { unprivileged } from '../helpers/users'

buildRefuse()

const never = () => {
  throw new Error('build was called')
}

describe('keepPrevious', () => {
  test('that is a file is ENOTDIR, before build', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'x')
    const error = await rejection(
      atomicDirectory(join(dir, 'site'), never, { keepPrevious: join(dir, 'file') }),
    )
    expect(error).toMatchObject({ code: 'ENOTDIR', path: join(dir, 'file') })
    expect(treeOf(dir)).toStrictEqual({ file: 'x' })
  })

  for (const where of ['site', 'site/within', '.']) {
    test(`that is ${where} for site is EINVAL or EBUSY, before build`, async ({ dir }) => {
      plant(join(dir, 'around', 'site'), { old: 'old' })
      const keepPrevious = where === '.' ? join(dir, 'around') : join(dir, 'around', where)
      const error = await rejection(atomicDirectory(join(dir, 'around', 'site'), never, { keepPrevious }))
      expect(error).toMatchObject({ code: 'EINVAL', path: keepPrevious })
      expect(treeOf(dir)).toStrictEqual({ 'around/site/old': 'old' })
    })
  }

  needs('a second file system in /dev/shm')(
    'on another file system is EXDEV, before build',
    async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      const keepPrevious = `/dev/shm/atomic-previous-${process.pid}`
      const error = await rejection(atomicDirectory(join(dir, 'site'), never, { keepPrevious }))
      expect(error).toMatchObject({ code: 'EXDEV', syscall: 'rename', path: keepPrevious })
      expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
    },
  )
})

describe('keepPrevious at its last step', () => {
  needs('strace that may attach')(
    'failed: the error says committed, and where the old tree is',
    async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      // The probe, the new one to where it cannot be swept, the swap, the old one to where it is kept: the fourth fails.
      const fault = 'set -- strace -f -qq -o /dev/null -e inject=renameat2:error=EIO:when=4 "$@"'
      const child = inProcess(
        ({ atomicDirectory }, site) =>
          atomicDirectory(site, () => {}, { keepPrevious: true }).catch(
            ({ code, syscall, path, dest, committed }: any) => ({
              code,
              syscall,
              path,
              dest,
              committed,
            }),
          ),
        [join(dir, 'site')],
        { before: fault, env: { UV_THREADPOOL_SIZE: '1' } },
      )
      const error = await child.returned
      const previous = join(dir, 'site.previous')
      expect(error).toMatchObject({ code: 'EIO', syscall: 'rename', dest: previous, committed: true })
      expect(error.path).toMatch(/\.site\.previous\.\w{12}\.atomic-old$/)
      expect([treeOf(error.path), treeOf(join(dir, 'site'))]).toStrictEqual([{ old: 'old' }, {}])
    },
  )
})

describe('a file system that cannot swap two directories', () => {
  const there = (dir: string, options: object, refused: 'EINVAL' | 'ENOSYS' | 'EOPNOTSUPP', call: string) =>
    inProcess(
      ({ atomicDirectory, require }, site, options) => {
        let builds = 0
        return atomicDirectory(
          site,
          (staging: string) => {
            builds++
            require('node:fs').writeFileSync(`${staging}/new`, 'new')
          },
          options,
        ).then(
          ({ previous, leftover }: any) => ({ builds, previous, leftover }),
          ({ code, message }: any) => ({ builds, code, message }),
        )
      },
      [join(dir, 'site'), options],
      { before: refusing({ [call]: refused }) },
    ).returned

  for (const code of ['EINVAL', 'ENOSYS', 'EOPNOTSUPP'] as const) {
    needs('linux', 'a C compiler')(
      `(${code}) rejects before build, and the error says what to do`,
      async ({ dir }) => {
        plant(join(dir, 'site'), { old: 'old' })
        const answer = await there(dir, {}, code, 'exchange')
        expect(answer).toMatchObject({ builds: 0, code: 'ERR_ATOMIC_NO_EXCHANGE' })
        expect(answer.message).toContain("{ fallback: 'rename' }")
        expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
      },
    )
  }

  needs('linux', 'a C compiler')('is no obstacle to a directory that is new', async ({ dir }) => {
    expect(await there(dir, {}, 'EINVAL', 'exchange')).toMatchObject({ builds: 1, previous: null })
    expect(treeOf(dir)).toStrictEqual({ 'site/new': 'new' })
  })

  for (const call of ['exchange', 'renameat2']) {
    needs('linux', 'a C compiler')(
      `does it by two renames with fallback, without ${call}`,
      async ({ dir }) => {
        plant(join(dir, 'site'), { old: 'old' })
        const answer = await there(dir, { fallback: 'rename' }, 'EINVAL', call)
        expect(answer).toStrictEqual({ builds: 1, previous: null, leftover: null })
        expect(treeOf(dir)).toStrictEqual({ 'site/new': 'new' })
      },
    )

    needs('linux', 'a C compiler')(`keeps the old tree then, too, without ${call}`, async ({ dir }) => {
      plant(dir, { 'site/old': 'old', 'site.previous/older': 'older' })
      const answer = await there(dir, { fallback: 'rename', keepPrevious: true }, 'EINVAL', call)
      expect(answer).toMatchObject({ builds: 1, leftover: null })
      expect(treeOf(dir)).toStrictEqual({ 'site/new': 'new', 'site.previous/old': 'old' })
    })
  }

  needs(
    'linux',
    'a C compiler',
    'strace that may attach',
  )('has the old tree put back when the second rename fails', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    // The exchange, the old one away, the new one in: the third fails.
    const fault = 'set -- strace -f -qq -o /dev/null -e inject=renameat2:error=EIO:when=3 "$@"'
    const child = inProcess(
      ({ atomicDirectory }, site) =>
        atomicDirectory(site, () => {}, { fallback: 'rename' }).catch(
          ({ code, syscall, path, dest }: any) => ({ code, syscall, path, dest }),
        ),
      [join(dir, 'site')],
      { before: `${refusing({ exchange: 'EINVAL' })}; ${fault}`, env: { UV_THREADPOOL_SIZE: '1' } },
    )
    const site = join(dir, 'site')
    expect(await child.returned).toStrictEqual({ code: 'EIO', syscall: 'rename', path: site, dest: site })
    expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
  })
})

describe('an old tree that cannot be removed', () => {
  needs('root that may mount')(
    'because something is mounted in it is named in the result: the new one is in its place',
    async ({ dir }) => {
      plant(dir, { 'site/old': 'old', 'site/uploads/': '', 'data/precious': 'x' })
      execFileSync('mount', ['--bind', join(dir, 'data'), join(dir, 'site', 'uploads')])
      const result = await atomicDirectory(join(dir, 'site'), (staging) => plant(staging, { new: 'new' }))
      try {
        expect(treeOf(join(dir, 'site'))).toStrictEqual({ new: 'new' })
        expect(result.leftover).toBeInstanceOf(Error)
        expect(result.leftover).toMatchObject({ path: join(`${result.previous}`, 'uploads') })
        expect(
          leftovers(dir)
            .slice(0, 1)
            .map((name) => join(dir, name)),
        ).toStrictEqual([result.previous])
        // Everything else of it is gone, and what is mounted is not touched.
        expect(names(`${result.previous}`)).toStrictEqual(['uploads'])
        expect(treeOf(join(dir, 'data'))).toStrictEqual({ precious: 'x' })
      } finally {
        execFileSync('umount', [join(`${result.previous}`, 'uploads')])
      }
    },
  )

  testUnprivileged('because a parent may not be written to rejects before build', async ({ dir }) => {
    plant(join(dir, 'closed', 'site'), { old: 'old' })
    chmodSync(join(dir, 'closed'), 0o555)
    chmodSync(dir, 0o755)
    const child = inProcess(
      ({ atomicDirectory }, site) =>
        atomicDirectory(site, () => process.exit(3)).catch(({ code, syscall }: any) => ({ code, syscall })),
      [join(dir, 'closed', 'site')],
      unprivileged,
    )
    expect(await child.returned).toStrictEqual({ code: 'EACCES', syscall: 'mkdir' })
    chmodSync(join(dir, 'closed'), 0o755)
  })
})
