// Where transactions run: what is below a root, and on which file systems.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, atomicWrite, recover, snapshotRead, snapshotReadIndex } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { ext4, mounted, needs, OTHER_USER, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { interrupt, raise, seed, staged, versions } from '../helpers/transaction'
import { NOBODY } from '../helpers/users'

const testMount = needs('root that may mount')
const testDisk = needs('root that may mount a disk')
const testFuse = needs('root that may mount FUSE')
const testReadOnly = needs('root that may mount', 'strace that may attach')
const testOther = needs(...OTHER_USER)

const visible = (dir: string) => names(dir).filter((name) => name !== '.atomic')

describe('a path that leads out of the root is refused, and nothing is made there', () => {
  const out = (dir: string) => join(dir, 'out')
  const paths: Record<string, (dir: string) => string> = {
    '..': () => '../out/new/x',
    '.. behind a folder that is missing': () => 'no/../../out/x',
    'an absolute path': (dir) => join(dir, 'out', 'new', 'x'),
    'a link to a folder': () => 'folder/new/x',
    'a link to a file': () => 'file',
    'a link that leads nowhere': () => 'dangling',
    'the folder of transactions': () => '.atomic/journal',
    'that folder itself': () => '.atomic',
  }
  for (const [title, pathIn] of Object.entries(paths)) {
    for (const kind of ['write', 'update', 'remove', 'rename', 'mkdir'] as const) {
      test(`${title}: ${kind}`, async ({ dir }) => {
        const root = makeDir(dir, 'root')
        mkdirSync(out(dir))
        writeFileSync(join(out(dir), 'file'), 'theirs')
        symlinkSync(out(dir), join(root, 'folder'))
        symlinkSync(join(out(dir), 'file'), join(root, 'file'))
        symlinkSync(join(out(dir), 'missing', 'file'), join(root, 'dangling'))
        writeFileSync(join(root, 'a'), '')
        const path = pathIn(dir)
        const error = await rejection(
          atomicTransaction(root, (tx) => {
            if (kind === 'write') tx.write(path, 'ours')
            else if (kind === 'update') tx.update(path, () => ({}))
            else if (kind === 'remove') tx.remove(path)
            else if (kind === 'mkdir') tx.mkdir(path)
            else tx.rename('a', path)
          }),
        )
        expect(error.code).toMatch(/^(ERR_ATOMIC_OUTSIDE_ROOT|ENOENT|EISDIR|ENOTDIR|EEXIST)$/)
        expect(error.path).toBe(path)
        expect([readdirSync(out(dir)), readFileSync(join(out(dir), 'file'), 'utf8')]).toEqual([
          ['file'],
          'theirs',
        ])
      })
    }
  }

  test('says which root, and what to do', async ({ dir }) => {
    const error = await rejection(atomicTransaction(makeDir(dir, 'root'), (tx) => tx.write('../x', '')))
    expect(error.code).toBe('ERR_ATOMIC_OUTSIDE_ROOT')
    expect(error.message).toMatch(/give a root that has all of the files below it, '\.\.\/x'$/)
    for (const root of [join(dir, 'root'), dir]) {
      writeFileSync(join(root, 'a'), '')
      const outside = await rejection(snapshotRead(root, ['a', '../x']))
      expect(outside).toMatchObject({ code: 'ERR_ATOMIC_OUTSIDE_ROOT', path: '../x', entry: 1 })
      expect(await rejection(snapshotRead(root, ['a', '.']))).toMatchObject({
        code: 'EISDIR',
        path: '.',
        entry: 1,
      })
      // Then the next one has a journal.
      await atomicTransaction(dir, [
        { write: 'b', data: '' },
        { write: 'c', data: '' },
      ])
    }
  })

  testMount('another file system below it', async ({ dir }) => {
    await mounted(join(dir, 'mount'), tmpfs('1m'), async () => {
      const error = await rejection(atomicTransaction(dir, (tx) => tx.write('mount/x', '')))
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_OUTSIDE_ROOT' })
      expect(readdirSync(join(dir, 'mount'))).toEqual([])
    })
  })
})

test('a link inside of the root is followed, and stays', async ({ dir }) => {
  mkdirSync(join(dir, 'real'))
  writeFileSync(join(dir, 'real', 'a'), 'old')
  symlinkSync('real', join(dir, 'folder'))
  symlinkSync('real/a', join(dir, 'file'))
  await atomicTransaction(dir, (tx) => {
    tx.write('file', 'new')
    tx.write('folder/b', 'b')
  })
  expect(readFileSync(join(dir, 'real', 'a'), 'utf8')).toBe('new')
  expect(readdirSync(join(dir, 'real'))).toEqual(['a', 'b'])
})

needs('strace that may attach')(
  'the way to a directory is followed once, however many files in it change; a link there is followed by itself',
  async ({ dir }) => {
    mkdirSync(join(dir, 'posts'))
    mkdirSync(join(dir, 'lists'))
    symlinkSync('../lists/list', join(dir, 'posts', 'link'))
    const { calls } = await systemCalls(
      async ({ atomicTransaction }, root) => {
        await atomicTransaction(root, (tx) => {
          for (let at = 0; at < 20; at++) tx.write(`posts/${at}`, 'x')
          tx.write('posts/link', 'by the link')
        })
      },
      [dir],
      { trace: ['openat'] },
    )
    const opened = calls.filter(
      ({ args }) => args.includes(`"${join(dir, 'posts')}"`) && args.includes('O_DIRECTORY'),
    )
    expect(opened.length).toBeGreaterThan(0)
    expect(opened.length).toBeLessThan(5)
    expect(readlinkSync(join(dir, 'posts', 'link'))).toBe('../lists/list')
    expect(readFileSync(join(dir, 'lists', 'list'), 'utf8')).toBe('by the link')
    expect(names(join(dir, 'posts'))).toHaveLength(21)
  },
)

test('a root may be a link, a URL, a relative path, and is made if it is missing', async ({ dir }) => {
  mkdirSync(join(dir, 'real'))
  symlinkSync('real', join(dir, 'link'))
  await atomicTransaction(join(dir, 'link'), (tx) => tx.write(join(dir, 'link', 'a'), '1'))
  await atomicTransaction(new URL(`file://${dir}/real`), (tx) => tx.write(Buffer.from('b'), '2'))
  await atomicTransaction(join(dir, 'made', 'new'), (tx) => tx.write('c', '3'))
  expect(await snapshotRead(join(dir, 'real'), ['a', 'b'])).toEqual(['1', '2'])
  expect(existsSync(join(dir, 'made/new/c'))).toBe(true)
})

test('a root inside a root is independent of it', async ({ dir }) => {
  const inner = makeDir(dir, 'inner')
  await atomicTransaction(dir, [
    { write: 'inner/a', data: '1' },
    { write: 'b', data: '1' },
  ])
  const { transaction } = await atomicTransaction(inner, [
    { write: 'a', data: '2' },
    { write: 'c', data: '2' },
  ])
  expect(transaction).toBe(1)
  expect(await snapshotRead(dir, ['inner/a', 'b', 'inner/c'])).toEqual(['2', '1', '2'])
})

test('a transaction may have 4,096 operations, and no more', async ({ dir }) => {
  const files = Array.from({ length: 4096 }, (_, at) => `folder-${at % 8}/${at}`)
  const { files: done } = await atomicTransaction(
    dir,
    files.map((write) => ({ write, data: write })),
  )
  expect(done).toHaveLength(4096)
  expect(await snapshotRead(dir, files)).toEqual(files)
  const more = [...files, 'one-more'].map((remove) => ({ remove, missing: 'ignore' as const }))
  await atomicWrite(join(dir, 'one-more'), '')
  const error = await rejection(atomicTransaction(dir, more))
  expect(error.code).toBe('ERR_OUT_OF_RANGE')
  expect(error.message).toContain('4,096')
  expect(await snapshotRead(dir, [files[0] as string])).toEqual([files[0]])
})

test('snapshotRead: what is missing, encodings, wrong arguments', async ({ dir }) => {
  writeFileSync(join(dir, 'a'), 'ä')
  writeFileSync(join(dir, 'broken.json'), '{')
  expect(await snapshotRead(dir, ['a', 'none', 'no/such/folder'])).toEqual(['ä', null, null])
  expect(await snapshotRead(dir, ['a'], 'latin1')).toEqual(['Ã¤'])
  expect(await snapshotRead(dir, ['a'], { encoding: null })).toEqual([Buffer.from('ä')])
  expect(await snapshotReadIndex(dir, ['none'])).toEqual([undefined])
  expect(await rejection(snapshotReadIndex(dir, ['broken.json']))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    path: 'broken.json',
  })
  expect(await rejection(snapshotRead(dir, 'a' as any))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect((await rejection(snapshotRead(dir, ['a', 5] as any))).message).toMatch(
    /"paths\[1\]" argument must be/,
  )
  for (const options of ['utf-9', { encoding: 'utf-9' }] as any[]) {
    // Whether there is a file or not.
    const unknown = { code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(/'utf-9'/) }
    expect(await rejection(snapshotRead(dir, ['none'], options))).toMatchObject(unknown)
    expect(await rejection(atomicTransaction(dir, (tx) => tx.read('none', options)))).toMatchObject(unknown)
  }
  expect(await rejection(snapshotRead(join(dir, 'none'), ['a']))).toMatchObject({ code: 'ENOENT' })
  expect(await rejection(recover(join(dir, 'none')))).toMatchObject({ code: 'ENOENT' })
  expect(visible(dir)).toEqual(['a', 'broken.json'])
  expect(existsSync(join(dir, '.atomic'))).toBe(false)
})

testMount('on tmpfs: works, and says that nothing of it is durable', async ({ dir }) => {
  await mounted(join(dir, 'mount'), tmpfs('4m'), async (root) => {
    const both = await atomicTransaction(root, [
      { write: 'a', data: '1' },
      { write: 'b', data: '2' },
    ])
    expect([both.durable, both.transaction]).toEqual([false, 1])
    expect((await atomicTransaction(root, [{ write: 'a', data: '3' }])).durable).toBe(false)
  })
})

testDisk('on a full disk: rejects, and nothing has changed', async ({ dir }) => {
  await mounted(join(dir, 'disk'), ext4(join(dir, 'image')), async (disk) => {
    const root = seed(disk)
    await raise({ atomicTransaction }, root, 1)
    const big = Buffer.alloc(16 << 20, 1)
    const error = await rejection(
      atomicTransaction(root, (tx) => {
        tx.write('one/a.txt', 'version 2')
        tx.write('one/b.txt', big)
      }),
    )
    expect(error).toMatchObject({ code: 'ENOSPC', path: 'one/b.txt' })
    expect([versions(root), staged(root)]).toEqual([[1, 1, 1, 1], []])
    await raise({ atomicTransaction }, root, 3)
    expect(versions(root)).toEqual([3, 3, 3, 3])
  })
})

testReadOnly('on a mount that is read-only: snapshotRead sees what recovery would make', async ({ dir }) => {
  const root = seed(dir)
  await interrupt(root, 3)
  const seen = makeDir(dir, 'seen')
  execFileSync('mount', ['--bind', root, seen])
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', seen])
    const values = await snapshotRead(seen, ['one/a.txt', 'one/b.txt', 'two/index.json', 'two/topics.json'])
    expect(values).toEqual(['version 1', 'version 1', '{"n":1}', '{"n":1}'])
    expect(versions(root)).toEqual([1, 1, 0, 0])
    expect((await rejection(recover(seen))).code).toBe('EROFS')
  } finally {
    execFileSync('umount', ['-l', seen])
  }
})

testFuse('names that are one where case does not count are one file', async ({ dir }) => {
  await onPoorFs(dir, { foldCase: true }, async (root) => {
    writeJson(join(root, 'Index.json'), { n: 1 })
    await atomicTransaction(root, (tx) => {
      tx.update('index.json', increment)
      tx.update('INDEX.json', increment)
      tx.write('a', '')
    })
    expect(readJson(join(root, 'Index.json'))).toEqual({ n: 3 })
  })
})

testFuse('without hard links, and without a rename that refuses a taken name', async ({ dir }) => {
  await onPoorFs(dir, { refuse: { link: 'EPERM', 'rename-flags': 'EINVAL' } }, async (root) => {
    await atomicTransaction(root, (tx) => {
      tx.write('a', '1')
      tx.update('index.json', () => ({ n: 1 }))
    })
    await atomicTransaction(root, (tx) => {
      tx.write('a', '2')
      tx.update('index.json', increment, { backup: true })
    })
    expect(await snapshotRead(root, ['a'])).toEqual(['2'])
    expect([readJson(join(root, 'index.json')), readJson(join(root, 'index.json.backup'))]).toEqual([
      { n: 2 },
      { n: 1 },
    ])
  })
})

describe('other users', () => {
  testOther('take part where they may change the root, and keep modes and owners', async ({ dir }) => {
    chmodSync(dir, 0o777)
    writeFileSync(join(dir, 'a'), 'mine', { mode: 0o666 })
    chmodSync(join(dir, 'a'), 0o606)
    await atomicTransaction(dir, [
      { write: 'a', data: '1' },
      { write: 'b', data: '1' },
    ])
    const theirs = inProcess(
      ({ atomicTransaction }, dir) =>
        atomicTransaction(dir, [
          { write: 'a', data: '2' },
          { write: 'c', data: '2' },
        ]).then(({ transaction }) => transaction),
      [dir],
      { uid: NOBODY },
    )
    expect(await theirs.returned).toBe(2)
    expect(
      (
        await atomicTransaction(dir, [
          { write: 'a', data: '3' },
          { write: 'd', data: '' },
        ])
      ).transaction,
    ).toBe(3)
    const { mode } = statSync(join(dir, 'a'))
    expect(mode & 0o777 & ~0o606).toBe(0)
  })

  testOther('cannot have a journal of theirs obeyed in a folder that all may write to', async ({ dir }) => {
    const root = seed(dir)
    const planted = makeDir(dir, 'planted')
    chmodSync(dir, 0o755)
    chmodSync(planted, 0o1777)
    const plant = inProcess(
      ({ atomicTransaction }, dir) => atomicTransaction(dir, [{ write: 'x', data: '' }]),
      [planted],
      {
        uid: NOBODY,
      },
    )
    await plant.returned
    const error = await rejection(
      atomicTransaction(planted, [
        { write: 'a', data: '' },
        { write: 'b', data: '' },
      ]),
    )
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_JOURNAL' })
    // Writes there go on, as they need no journal.
    await atomicWrite(join(planted, 'mine'), '')
    await raise({ atomicTransaction }, root, 1)
  })
})

test('a root whose folder of transactions is removed gets another one', async ({ dir }) => {
  const root = seed(dir)
  await raise({ atomicTransaction }, root, 1)
  rmSync(join(root, '.atomic'), { recursive: true })
  await raise({ atomicTransaction }, root, 2)
  expect(versions(root)).toEqual([2, 2, 2, 2])
  renameSync(root, join(dir, 'moved'))
  await raise({ atomicTransaction }, join(dir, 'moved'), 3)
  expect(versions(join(dir, 'moved'))).toEqual([3, 3, 3, 3])
})
