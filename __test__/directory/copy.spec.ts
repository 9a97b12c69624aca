import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { copyDirectoryAtomic } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { makeDir, names, pattern } from '../helpers/files'
import { mounted, needs, OTHER_USER, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { socketAt } from '../helpers/socket'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { plant, replaced, type Tree, treeOf } from '../helpers/trees'
import { giveAway, NOBODY, unprivileged } from '../helpers/users'

const loosely = copyDirectoryAtomic as (...args: unknown[]) => Promise<unknown>
const modeOf = (path: string) => statSync(path).mode & 0o7777

const THEME: Tree = {
  'index.css': 'css',
  'deep/er/font.woff': 'font',
  'empty/': '',
  link: '->deep/er/font.woff',
  out: '->../../outside',
  dangling: '->nowhere',
}

describe('a copy', () => {
  test('has the files, the links as they are, and the empty directories', async ({ dir }) => {
    plant(join(dir, 'theme'), THEME)
    const result = await copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site'))
    expect(result).toStrictEqual(replaced(dir, { files: 2, directories: 3, links: 3, bytes: 7 }))
    expect(treeOf(join(dir, 'site'))).toStrictEqual(THEME)
    expect(treeOf(join(dir, 'theme'))).toStrictEqual(THEME)
    expect(names(dir)).toStrictEqual(['site', 'theme'])
    if (process.platform === 'linux') expect(openBelow(dir)).toStrictEqual([])
  })

  test('replaces what was there, which may be kept', async ({ dir }) => {
    plant(dir, { 'theme/new': 'new', 'site/old': 'old' })
    const result = await copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site'), { keepPrevious: true })
    expect(result.previous).toBe(join(dir, 'site.previous'))
    expect(treeOf(dir)).toStrictEqual({ 'theme/new': 'new', 'site/new': 'new', 'site.previous/old': 'old' })
  })

  test('is taken of what a link leads to', async ({ dir }) => {
    plant(dir, { 'real/file': 'x', link: '->real' })
    await copyDirectoryAtomic(join(dir, 'link'), join(dir, 'site'))
    expect(treeOf(join(dir, 'site'))).toStrictEqual({ file: 'x' })
  })

  testUnprivileged(
    'has the modes, also of directories that their owner may not write to',
    async ({ dir }) => {
      plant(join(dir, 'theme'), { run: 'x', secret: 'x', 'closed/within/file': 'x', 'shared/file': 'x' })
      const modes = {
        run: 0o755,
        secret: 0o600,
        'closed/within': 0o500,
        closed: 0o555,
        shared: 0o1777,
        '.': 0o751,
      }
      for (const [name, mode] of Object.entries(modes)) chmodSync(join(dir, 'theme', name), mode)
      const copied = [...Object.keys(modes), 'closed/within/file'].map((name) => `theme/${name}`)
      for (const name of ['.', 'theme', ...copied]) giveAway(join(dir, name))
      const copier = inProcess(
        ({ copyDirectoryAtomic }, dir) => {
          process.umask(0o077)
          return copyDirectoryAtomic(`${dir}/theme`, `${dir}/site`)
        },
        [dir],
        unprivileged,
      )
      expect(await copier.returned).toMatchObject({ files: 4, directories: 3 })
      for (const [name, mode] of Object.entries(modes)) {
        expect([name, modeOf(join(dir, 'site', name))]).toStrictEqual([name, mode])
      }
    },
  )

  needs('linux', 'root')('has no set-id bits: those were granted to another file', async ({ dir }) => {
    plant(join(dir, 'theme'), { tool: 'x' })
    chmodSync(join(dir, 'theme', 'tool'), 0o6755)
    await copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site'))
    expect(modeOf(join(dir, 'site', 'tool'))).toBe(0o755)
  })

  test('has every byte of large files in its place, and holes stay holes', async ({ dir }) => {
    const theme = makeDir(dir, 'theme')
    const data = pattern(20 << 20)
    writeFileSync(join(theme, 'large'), data)
    const sparse = openSync(join(theme, 'sparse'), 'w')
    writeSync(sparse, 'start', 0)
    writeSync(sparse, 'middle', 600 << 20)
    ftruncateSync(sparse, 1 << 30)
    closeSync(sparse)
    const result = await copyDirectoryAtomic(theme, join(dir, 'site'), { verify: false })
    expect(result.bytes).toBe(data.length + (1 << 30))
    expect(readFileSync(join(dir, 'site', 'large')).equals(data)).toBe(true)
    const copy = statSync(join(dir, 'site', 'sparse'))
    expect([copy.size, copy.blocks * 512 < 4 << 20]).toStrictEqual([1 << 30, true])
    const found = Buffer.alloc(6)
    const fd = openSync(join(dir, 'site', 'sparse'), 'r')
    readSync(fd, found, 0, 6, 600 << 20)
    closeSync(fd)
    expect(found.toString()).toBe('middle')
  })

  needs('root that may mount')('may come of another file system', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('8m'), async (disk) => {
      plant(join(disk, 'theme'), THEME)
      writeFileSync(join(disk, 'theme', 'large'), pattern(3 << 20))
      await copyDirectoryAtomic(join(disk, 'theme'), join(dir, 'site'))
      expect(readFileSync(join(dir, 'site', 'large')).equals(pattern(3 << 20))).toBe(true)
      expect(await copyDirectoryAtomic(join(dir, 'site'), join(disk, 'back'))).toMatchObject({
        durable: false,
      })
      expect(readFileSync(join(disk, 'back', 'large')).equals(pattern(3 << 20))).toBe(true)
    })
  })

  needs('linux')('has names that are not valid UTF-8', async ({ dir }) => {
    const odd = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])])
    mkdirSync(odd)
    writeFileSync(Buffer.concat([odd, Buffer.from('/'), Buffer.from([0xc3, 0x28])]), 'x')
    const to = Buffer.concat([odd, Buffer.from('-copy')])
    expect(await copyDirectoryAtomic(odd, to)).toMatchObject({ files: 1 })
    expect(readFileSync(Buffer.concat([to, Buffer.from('/'), Buffer.from([0xc3, 0x28])]), 'utf8')).toBe('x')
  })

  test('does not hold up the event loop', async ({ dir }) => {
    const files = Array.from({ length: 800 }, (_, i) => [`${i % 50}/${i}`, `${i}`])
    plant(join(dir, 'theme'), Object.fromEntries(files))
    let [turns, over] = [0, false]
    const copying = copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site')).finally(() => {
      over = true
    })
    for (; !over; turns++) await nextTurn()
    await copying
    // If it ran on this thread, the event loop would turn a few times.
    expect(turns).toBeGreaterThan(200)
    expect(Object.keys(treeOf(join(dir, 'site')))).toHaveLength(800)
  })

  test('is enough at a limit of 256 descriptors', async ({ dir }) => {
    const files = Array.from({ length: 300 }, (_, i) => [`${i % 150}/${i}`, `${i}`])
    plant(join(dir, 'theme'), Object.fromEntries(files))
    const copier = inProcess(
      async ({ copyDirectoryAtomic }, dir) => {
        const copies = [0, 1, 2, 3].map((i) => copyDirectoryAtomic(`${dir}/theme`, `${dir}/${i}`))
        return (await Promise.all(copies)).map(({ files, directories }) => `${files} ${directories}`)
      },
      [dir],
      { before: 'ulimit -n 256' },
    )
    expect(await copier.returned).toStrictEqual(Array(4).fill('300 150'))
  })
})

describe('what cannot be copied', () => {
  test('leaves the old tree: a socket, with its path', async ({ dir }) => {
    plant(dir, { 'theme/a/file': 'x', 'site/old': 'old' })
    const socket = join(dir, 'theme', 'a', 'socket')
    const server = await socketAt(socket)
    const error = await rejection(copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site')))
    server.close()
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR', path: socket })
    expect(treeOf(join(dir, 'site'))).toStrictEqual({ old: 'old' })
    expect(names(dir)).toStrictEqual(['site', 'theme'])
  })

  needs('linux')('leaves the old tree: a FIFO, at once', async ({ dir }) => {
    plant(dir, { 'theme/file': 'x', 'site/old': 'old' })
    execFileSync('mkfifo', [join(dir, 'theme', 'fifo')])
    const error = await rejection(copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site')))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR', path: join(dir, 'theme', 'fifo') })
  })

  needs('root that may mount')('leaves the old tree: a device', async ({ dir }) => {
    plant(dir, { 'theme/file': 'x' })
    execFileSync('mknod', [join(dir, 'theme', 'null'), 'c', '1', '3'])
    const error = await rejection(copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site')))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR', path: join(dir, 'theme', 'null') })
    expect(names(dir)).toStrictEqual(['theme'])
  })

  for (const [from, to] of [
    ['theme', 'theme'],
    ['theme', 'theme/copy'],
    ['theme', 'theme/a/b/c'],
    ['theme/a', 'theme'],
    ['theme', 'link/copy'],
  ]) {
    test(`is EINVAL: ${from} to ${to}`, async ({ dir }) => {
      plant(dir, { 'theme/a/file': 'x', link: '->theme' })
      const paths = [join(dir, `${from}`), join(dir, `${to}`)] as const
      const error = await rejection(copyDirectoryAtomic(...paths, { mkdir: false }))
      if (to === 'theme/a/b/c') expect(error).toMatchObject({ code: 'ENOENT' })
      else expect(error).toMatchObject({ code: 'EINVAL', syscall: 'cp', path: paths[0] })
      expect(treeOf(dir)).toStrictEqual({ 'theme/a/file': 'x', link: '->theme' })
    })
  }

  test('is ENOENT or ENOTDIR with the path of what is to be copied', async ({ dir }) => {
    plant(dir, { file: 'x' })
    for (const [name, code] of [
      ['nothing', 'ENOENT'],
      ['file', 'ENOTDIR'],
    ] as const) {
      const from = join(dir, name)
      expect(await rejection(copyDirectoryAtomic(from, join(dir, 'site')))).toMatchObject({
        ...{ code, syscall: 'open', path: from, message: expect.stringContaining(`'${from}'`) },
      })
    }
    expect(names(dir)).toStrictEqual(['file'])
  })

  needs('linux', ...OTHER_USER)('is EACCES for what may not be read', async ({ dir }) => {
    plant(join(dir, 'theme'), { 'a/secret': 'x' })
    chmodSync(join(dir, 'theme', 'a', 'secret'), 0o600)
    chmodSync(dir, 0o777)
    const copier = inProcess(
      ({ copyDirectoryAtomic }, dir) =>
        copyDirectoryAtomic(`${dir}/theme`, `${dir}/site`).catch(({ code, syscall, path }: any) => ({
          code,
          syscall,
          path,
        })),
      [dir],
      { uid: NOBODY },
    )
    const path = join(dir, 'theme', 'a', 'secret')
    expect(await copier.returned).toStrictEqual({ code: 'EACCES', syscall: 'open', path })
    expect(names(dir)).toStrictEqual(['theme'])
  })

  needs('root that may mount')('is ENOSPC on a full disk: the old tree stands', async ({ dir }) => {
    plant(join(dir, 'theme'), { small: 'x' })
    writeFileSync(join(dir, 'theme', 'large'), pattern(3 << 20))
    await mounted(join(dir, 'disk'), tmpfs('2m'), async (disk) => {
      plant(join(disk, 'site'), { old: 'old' })
      expect(await rejection(copyDirectoryAtomic(join(dir, 'theme'), join(disk, 'site')))).toMatchObject({
        code: 'ENOSPC',
      })
      expect(treeOf(disk)).toStrictEqual({ 'site/old': 'old' })
    })
  })
})

describe('verify', () => {
  const reads = async (dir: string, options: object) => {
    plant(join(dir, 'theme'), { file: 'content' })
    const { calls } = await systemCalls(
      ({ copyDirectoryAtomic }, dir, options) => copyDirectoryAtomic(`${dir}/theme`, `${dir}/site`, options),
      [dir, options],
      { trace: ['pread64'] },
    )
    return calls.filter(({ args }) => args.includes('.atomic-tmp/file')).length
  }

  needs('strace that may attach')('reads every copy back', async ({ dir }) => {
    expect(await reads(dir, {})).toBeGreaterThan(0)
  })

  needs('strace that may attach')('false does not', async ({ dir }) => {
    expect(await reads(dir, { verify: false })).toBe(0)
  })

  needs('strace that may attach')(
    'finds a copy that lacks what the kernel said it had copied',
    async ({ dir }) => {
      plant(join(dir, 'theme'), { 'a/file': 'content' })
      const copy = (options: object) =>
        systemCalls(
          ({ copyDirectoryAtomic }, dir, options) =>
            copyDirectoryAtomic(`${dir}/theme`, `${dir}/site`, options).then(
              () => 'copied',
              ({ code, path, offset }: any) => ({ code, path, offset }),
            ),
          [dir, options],
          // Said to have copied all of it, it has copied nothing; and no sharing of blocks.
          { trace: ['copy_file_range'], inject: ['copy_file_range:retval=7', 'ioctl:error=EOPNOTSUPP'] },
        )
      const { returned } = await copy({})
      expect(returned).toStrictEqual({
        code: 'ERR_ATOMIC_VERIFY',
        path: join(dir, 'theme/a/file'),
        offset: 0,
      })
      expect(names(dir)).toStrictEqual(['theme'])
      expect((await copy({ verify: false })).returned).toBe('copied')
      expect(treeOf(join(dir, 'site'))).toStrictEqual({ 'a/file': '\0'.repeat(7) })
    },
  )
})

describe('arguments', () => {
  for (const [title, args] of [
    ['from is no path', [1, 'b']],
    ['to is no path', ['a', {}]],
    ['options is no object', ['a', 'b', 1]],
    ['verify is a word', ['a', 'b', { verify: 'device' }]],
  ] as const) {
    test(`are refused by a rejection when ${title}`, async () => {
      expect(await rejection(loosely(...args))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      })
    })
  }

  test('an abort in the middle leaves the old tree and nothing else', async ({ dir }) => {
    const files = Array.from({ length: 500 }, (_, i) => [`${i % 50}/${i}`, `${i}`])
    plant(join(dir, 'theme'), Object.fromEntries(files))
    plant(join(dir, 'site'), { old: 'old' })
    for (const delay of [0, 3, 10, 20]) {
      const error = await copyDirectoryAtomic(join(dir, 'theme'), join(dir, 'site'), {
        signal: AbortSignal.timeout(delay),
      }).catch((error) => error)
      expect(names(dir)).toStrictEqual(['site', 'theme'])
      if (error.code !== 'ABORT_ERR') break
      expect(treeOf(join(dir, 'site'))).toStrictEqual({ old: 'old' })
    }
  })
})
