// Files that cannot be replaced: the error says why and what to do, and it comes before anything has changed.

import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AtomicFile,
  acquireIndexLock,
  appendLines,
  atomicDirectory,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  inspectDirectory,
  remove,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { isDurable, makeDir, names, state } from '../helpers/files'
import { bound, needs, OTHER_USER, withAttribute } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { NOBODY } from '../helpers/users'

type Around = (path: string, body: () => Promise<unknown>) => Promise<unknown>

const kinds: [
  what: string,
  needed: Parameters<typeof needs>,
  around: Around,
  code: string,
  advice: string,
][] = [
  [
    'a mount point',
    ['root that may mount'],
    (path, body) => bound(path, path, body),
    'EBUSY',
    'it is a mount point, which can be neither replaced nor removed: mount its directory instead',
  ],
  ...(['i', 'a'] as const).map(
    (flag) =>
      [
        `a file with chattr +${flag}`,
        ['root that may set immutable'],
        (path, body) => withAttribute(flag, path, body),
        'EPERM',
        'it, or its directory, has the attribute immutable or append-only: see chattr(1)',
      ] as (typeof kinds)[number],
  ),
  [
    'a file in an append-only directory',
    ['root that may set immutable'],
    (path, body) => withAttribute('a', join(path, '..'), body),
    'EPERM',
    'it, or its directory, has the attribute immutable or append-only: see chattr(1)',
  ],
]

for (const [what, needed, around, code, advice] of kinds) {
  describe(what, () => {
    const test = needs('linux', ...needed)

    test('is not replaced, and nothing else of its batch is', async ({ dir }) => {
      const path = join(makeDir(dir, 'in'), 'file')
      const first = join(dir, 'first')
      for (const file of [first, path]) writeFileSync(file, 'old')
      const before = [first, path].map(state)
      await around(path, async () => {
        const error = await rejection(atomicWriteAll([first, path].map((path) => ({ path, data: 'new' }))))
        expect(error).toMatchObject({ code, syscall: 'rename', path, dest: path, entry: 1 })
        expect(error).not.toHaveProperty('committed')
        expect(error.message).toBe(
          `${code}: ${error.message.split(': ')[1]?.split(',')[0]}, rename '${path}' -> '${path}': ${advice}`,
        )
      })
      expect([first, path].map(state)).toStrictEqual(before)
      expect(names(join(path, '..'))).toStrictEqual(['file'])
    })

    test('is not replaced by any other writer, and each says why', async ({ dir }) => {
      const path = join(makeDir(dir, 'in'), 'file')
      writeFileSync(path, '{"old":true}')
      const before = state(path)
      await around(path, async () => {
        for (const write of [
          () => atomicWrite(path, 'new'),
          () => AtomicFile.open(path).then((file) => file.commit()),
          () => atomicIndexUpdate(path, () => ({ new: true }), { backup: join(dir, 'backup') }),
        ]) {
          const error = await rejection(write())
          expect(error).toMatchObject({ code })
          expect(error.message).toContain(advice)
        }
      })
      expect(state(path)).toStrictEqual(before)
    })

    test('is not removed, and the error says why', async ({ dir }) => {
      const path = join(makeDir(dir, 'in'), 'file')
      writeFileSync(path, 'old')
      await around(path, async () => {
        const error = await rejection(remove(path))
        expect(error).toMatchObject({ code, syscall: 'unlink', path })
        expect(error).not.toHaveProperty('committed')
        expect(error.message).toContain(advice)
      })
      expect(readFileSync(path, 'utf8')).toBe('old')
    })
  })
}

describe('in an append-only directory', () => {
  const test = needs('linux', 'root that may set immutable')
  const left = (dir: string) => names(dir).filter((name) => !name.endsWith('.lock'))

  test('the attribute is noticed by the next call also where a lock has the directory open', async ({
    dir,
  }) => {
    const folder = makeDir(dir, 'in')
    const path = join(folder, 'file')
    writeFileSync(path, 'old')
    const lock = await acquireIndexLock(join(folder, 'index.json'))
    try {
      await atomicWrite(path, 'new')
      await withAttribute('a', folder, async () => {
        const error = await rejection(atomicWrite(path, 'newer'))
        expect(error).toMatchObject({ code: 'EPERM', syscall: 'rename' })
        expect(left(folder)).toStrictEqual(['file'])
      })
      await atomicWrite(path, 'newer')
      expect(left(folder)).toStrictEqual(['file'])
    } finally {
      await lock.release()
    }
  })

  test('a call that needs a temp name leaves none', async ({ dir }) => {
    const [folder, site] = [makeDir(dir, 'in'), makeDir(dir, 'site')]
    const path = join(folder, 'new')
    writeFileSync(join(dir, 'moved'), 'moved')
    await withAttribute('a', folder, async () => {
      for (const write of [
        () => atomicWrite(path, 'new', { publish: 'rename' }),
        () => atomicWriteAll([{ path, data: 'new' }]),
        () => atomicDirectory(path, () => {}),
        () => atomicDirectory(site, () => {}, { keepPrevious: path }),
        () => atomicTransaction(dir, (tx) => tx.write('in/new', 'new')),
        () => atomicTransaction(dir, (tx) => tx.rename('moved', 'in/new')),
      ]) {
        const error = await rejection(write())
        expect(error).toMatchObject({ code: 'EPERM', syscall: 'rename' })
        expect(error.message).toContain('immutable or append-only')
        expect(left(folder)).toStrictEqual([])
      }
    })
  })

  test('two names that could be one count as two, and nothing is made to find that out', async ({ dir }) => {
    const folder = makeDir(dir, 'in')
    await withAttribute('a', folder, async () => {
      const two = ['a', 'A'].map((name) => join(folder, name))
      expect(await withIndexLock(two, () => 'both')).toBe('both')
      expect(left(folder)).toStrictEqual([])
    })
  })

  test('what its file system keeps is told as far as nothing has to be tried', async ({ dir }) => {
    const folder = makeDir(dir, 'in')
    await withAttribute('a', folder, async () => {
      const { traits } = await inspectDirectory(folder)
      expect(traits.find(({ name }) => name === 'local')?.value).toBe(true)
      for (const name of ['exclusiveCreate', 'exchange', 'directoryFlush', 'longestName', 'flushTime']) {
        const found = traits.find((found) => found.name === name)
        expect(found, name).toMatchObject({ value: null })
        expect(found?.means).toMatch(/^It could not be tried: .*\.$/)
      }
      // Not where it is known to be false.
      expect(traits.find(({ name }) => name === 'durable')?.value).toBe(isDurable(dir) ? null : false)
      expect(left(folder)).toStrictEqual([])
    })
  })

  test('the end of the attribute is noticed also by a process that has it open', async ({ dir }) => {
    const folder = makeDir(dir, 'in')
    const path = join(folder, 'file')
    writeFileSync(path, 'old')
    let open: AtomicFile | undefined
    await withAttribute('a', folder, async () => {
      open = await AtomicFile.open(join(dir, 'in', 'held')).catch(() => undefined)
      expect(await rejection(atomicWrite(path, 'new'))).toMatchObject({ code: 'EPERM' })
    })
    await atomicWrite(path, 'new')
    await open?.abort()
    expect(readFileSync(path, 'utf8')).toBe('new')
    expect(names(folder)).toStrictEqual(['file'])
  })

  needs(
    'linux',
    'root that may set immutable',
    'a temporary folder that is no overlay',
  )('new files are made, and lines are appended', async ({ dir }) => {
    const folder = makeDir(dir, 'in')
    await withAttribute('a', folder, async () => {
      await atomicWrite(join(folder, 'new'), 'new')
      await atomicIndexUpdate(join(folder, 'index.json'), () => ({}))
      for (const line of ['one', 'two']) await appendLines(join(folder, 'log'), line)
      expect(left(folder)).toStrictEqual(['index.json', 'log', 'new'])
    })
  })
})

describe('another user’s file in a sticky directory', () => {
  needs('linux', ...OTHER_USER)('is not replaced, and nothing else of its batch is', async ({ dir }) => {
    chmodSync(dir, 0o1777)
    const [first, path] = [join(dir, 'first'), join(dir, 'file')] as const
    for (const file of [first, path]) writeFileSync(file, 'old', { mode: 0o666 })
    chownSync(first, NOBODY, NOBODY)
    const write = ({ atomicWriteAll }: Remote, ...paths: string[]) =>
      atomicWriteAll(paths.map((path) => ({ path, data: 'new' }))).catch(
        ({ code, committed, entry, message }) => ({ code, committed, entry, message }),
      )
    const error = await inProcess(write, [first, path], { uid: NOBODY }).returned
    expect(error).toMatchObject({ code: 'EPERM', entry: 1 })
    expect(error).not.toHaveProperty('committed')
    expect(error.message).toContain('only its owner may replace or remove it')
    expect([first, path].map((path) => readFileSync(path, 'utf8'))).toStrictEqual(['old', 'old'])
    expect(names(dir)).toStrictEqual(['file', 'first'])
  })

  needs(
    'linux',
    ...OTHER_USER,
    'setpriv',
  )('is replaced by a user with the capability', async ({ dir }) => {
    chmodSync(dir, 0o1777)
    const path = join(dir, 'file')
    writeFileSync(path, 'old', { mode: 0o666 })
    const write = ({ atomicWriteAll }: Remote, path: string) => atomicWriteAll([{ path, data: 'new' }])
    const before = `set -- setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --inh-caps=+fowner --ambient-caps=+fowner -- "$@"`
    await inProcess(write, [path], { before }).returned
    expect(readFileSync(path, 'utf8')).toBe('new')
  })
})
