import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names } from '../helpers/files'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { built, plant, type Tree, treeOf } from '../helpers/trees'

const many = (folders: number, files: number): Tree =>
  Object.fromEntries(
    Array.from({ length: folders * files }, (_, i) => [`${i % folders}/${Math.floor(i / folders)}`, '']),
  )

describe('what is flushed', () => {
  const traced = (dir: string, options: object, inject: string[] = []) =>
    systemCalls(
      async ({ atomicDirectory, require }, site, options) => {
        const fs = require('node:fs')
        return atomicDirectory(
          site,
          (staging: string) => {
            fs.mkdirSync(`${staging}/a/b`, { recursive: true })
            for (const name of ['top', 'a/middle', 'a/b/leaf']) fs.writeFileSync(`${staging}/${name}`, name)
            fs.symlinkSync('top', `${staging}/link`)
          },
          options,
        ).then(
          () => 'resolved',
          ({ code, syscall, path, committed }: any) => ({ code, syscall, path, committed }),
        )
      },
      [join(dir, 'site'), options],
      { trace: ['fsync', 'renameat2', 'unlinkat'], inject },
    )

  /** The part of a path after the folder in which the tree is built. */
  const flushed = (args: string) => /\.site\.\w{12}\.atomic-tmp(.*)>/.exec(args)?.[1]

  needs('strace that may attach')(
    'is every file and every directory before the swap, its own last, and its parent after',
    async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      const { returned, calls } = await traced(dir, {})
      expect(returned).toBe('resolved')
      const swap = calls.findIndex(({ name, args }) => name === 'renameat2' && args.includes('"site"'))
      const before = calls.slice(0, swap).filter(({ name }) => name === 'fsync')
      expect(before.map(({ args }) => flushed(args)).sort()).toStrictEqual(
        ['', '/a', '/a/b', '/a/b/leaf', '/a/middle', '/top'].sort(),
      )
      expect(flushed(before.at(-1)?.args ?? '')).toBe('')
      for (const call of before) expect(call.ended).toBeLessThan(calls[swap]?.began ?? 0)
      const after = calls.slice(swap).map(({ name, args }) => (name === 'fsync' ? args : name))
      expect(after).toStrictEqual([
        'renameat2',
        expect.stringContaining(`<${realpathSync(dir)}>`),
        // The guard, and the old tree.
        ...['unlinkat', 'unlinkat', 'unlinkat'],
      ])
    },
  )

  needs('strace that may attach')('is nothing without flush', async ({ dir }) => {
    const { calls } = await traced(dir, { flush: false })
    expect(calls.filter(({ name }) => name === 'fsync')).toStrictEqual([])
  })

  needs('strace that may attach')(
    'must succeed: after a failed fsync of the tree the old one stands and nothing is left',
    async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      const { returned } = await traced(dir, {}, ['fsync:error=EIO:when=1'])
      expect(returned).toMatchObject({ code: 'EIO', syscall: 'fsync' })
      expect((returned as any).path).toMatch(/\/site(\/(top|a|a\/middle|a\/b|a\/b\/leaf))?$/)
      expect((returned as any).committed).toBeUndefined()
      expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
    },
  )

  needs('strace that may attach')(
    'must succeed: after a failed fsync of the parent the error says committed, and the old tree is kept beside',
    async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      const site = join(dir, 'site')
      const { returned } = await systemCalls(
        ({ atomicDirectory }, site) =>
          atomicDirectory(site, () => {}).then(
            () => 'resolved',
            ({ code, syscall, path, committed }: any) => ({ code, syscall, path, committed }),
          ),
        [site],
        // In an empty tree the first of that thread is its own, the second its parent's.
        { trace: ['fsync'], inject: ['fsync:error=EIO:when=2'], env: { UV_THREADPOOL_SIZE: '1' } },
      )
      expect(returned).toStrictEqual({ code: 'EIO', syscall: 'fsync', path: site, committed: true })
      expect(names(site)).toStrictEqual([])
      expect(Object.values(treeOf(dir))).toContain('old')
    },
  )
})

describe('a tree', () => {
  needs('root that may mount')('in memory is not durable, and the result says so', async ({ dir }) => {
    await mounted(join(dir, 'memory'), tmpfs('1m'), async (at) => {
      for (const files of [1, 2]) {
        const result = await atomicDirectory(join(at, 'site'), (staging) => plant(staging, many(1, files)))
        expect(result).toStrictEqual(built(at, undefined, { files, directories: 1, durable: false }))
      }
    })
  })

  test('without flush is not durable', async ({ dir }) => {
    expect(await atomicDirectory(join(dir, 'site'), () => {}, { flush: false })).toMatchObject({
      durable: false,
    })
  })

  needs('linux')('may hold names that are not valid UTF-8', async ({ dir }) => {
    const odd = [
      Buffer.from([0x66, 0xff]),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('new\nline'),
      Buffer.from('-rf'),
    ]
    for (const round of [1, 2]) {
      const result = await atomicDirectory(join(dir, 'site'), (staging) => {
        for (const name of odd) {
          const folder = Buffer.concat([Buffer.from(`${staging}/`), name])
          mkdirSync(folder)
          writeFileSync(Buffer.concat([folder, Buffer.from('/'), name]), `${round}`)
        }
      })
      expect(result).toMatchObject({ files: 4, directories: 4, bytes: 4, leftover: null })
    }
    const found = readdirSync(join(dir, 'site'), { encoding: 'buffer' })
    expect(found.sort(Buffer.compare)).toStrictEqual(odd.sort(Buffer.compare))
  })

  needs('linux')('may be deeper than any path is long', async ({ dir }) => {
    const DEPTH = 40
    const NAME = 'd'.repeat(200)
    for (let round = 0; round < 2; round++) {
      const result = await atomicDirectory(join(dir, 'site'), (staging) => {
        // By a process that goes down step by step: no path is that long.
        const script = `cd "$1" && i=0 && while [ $i -lt ${DEPTH} ]; do mkdir ${NAME} && cd -P ${NAME}; i=$((i+1)); done; echo x >file`
        execFileSync('sh', ['-c', script, 'sh', staging])
      })
      expect(result).toMatchObject({ files: 1, directories: DEPTH, leftover: null })
    }
    await atomicDirectory(join(dir, 'site'), () => {})
    expect(treeOf(dir)).toStrictEqual({ 'site/': '' })
  })
})

describe('a limit of 256 descriptors', () => {
  test('is enough for hundreds of files in hundreds of directories, in four trees at once', async ({
    dir,
  }) => {
    const child = inProcess(
      async ({ atomicDirectory, require }, dir) => {
        const fs = require('node:fs')
        const build = (staging: string) => {
          for (let i = 0; i < 100; i++) {
            fs.mkdirSync(`${staging}/${i}`)
            for (let j = 0; j < 3; j++) fs.writeFileSync(`${staging}/${i}/${j}`, '')
          }
          fs.mkdirSync(staging + '/d'.repeat(300), { recursive: true })
        }
        const results = []
        for (const flush of [true, false]) {
          const options = { keepPrevious: true, flush }
          const trees = [0, 1, 2, 3].map((i) => atomicDirectory(`${dir}/${i}`, build, options))
          results.push(...(await Promise.all(trees)))
        }
        return results.map(({ files, directories }) => `${files} ${directories}`)
      },
      [dir],
      { before: 'ulimit -n 256' },
    )
    expect(await child.returned).toStrictEqual(Array(8).fill('300 400'))
  })
})

describe('a full disk', () => {
  needs('root that may mount')('in build is what build throws, and leaves the old tree', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('2m'), async (disk) => {
      plant(join(disk, 'site'), { old: 'old' })
      const error = await rejection(
        atomicDirectory(join(disk, 'site'), (staging) => {
          for (let i = 0; i < 100; i++) writeFileSync(join(staging, `${i}`), Buffer.alloc(100_000))
        }),
      )
      expect(error).toMatchObject({ code: 'ENOSPC' })
      expect(treeOf(disk)).toStrictEqual({ 'site/old': 'old' })
      expect(openBelow(disk)).toStrictEqual([])
      // The room is free again.
      await atomicDirectory(join(disk, 'site'), (staging) => {
        writeFileSync(join(staging, 'new'), Buffer.alloc(1_800_000))
      })
      expect(names(join(disk, 'site'))).toStrictEqual(['new'])
    })
  })

  needs('root that may mount')('before build is ENOSPC for the mkdir', async ({ dir }) => {
    await mounted(join(dir, 'disk'), ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=3', 'tmpfs'], async (disk) => {
      plant(join(disk, 'site'), { old: 'old' })
      const error = await rejection(atomicDirectory(join(disk, 'site'), () => {}))
      expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'mkdir', path: join(disk, 'site') })
      expect(treeOf(disk)).toStrictEqual({ 'site/old': 'old' })
    })
  })

  needs('root that may mount')('that is read-only is EROFS', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      plant(join(disk, 'site'), { old: 'old' })
      execFileSync('mount', ['-o', 'remount,ro', disk])
      expect(await rejection(atomicDirectory(join(disk, 'site'), () => {}))).toMatchObject({ code: 'EROFS' })
    })
  })
})
