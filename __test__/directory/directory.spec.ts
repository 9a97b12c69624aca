import { AsyncLocalStorage } from 'node:async_hooks'
import { chmodSync, chownSync, existsSync, mkdirSync, readlinkSync, statSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { python } from '../helpers/attributes'
import { openBelow } from '../helpers/descriptors'
import { inside, leftovers, makeDir, names } from '../helpers/files'
import { enqueued } from '../helpers/group'
import { needs, testUnprivileged } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { gate, until } from '../helpers/promises'
import { test } from '../helpers/test'
import { built, plant, type Tree, treeOf } from '../helpers/trees'
import { giveAway, unprivileged } from '../helpers/users'

const modeOf = (path: string) => statSync(path).mode & 0o7777

const SITE: Tree = {
  'index.html': '<p>',
  'deep/er/page.html': 'page',
  'empty/': '',
  link: '->deep/er/page.html',
}

describe('a directory', () => {
  test('that was not there is made, with all that build put in it', async ({ dir }) => {
    const result = await atomicDirectory(join(dir, 'site'), (staging) => plant(staging, SITE))
    expect(result).toStrictEqual(built(dir, undefined, { files: 2, directories: 3, links: 1, bytes: 7 }))
    expect(treeOf(dir)).toStrictEqual(
      Object.fromEntries(Object.entries(SITE).map(([name, text]) => [`site/${name}`, text])),
    )
  })

  test('that is there is replaced as a whole, and nothing else is left', async ({ dir }) => {
    plant(join(dir, 'site'), { 'old.html': 'old', 'deep/old.html': 'old' })
    const inode = statSync(join(dir, 'site')).ino
    const result = await atomicDirectory(join(dir, 'site'), async (staging) => {
      plant(staging, { 'new.html': 'new' })
      expect(treeOf(join(dir, 'site'))).toHaveProperty('old.html')
      return 'what build returns'
    })
    expect(result).toStrictEqual(built(dir, 'what build returns', { files: 1, bytes: 3 }))
    expect(treeOf(dir)).toStrictEqual({ 'site/new.html': 'new' })
    expect(statSync(join(dir, 'site')).ino).not.toBe(inode)
  })

  test('may become empty', async ({ dir }) => {
    plant(join(dir, 'site'), SITE)
    await atomicDirectory(join(dir, 'site'), () => {})
    expect(treeOf(dir)).toStrictEqual({ 'site/': '' })
  })

  test('is built beside the old one, under a temp name, closed to others', async ({ dir }) => {
    mkdirSync(join(dir, 'site'))
    await atomicDirectory(join(dir, 'site'), (staging) => {
      expect(dirname(staging)).toBe(dir)
      const [, random] = /\.(\w{12})\.atomic-tmp$/.exec(staging) ?? []
      const guard = `.${random}.${random}.atomic-tmp`
      expect(leftovers(dir).sort()).toStrictEqual([basename(staging), guard].sort())
      expect([modeOf(staging), names(staging)]).toStrictEqual([0o700, []])
    })
  })

  test('gets its missing parents', async ({ dir }) => {
    await atomicDirectory(join(dir, 'a', 'b', 'site'), () => {})
    expect(treeOf(dir)).toStrictEqual({ 'a/b/site/': '' })
  })

  for (const suffix of ['/', '//']) {
    test(`may be called by a path that ends in ${suffix}`, async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      await atomicDirectory(`${dir}/site${suffix}`, (staging) => plant(staging, { new: 'new' }), {
        keepPrevious: true,
      })
      expect(treeOf(dir)).toStrictEqual({ 'site/new': 'new', 'site.previous/old': 'old' })
    })
  }

  test('may be called by a relative path, a Buffer or a URL', async ({ dir }) => {
    await inside(dir, () => atomicDirectory('a', () => {}))
    await atomicDirectory(Buffer.from(join(dir, 'b')), () => {})
    await atomicDirectory(pathToFileURL(join(dir, 'c')), () => {})
    expect(treeOf(dir)).toStrictEqual({ 'a/': '', 'b/': '', 'c/': '' })
  })

  test('behind a link is swapped, and the link stays', async ({ dir }) => {
    plant(dir, { 'real/site/old': 'old', link: '->real/site', around: '->real' })
    await atomicDirectory(join(dir, 'link'), (staging) => plant(staging, { new: '1' }))
    expect(treeOf(join(dir, 'real'))).toStrictEqual({ 'site/new': '1' })
    await atomicDirectory(join(dir, 'around', 'site'), (staging) => plant(staging, { new: '2' }))
    expect(treeOf(dir)).toStrictEqual({ around: '->real', link: '->real/site', 'real/site/new': '2' })
  })

  test('behind a link that leads nowhere is made there', async ({ dir }) => {
    symlinkSync('real', join(dir, 'link'))
    await atomicDirectory(join(dir, 'link'), (staging) => plant(staging, { new: '1' }))
    expect(treeOf(dir)).toStrictEqual({ link: '->real', 'real/new': '1' })
  })

  test('leaves alone what links in the old and in the new tree lead to', async ({ dir }) => {
    plant(dir, { 'outside/precious': 'x', 'outside/sub/deep': 'x' })
    plant(join(dir, 'site'), { link: '->../outside', file: '->../outside/precious' })
    const before = statSync(join(dir, 'outside', 'precious'))
    const result = await atomicDirectory(join(dir, 'site'), (staging) => {
      plant(staging, { link: '->../outside', loop: '->.', dangling: '->nowhere' })
    })
    expect(result).toMatchObject({ files: 0, directories: 0, links: 3, bytes: 0 })
    await atomicDirectory(join(dir, 'site'), () => {})
    expect(treeOf(join(dir, 'outside'))).toStrictEqual({ precious: 'x', 'sub/deep': 'x' })
    expect(statSync(join(dir, 'outside', 'precious'))).toMatchObject({ ino: before.ino, nlink: 1 })
  })

  needs('linux')('leaves no descriptor open', async ({ dir }) => {
    for (let i = 0; i < 3; i++) {
      await atomicDirectory(join(dir, 'site'), (staging) => plant(staging, SITE), { keepPrevious: true })
    }
    expect(openBelow(dir)).toStrictEqual([])
  })

  testUnprivileged('removes an old tree that its owner may not write to', async ({ dir }) => {
    plant(join(dir, 'site'), { 'closed/file': 'x', 'shut/file': 'x' })
    chmodSync(join(dir, 'site', 'closed'), 0o555)
    chmodSync(join(dir, 'site', 'shut'), 0o000)
    for (const path of ['.', 'site', 'site/closed', 'site/shut']) giveAway(join(dir, path))
    const user = inProcess(
      ({ atomicDirectory }, site) => atomicDirectory(site, () => {}),
      [join(dir, 'site')],
      unprivileged,
    )
    expect(await user.returned).toMatchObject({ leftover: null })
    expect(treeOf(dir)).toStrictEqual({ 'site/': '' })
  })
})

describe('build', () => {
  test('is called in the caller’s async context', async ({ dir }) => {
    const storage = new AsyncLocalStorage<string>()
    const seen = await storage.run('mine', () => atomicDirectory(join(dir, 'site'), () => storage.getStore()))
    expect(seen.value).toBe('mine')
  })

  test('may return any thenable', async ({ dir }) => {
    // biome-ignore lint/suspicious/noThenProperty: that is what a thenable is.
    const thenable = { then: (resolve: (value: number) => void) => void setTimeout(resolve, 10, 42) }
    expect(
      await atomicDirectory(join(dir, 'site'), () => thenable as unknown as PromiseLike<number>),
    ).toMatchObject({ value: 42 })
  })

  for (const value of [undefined, null, 0, 'text', Symbol.for('s'), { an: 'object' }]) {
    test(`has its value in the result: ${String(value)}`, async ({ dir }) => {
      expect((await atomicDirectory(join(dir, 'site'), () => value)).value).toBe(value)
    })
  }

  test('of calls for one directory runs one after the other, in call order, under every name', async ({
    dir,
  }) => {
    symlinkSync('site', join(dir, 'link'))
    const log: string[] = []
    const [first, second] = [gate(), gate()]
    const call = (path: string, name: string, wait: Promise<void>) =>
      atomicDirectory(path, async (staging) => {
        log.push(`${name} sees ${existsSync(join(dir, 'site')) ? names(join(dir, 'site')).join() : 'none'}`)
        await wait
        plant(staging, { [name]: 'x' })
      })
    const calls = [
      call(join(dir, 'site'), '1', first.opened),
      call(join(dir, 'link'), '2', second.opened),
      call(`${dir}/./site/`, '3', Promise.resolve()),
    ]
    await until(() => log.length > 0)
    second.open()
    await enqueued(dir)
    expect(log).toStrictEqual(['1 sees none'])
    first.open()
    await Promise.all(calls)
    expect(log).toStrictEqual(['1 sees none', '2 sees 1', '3 sees 2'])
    expect(treeOf(dir)).toStrictEqual({ link: '->site', 'site/3': 'x' })
  })

  test('of calls for other directories need not wait', async ({ dir }) => {
    const held = gate()
    const first = atomicDirectory(join(dir, 'one'), () => held.opened)
    await atomicDirectory(join(dir, 'two'), () => {})
    held.open()
    await first
    expect(names(dir)).toStrictEqual(['one', 'two'])
  })
})

describe('the mode of the directory itself', () => {
  for (const umask of ['000', '022', '077']) {
    test(`is 0777 less the umask ${umask} when it is new`, async ({ dir }) => {
      const site = join(dir, 'site')
      const maker = inProcess(({ atomicDirectory }, site) => atomicDirectory(site, () => {}), [site], {
        before: `umask ${umask}`,
      })
      await maker.returned
      expect(modeOf(site)).toBe(0o777 & ~Number.parseInt(umask, 8))
    })
  }

  for (const mode of [0o700, 0o755, 0o775, 0o2775, 0o1777, 0o555, 0o711]) {
    test(`is that of the old one: ${mode.toString(8)}`, async ({ dir }) => {
      const site = makeDir(dir, 'site')
      chmodSync(site, mode)
      await atomicDirectory(site, (staging) => chmodSync(staging, 0o777))
      expect(modeOf(site)).toBe(mode)
    })
  }

  test('is the one that is given', async ({ dir }) => {
    for (const mode of [0o750, '711']) {
      await atomicDirectory(join(dir, 'site'), () => {}, { mode })
      expect(modeOf(join(dir, 'site')).toString(8)).toBe(Number(mode) === 0o750 ? '750' : '711')
    }
  })

  needs('linux', 'root')('comes with the owner, and what is in it gets its group', async ({ dir }) => {
    const site = makeDir(dir, 'site')
    chownSync(site, 12345, 23456)
    chmodSync(site, 0o2770)
    await atomicDirectory(site, (staging) => plant(staging, { file: 'x' }))
    expect(statSync(site)).toMatchObject({ uid: 12345, gid: 23456, mode: 0o42770 })
    expect(statSync(join(site, 'file')).gid).toBe(23456)
  })

  needs(
    'linux',
    'python3',
    'a temporary folder on a disk',
  )('comes with the extended attributes', async ({ dir }) => {
    const site = makeDir(dir, 'site')
    python("os.setxattr(path, 'user.origin', b'pipeline')", site)
    await atomicDirectory(site, () => {})
    expect(python("print(os.getxattr(path, 'user.origin').decode())", site)).toBe('pipeline')
  })
})

describe('keepPrevious', () => {
  const version = (dir: string, n: number, options = {}) =>
    atomicDirectory(join(dir, 'site'), (staging) => plant(staging, { v: `${n}` }), options)

  test('of a new directory keeps nothing', async ({ dir }) => {
    expect(await version(dir, 1, { keepPrevious: true })).toMatchObject({ previous: null })
    expect(treeOf(dir)).toStrictEqual({ 'site/v': '1' })
  })

  test('true keeps the version before beside it, and only that', async ({ dir }) => {
    await version(dir, 1)
    for (let n = 2; n < 5; n++) {
      expect(await version(dir, n, { keepPrevious: true })).toMatchObject({
        previous: join(dir, 'site.previous'),
        leftover: null,
      })
      expect(treeOf(dir)).toStrictEqual({ 'site/v': `${n}`, 'site.previous/v': `${n - 1}` })
    }
  })

  test('may be a path, whose parents are made', async ({ dir }) => {
    await version(dir, 1)
    const previous = join(dir, 'archive', 'of', 'sites', 'last')
    for (let n = 2; n < 4; n++) {
      expect(await version(dir, n, { keepPrevious: previous })).toMatchObject({ previous })
      expect(treeOf(dir)).toStrictEqual({ 'site/v': `${n}`, 'archive/of/sites/last/v': `${n - 1}` })
    }
  })

  test('may be a link to a directory, which stays', async ({ dir }) => {
    await version(dir, 1)
    plant(dir, { 'archive/last/v': '0', link: '->archive/last' })
    await version(dir, 2, { keepPrevious: join(dir, 'link') })
    expect(treeOf(dir)).toStrictEqual({ 'archive/last/v': '1', link: '->archive/last', 'site/v': '2' })
  })

  test('false keeps nothing, and leaves an older one alone', async ({ dir }) => {
    await version(dir, 1)
    await version(dir, 2, { keepPrevious: true })
    await version(dir, 3, { keepPrevious: false })
    expect(treeOf(dir)).toStrictEqual({ 'site/v': '3', 'site.previous/v': '1' })
  })

  test('keeps the very same directory: a reader that has it open reads on', async ({ dir }) => {
    await version(dir, 1)
    const inode = statSync(join(dir, 'site')).ino
    await version(dir, 2, { keepPrevious: true })
    expect(statSync(join(dir, 'site.previous')).ino).toBe(inode)
    expect(readlinkSync('/proc/self/cwd')).toBe(process.cwd())
  })
})
