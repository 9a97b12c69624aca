// Generators that do not fill the directory that they are given but put another one in its place: most of them remove
// their output directory and make it anew.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { needs, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { built, plant, treeOf } from '../helpers/trees'
import { NOBODY } from '../helpers/users'

function remake(staging: string) {
  rmSync(staging, { recursive: true })
  mkdirSync(staging)
  plant(staging, { 'a/file': 'new', page: 'new' })
}

const counted = { files: 2, directories: 1, bytes: 6 }
const published = { 'site/a/file': 'new', 'site/page': 'new' }

describe('a directory that build removes and makes anew', () => {
  test('is published, counted and flushed', async ({ dir }) => {
    expect(await atomicDirectory(join(dir, 'site'), remake)).toStrictEqual(built(dir, undefined, counted))
    expect(treeOf(dir)).toStrictEqual(published)
  })

  test('replaces the old one', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    expect(await atomicDirectory(join(dir, 'site'), remake)).toStrictEqual(built(dir, undefined, counted))
    expect(treeOf(dir)).toStrictEqual(published)
  })

  test('replaces the old one that is kept', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    await atomicDirectory(join(dir, 'site'), remake, { keepPrevious: true })
    expect(treeOf(dir)).toStrictEqual({ ...published, 'site.previous/old': 'old' })
  })

  test('may be renamed from elsewhere', async ({ dir }) => {
    await atomicDirectory(join(dir, 'site'), (staging) => {
      plant(join(dir, 'other'), { 'a/file': 'new', page: 'new' })
      renameSync(staging, join(dir, 'aside'))
      renameSync(join(dir, 'other'), staging)
    })
    expect(treeOf(dir)).toStrictEqual({ ...published, 'aside/': '' })
  })

  for (const mode of [0o700, 0o2750]) {
    test(`has the mode ${mode.toString(8)} of the one that it replaces`, async ({ dir }) => {
      const site = join(dir, 'site')
      mkdirSync(site)
      chmodSync(site, mode)
      await atomicDirectory(site, remake)
      expect(statSync(site).mode & 0o7777).toBe(mode)
    })
  }

  test('has the mode that is asked for', async ({ dir }) => {
    await atomicDirectory(join(dir, 'site'), remake, { mode: 0o711 })
    expect(statSync(join(dir, 'site')).mode & 0o7777).toBe(0o711)
  })

  needs('root')('has the owner of the one that it replaces', async ({ dir }) => {
    const site = join(dir, 'site')
    mkdirSync(site)
    chownSync(site, NOBODY, NOBODY)
    await atomicDirectory(site, remake)
    const { uid, gid } = statSync(site)
    expect({ uid, gid }).toStrictEqual({ uid: NOBODY, gid: NOBODY })
  })

  needs('strace that may attach')('is flushed: itself, and all that is in it', async ({ dir }) => {
    const before = `set -- strace -f -qq -y -e trace=fsync -o '${join(dir, 'trace')}' "$@"`
    await inProcess(
      ({ atomicDirectory, require }, site) => {
        const fs = require('node:fs')
        return atomicDirectory(site, (staging: string) => {
          fs.rmSync(staging, { recursive: true })
          fs.mkdirSync(`${staging}/a`, { recursive: true })
          fs.writeFileSync(`${staging}/a/file`, 'new')
        }).then(({ files }) => files)
      },
      [join(dir, 'site')],
      { before },
    ).exit
    const trace = readFileSync(join(dir, 'trace'), 'utf8')
    const flushed = [...trace.matchAll(/fsync\(\d+<(.*?)>/g)].map(([, path]) =>
      path?.replace(/^.*\.site\.\w{12}\.atomic-tmp/, 'staging').replace(dir, 'dir'),
    )
    expect(flushed.sort()).toStrictEqual(['dir', 'staging', 'staging/a', 'staging/a/file'])
  })

  test('is not swept by another process that begins to work beside it', async ({ dir }) => {
    const site = join(dir, 'site')
    await atomicDirectory(site, async (staging) => {
      remake(staging)
      const other = ({ atomicWrite, until, require }: any, file: string, staging: string) => {
        const { existsSync } = require('node:fs')
        // Trees are swept by a thread of its own: a real orphan is there to tell when it has been at work.
        return atomicWrite(file, 'x').then(() => until(() => !existsSync(staging)))
      }
      const orphan = join(dir, '.orphan.abcdefghij09.atomic-tmp')
      mkdirSync(orphan)
      await inProcess(other, [join(dir, 'other'), orphan]).returned
    })
    expect(treeOf(dir)).toStrictEqual({ ...published, other: 'x' })
  })

  test('is swept when its builder is killed, and so is what guarded it', async ({ dir }) => {
    const builder = inProcess(
      ({ atomicDirectory, require, send }, site) =>
        atomicDirectory(site, (staging: string) => {
          const fs = require('node:fs')
          fs.rmSync(staging, { recursive: true })
          fs.mkdirSync(staging)
          fs.writeFileSync(`${staging}/file`, 'half')
          send('built')
          return new Promise(() => {})
        }).then(() => {}),
      [join(dir, 'site')],
    )
    await builder.next()
    builder.kill()
    await builder.exit
    expect(leftovers(dir)).toStrictEqual(names(dir))
    await inProcess(
      ({ atomicWrite, until, require }, dir) =>
        atomicWrite(`${dir}/other`, 'x').then(() =>
          until(() => require('node:fs').readdirSync(dir).length === 1),
        ),
      [dir],
    ).returned
    expect(names(dir)).toStrictEqual(['other'])
  })
})

describe('build rejects with ERR_ATOMIC_NO_TREE, and leaves nothing, when there is', () => {
  const cases: [string, (staging: string, dir: string) => void][] = [
    ['nothing', (staging) => rmSync(staging, { recursive: true })],
    [
      'a file',
      (staging) => {
        rmSync(staging, { recursive: true })
        writeFileSync(staging, 'x')
      },
    ],
    [
      'a symbolic link',
      (staging, dir) => {
        rmSync(staging, { recursive: true })
        plant(join(dir, 'outside'), { file: 'x' })
        symlinkSync('outside', staging)
      },
    ],
    ['nothing, for it was moved', (staging, dir) => renameSync(staging, join(dir, 'outside'))],
  ]
  for (const [what, spoil] of cases) {
    for (const old of [true, false]) {
      test(`${what}, ${old ? 'with' : 'without'} an old tree`, async ({ dir }) => {
        const site = join(dir, 'site')
        if (old) plant(site, { old: 'old' })
        let path = ''
        const error = await rejection(
          atomicDirectory(site, (staging) => {
            path = staging
            spoil(staging, dir)
          }),
        )
        expect(error).toMatchObject({ code: 'ERR_ATOMIC_NO_TREE', path })
        expect(error.message).toContain(`build left ${what.split(',')[0]} `)
        expect(error).not.toHaveProperty('committed')
        rmSync(join(dir, 'outside'), { recursive: true, force: true })
        expect(treeOf(dir)).toStrictEqual(old ? { 'site/old': 'old' } : {})
      })
    }
  }

  needs('root')("another user's directory", async ({ dir }) => {
    const error = await rejection(
      atomicDirectory(join(dir, 'site'), (staging) => {
        remake(staging)
        chownSync(staging, NOBODY, NOBODY)
      }),
    )
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NO_TREE' })
    expect(names(dir)).toStrictEqual([])
  })

  needs('root that may mount')('a mount point: it is neither published nor emptied', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    let mount = ''
    const error = await rejection(
      atomicDirectory(join(dir, 'site'), (staging) => {
        mount = staging
        execFileSync('mount', [...tmpfs('1m'), staging])
        plant(staging, { file: 'mounted' })
      }),
    )
    const found = treeOf(mount)
    execFileSync('umount', ['-l', mount])
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NO_TREE', path: mount })
    expect([found, treeOf(join(dir, 'site'))]).toStrictEqual([{ file: 'mounted' }, { old: 'old' }])
  })

  needs('strace that may attach')('another directory when all has been flushed', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    const main = ({ atomicDirectory, require }: Remote, site: string) => {
      const fs = require('node:fs') as typeof import('node:fs')
      return atomicDirectory(site, (staging: string) => fs.writeFileSync(`${staging}/file`, 'new')).then(
        () => 'resolved',
        ({ code, committed }) => ({ code, committed }),
      )
    }
    const { returned } = await systemCalls(main, [join(dir, 'site')], {
      trace: ['fsync'],
      inject: ['fsync:signal=SIGSTOP'],
      // The flush of a file goes on until the directory has been replaced.
      whileStopped() {
        const staging = names(dir).find((name) => existsSync(join(dir, name, 'file')))
        if (staging === undefined) return
        rmSync(join(dir, staging), { recursive: true })
        mkdirSync(join(dir, staging))
      },
    })
    expect(returned).toStrictEqual({ code: 'ERR_ATOMIC_NO_TREE' })
    expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
  })
})
