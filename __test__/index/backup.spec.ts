import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { onAnotherFileSystem } from '../helpers/another-file-system'
import { leftovers, makeDir, names, state } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { mounted, needs, OTHER_USER, withAttribute } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection, until } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { NOBODY } from '../helpers/users'

describe('where the backup goes', () => {
  test('with true, beside the index, with .backup at the end', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup: true })
    expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('with false, nowhere', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup: false })
    expect(names(dir)).toEqual(['index.json'])
  })

  const kinds: [string, (path: string) => string | Buffer | URL][] = [
    ['a string', (path) => path],
    ['a Buffer', (path) => Buffer.from(path)],
    ['a URL', (path) => pathToFileURL(path)],
  ]
  test.for(kinds)('with %s, there', async ([, make], { dir, file }) => {
    const backup = join(dir, 'kept.json')
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup: make(backup) })
    expect(readJson(backup)).toEqual({ n: 1 })
    expect(names(dir)).toEqual(['index.json', 'kept.json'])
  })

  test('in another folder', async ({ dir, file }) => {
    const other = makeDir(dir, 'other')
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup: join(other, 'kept.json') })
    expect(readJson(join(other, 'kept.json'))).toEqual({ n: 1 })
    expect(names(other)).toEqual(['kept.json'])
  })

  test('in a folder that has to be made', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const backup = join(dir, 'a', 'b', 'kept.json')
    await atomicIndexUpdate(file, increment, { backup })
    expect(readJson(backup)).toEqual({ n: 1 })
  })

  test('for an index behind a link, beside the link', async ({ dir }) => {
    const [links, data] = [makeDir(dir, 'links'), makeDir(dir, 'data')]
    const link = join(links, 'index.json')
    writeJson(join(data, 'real.json'), { n: 1 })
    symlinkSync('../data/real.json', link)
    await atomicIndexUpdate(link, increment, { backup: true })
    expect(readJson(`${link}.backup`)).toEqual({ n: 1 })
    expect(names(data)).toEqual(['real.json'])
  })

  test('through a link that lies where it belongs', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    symlinkSync('kept.json', `${file}.backup`)
    await atomicIndexUpdate(file, increment, { backup: true })
    expect(readJson(join(dir, 'kept.json'))).toEqual({ n: 1 })
  })
})

describe('what the backup is', () => {
  test('the very file that was replaced: nothing is copied', async ({ file }) => {
    writeJson(file, { n: 1 })
    const { ino } = statSync(file)
    await atomicIndexUpdate(file, increment, { backup: true })
    expect(statSync(`${file}.backup`).ino).toBe(ino)
    expect(statSync(file).ino).not.toBe(ino)
  })

  test('the text as it was, to the byte', async ({ file }) => {
    const text = '{ "n" : 1,\n\n "ü": [ ] }  \n'
    writeFileSync(file, text)
    await atomicIndexUpdate(file, increment, { backup: true })
    expect(readFileSync(`${file}.backup`, 'utf8')).toBe(text)
  })

  test('always the version before this one', async ({ file }) => {
    writeJson(file, { n: 0 })
    for (let n = 0; n < 3; n++) {
      await atomicIndexUpdate(file, increment, { backup: true })
      expect(readJson(`${file}.backup`)).toEqual({ n })
    }
  })

  test('a file of its own: a later write to it does not reach the index', async ({ file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup: true })
    writeFileSync(`${file}.backup`, 'scribble')
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('right also when the old version has that name already', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    linkSync(file, `${file}.backup`)
    await atomicIndexUpdate(file, increment, { backup: true })
    expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  onAnotherFileSystem('a copy on another file system', async (file, backup) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, increment, { backup })
    expect(readJson(backup)).toEqual({ n: 1 })
    await atomicIndexUpdate(file, increment, { backup })
    expect(readJson(backup)).toEqual({ n: 2 })
    expect(readJson(file)).toEqual({ n: 3 })
    expect(names(dirname(backup))).toEqual(['kept.json'])
  })

  onAnotherFileSystem('no more open than the index was, also as a copy', async (file, backup) => {
    writeFileSync(file, '{"n":1}', { mode: 0o600 })
    await atomicIndexUpdate(file, increment, { backup, mode: 0o644 })
    expect(statSync(backup).mode & 0o777).toBe(0o600)
  })
})

describe('the backup is not touched', () => {
  const fruitless: [when: string, fn: (index: any) => any][] = [
    ['nothing changes', (index) => index],
    [
      'fn throws',
      () => {
        throw new Error('no')
      },
    ],
    ['fn rejects', () => Promise.reject(new Error('no'))],
    ['fn returns no index', () => 1],
  ]
  test.for(fruitless)('when %s', async ([, fn], { dir, file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    writeFileSync(`${file}.backup`, 'older')
    const before = state(`${file}.backup`)
    await atomicIndexUpdate(file, fn, { backup: true }).catch(() => {})
    expect(state(`${file}.backup`)).toEqual(before)
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  })

  test('when there was no version before', async ({ dir, file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }), { backup: true })
    expect(names(dir)).toEqual(['index.json'])
  })
})

describe('a backup that cannot be made rejects the update, and the index stands', () => {
  const impossible: [what: string, code: string, prepare: (dir: string, file: string) => unknown][] = [
    ['a folder in its place', 'EISDIR', (_, file) => mkdirSync(`${file}.backup`)],
    ['a name that is too long', 'ENAMETOOLONG', (dir) => join(dir, 'x'.repeat(256))],
    ['a file where its folder should be', 'ENOTDIR', (_, file) => join(file, 'kept.json')],
    ['a loop of links', 'ELOOP', (_, file) => symlinkSync('index.json.backup', `${file}.backup`)],
  ]
  test.for(impossible)('%s: %s', async ([, code, prepare], { dir, file }) => {
    writeJson(file, { n: 1 })
    const elsewhere = prepare(dir, file)
    const backup = typeof elsewhere === 'string' ? elsewhere : true
    const [before, namesBefore] = [state(file), names(dir)]
    const error = await rejection(atomicIndexUpdate(file, increment, { backup }))
    expect(error).toMatchObject({ code, syscall: expect.any(String), errno: expect.any(Number) })
    expect(error.message).toContain(backup === true ? `${file}.backup` : backup)
    expect(error.committed).toBeUndefined()
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(namesBefore)
  })

  test.for(['index.json', './index.json', 'link.json'])(
    'the index itself, as %s',
    async (name, { dir, file }) => {
      writeJson(file, { n: 1 })
      symlinkSync('index.json', join(dir, 'link.json'))
      const before = state(file)
      const error = await rejection(atomicIndexUpdate(file, increment, { backup: `${dir}/${name}` }))
      expect(error.code).toMatch(/^(EINVAL|ERR_INVALID_ARG_VALUE)$/)
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json', 'link.json'])
    },
  )

  test('a name of 255 bytes has no room for .backup', async ({ dir }) => {
    const name = 'x'.repeat(255)
    writeJson(join(dir, name), { n: 1 })
    const error = await rejection(atomicIndexUpdate(join(dir, name), increment, { backup: true }))
    expect(error).toMatchObject({ code: 'ENAMETOOLONG' })
    expect(readJson(join(dir, name))).toEqual({ n: 1 })
    expect(names(dir)).toEqual([name])
  })
})

test('many updates with a backup, in many processes at once, leave both whole', async ({ dir, file }) => {
  const count = async ({ atomicIndexUpdate }: Remote, file: string) => {
    const add = (index: { n: number }) => ({ n: index.n + 1 })
    for (let round = 0; round < 25; round++) {
      await atomicIndexUpdate(file, add, { initial: { n: 0 }, backup: true, flush: false })
    }
  }
  await Promise.all([1, 2, 3, 4].map(() => inProcess(count, [file]).returned))
  expect(readJson(file)).toEqual({ n: 100 })
  expect(readJson(`${file}.backup`)).toEqual({ n: 99 })
  expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
})

needs('strace that may attach')(
  'a process that sweeps the folder does not take the old version for an orphan while it has a temp name',
  async ({ dir }) => {
    const file = join(dir, 'index.json')
    writeJson(file, { n: 1 })
    // The first call of this name makes the new version and the old one change places. Its process is stopped there.
    const update = inProcess(
      ({ atomicIndexUpdate, send }, file) => {
        send(process.pid)
        return atomicIndexUpdate(file, () => ({ n: 2 }), { backup: true })
      },
      [file],
      { before: `set -- strace -f -qq -o '${dir}/trace' -e inject=renameat2:signal=STOP:when=1 "$@"` },
    )
    const pid = await update.next()
    await until(() => readJson(file).n === 2)
    const temps = () => leftovers(dir).map((name) => readJson(join(dir, name)))
    expect(temps()).toEqual([{ n: 1 }])
    const sweeper = inProcess(
      ({ atomicWrite }, file) => atomicWrite(file, '', { flush: false }).then(() => {}),
      [join(dir, 'other')],
    )
    await sweeper.returned
    expect(temps()).toEqual([{ n: 1 }])
    process.kill(pid, 'SIGCONT')
    expect(await update.returned).toMatchObject({ written: true })
    expect(readJson(`${file}.backup`)).toEqual({ n: 1 })
  },
)

describe('when the index cannot be replaced, the backup is not touched', () => {
  const unchanged = async (dir: string, file: string, update: () => Promise<{ code: string }>) => {
    writeJson(`${file}.backup`, { older: true })
    const before = [state(file), state(`${file}.backup`), names(dir)]
    for (let time = 0; time < 3; time++) {
      const { code } = await update()
      expect(code).toBe('EPERM')
    }
    expect([state(file), state(`${file}.backup`), names(dir)]).toEqual(before)
  }
  const update = ({ atomicIndexUpdate }: Remote, file: string) =>
    atomicIndexUpdate(file, () => ({ n: 2 }), { backup: true }).catch(({ code, path }) => ({ code, path }))

  needs('root that may set immutable')('because it is immutable', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    await withAttribute('i', file, () =>
      unchanged(dir, file, () => rejection(atomicIndexUpdate(file, increment, { backup: true }))),
    )
  })

  needs(...OTHER_USER)('because it is another user’s in a sticky folder', async ({ dir, file }) => {
    chmodSync(dir, 0o1777)
    writeJson(file, { n: 1 })
    chmodSync(file, 0o666)
    await unchanged(dir, file, () => inProcess(update, [file], { uid: NOBODY }).returned)
  })

  needs('root that may set immutable')('nor the index when the backup cannot be', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    writeJson(`${file}.backup`, { older: true })
    const before = [state(file), state(`${file}.backup`), names(dir)]
    await withAttribute('i', `${file}.backup`, async () => {
      const error = await rejection(atomicIndexUpdate(file, increment, { backup: true }))
      expect(error).toMatchObject({ code: 'EPERM', path: `${file}.backup` })
      expect(error.committed).toBeUndefined()
    })
    expect([state(file), state(`${file}.backup`), names(dir)]).toEqual(before)
  })

  needs('strace that may attach')('nor the index when the last step fails', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    writeJson(`${file}.backup`, { older: true })
    const before = [state(file).bytes, state(`${file}.backup`), names(dir)]
    for (const inject of ['rename,renameat:error=EIO', 'renameat2:error=EIO']) {
      const { returned } = await systemCalls(update, [file], {
        trace: ['rename', 'renameat', 'renameat2'],
        inject: [inject],
      })
      expect(returned).toMatchObject({ code: 'EIO' })
      expect([state(file).bytes, state(`${file}.backup`), names(dir)]).toEqual(before)
    }
  })

  needs('strace that may attach')(
    'nor any version is lost where none can change places',
    async ({ dir, file }) => {
      writeJson(file, { n: 1 })
      const inject = ['renameat2:error=EINVAL']
      expect(await systemCalls(update, [file], { trace: ['renameat2'], inject })).toMatchObject({
        returned: { written: true },
      })
      expect([readJson(file), readJson(`${file}.backup`)]).toEqual([{ n: 2 }, { n: 1 }])
      expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
    },
  )

  needs(...OTHER_USER)('nor shown to readers when its folder may not be written to', async ({ dir }) => {
    const [own, closed] = [makeDir(dir, 'own'), makeDir(dir, 'closed')]
    chmodSync(dir, 0o755)
    chownSync(own, NOBODY, NOBODY)
    const file = join(own, 'index.json')
    writeJson(file, { n: 1 })
    chmodSync(file, 0o666)
    const events: string[] = []
    const watcher = watch(own, (event, name) => events.push(`${event} ${name}`))
    onTestFinished(() => watcher.close())
    const toClosed = ({ atomicIndexUpdate }: Remote, file: string, backup: string) =>
      atomicIndexUpdate(file, () => ({ n: 2 }), { backup }).catch(({ code, path }) => ({ code, path }))
    const backup = join(closed, 'backup')
    const { returned } = inProcess(toClosed, [file, backup], { uid: NOBODY })
    expect(await returned).toEqual({ code: 'EACCES', path: backup })
    // The lock has come and gone, and that is all.
    await until(() => events.length > 0)
    expect(events.filter((event) => event.endsWith(' index.json'))).toEqual([])
    expect(names(own)).toEqual(['index.json'])
  })
})

needs('root that may mount a disk', 'mkfs.btrfs')(
  'the backup is a copy in another subvolume of a btrfs, which takes no files by a rename',
  async ({ dir }) => {
    const image = join(dir, 'image')
    writeFileSync(image, '')
    truncateSync(image, 128 << 20)
    execFileSync('mkfs.btrfs', ['-q', image])
    await mounted(join(dir, 'disk'), ['-o', 'loop', image], async (disk) => {
      execFileSync('btrfs', ['-q', 'subvolume', 'create', join(disk, 'sub')])
      const [file, backup] = [join(disk, 'index.json'), join(disk, 'sub', 'backup.json')]
      writeJson(file, { n: 1 })
      for (let n = 2; n < 5; n++) {
        await atomicIndexUpdate(file, increment, { backup, timeout: 2000 })
        expect([readJson(file), readJson(backup)]).toEqual([{ n }, { n: n - 1 }])
      }
    })
  },
)

needs('strace that may attach')(
  'the backup is a copy where the last rename is EXDEV after all',
  async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const update = ({ atomicIndexUpdate }: Remote, file: string) =>
      atomicIndexUpdate(file, ({ n }: any) => ({ n: n + 1 }), { backup: true }).catch(({ code }) => code)
    const { returned } = await systemCalls(update, [file], {
      trace: ['rename', 'renameat'],
      inject: ['rename,renameat:error=EXDEV:when=1'],
    })
    expect(returned).toMatchObject({ written: true })
    expect([readJson(file), readJson(`${file}.backup`)]).toEqual([{ n: 2 }, { n: 1 }])
    expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
  },
)
