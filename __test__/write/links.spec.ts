import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, makeDir, names, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** Writes through `link`, and checks that `real` got it and that the link is still one. */
async function goesThrough(link: string, real: string): Promise<void> {
  const before = readlinkSync(link)
  await atomicWrite(link, 'new')
  expect(readFileSync(real, 'utf8')).toBe('new')
  expect(lstatSync(real).isFile()).toBe(true)
  expect(readlinkSync(link)).toBe(before)
}

describe('a symbolic link is followed and stays a link', () => {
  test('to a file beside it', async ({ dir }) => {
    writeFileSync(join(dir, 'real'), 'old')
    symlinkSync('real', join(dir, 'link'))
    await goesThrough(join(dir, 'link'), join(dir, 'real'))
    expect(names(dir)).toStrictEqual(['link', 'real'])
  })

  test('by an absolute path', async ({ dir }) => {
    writeFileSync(join(dir, 'real'), 'old')
    symlinkSync(join(dir, 'real'), join(dir, 'link'))
    await goesThrough(join(dir, 'link'), join(dir, 'real'))
  })

  test('to a file in another folder, where the new one is then staged', async ({ dir }) => {
    makeDir(dir, 'there')
    writeFileSync(join(dir, 'there', 'real'), 'old')
    symlinkSync('there/real', join(dir, 'link'))
    await goesThrough(join(dir, 'link'), join(dir, 'there', 'real'))
    expect([names(dir), names(join(dir, 'there'))]).toStrictEqual([['link', 'there'], ['real']])
  })

  test('through a chain of links in several folders, each relative to its own', async ({ dir }) => {
    makeDir(dir, 'a', 'b')
    makeDir(dir, 'c')
    symlinkSync('a/second', join(dir, 'first'))
    symlinkSync('b/third', join(dir, 'a', 'second'))
    symlinkSync('../../c/real', join(dir, 'a', 'b', 'third'))
    await goesThrough(join(dir, 'first'), join(dir, 'c', 'real'))
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('that dangles: the file it names is made', async ({ dir }) => {
    symlinkSync('not-yet', join(dir, 'link'))
    await goesThrough(join(dir, 'link'), join(dir, 'not-yet'))
  })

  test('that dangles into a missing folder: the folder is made too', async ({ dir }) => {
    symlinkSync('missing/folder/file', join(dir, 'link'))
    await goesThrough(join(dir, 'link'), join(dir, 'missing', 'folder', 'file'))
  })

  test('that dangles into a missing folder, with mkdir: false, is ENOENT', async ({ dir }) => {
    symlinkSync('missing/file', join(dir, 'link'))
    const path = join(dir, 'link')
    expect(await rejection(atomicWrite(path, 'x', { mkdir: false }))).toMatchObject({ code: 'ENOENT', path })
    expect(names(dir)).toStrictEqual(['link'])
  })

  test('in the middle of the path', async ({ dir }) => {
    makeDir(dir, 'real')
    symlinkSync('real', join(dir, 'link'))
    await atomicWrite(join(dir, 'link', 'sub', 'file'), 'x')
    expect(readFileSync(join(dir, 'real', 'sub', 'file'), 'utf8')).toBe('x')
    expect(lstatSync(join(dir, 'link')).isSymbolicLink()).toBe(true)
  })

  test('in the middle of the path, with .. behind it, as the system resolves it', async ({ dir }) => {
    makeDir(dir, 'a', 'b')
    symlinkSync('a/b', join(dir, 'link'))
    await atomicWrite(`${dir}/link/../file`, 'x')
    expect(names(join(dir, 'a'))).toStrictEqual(['b', 'file'])
  })

  test('through as many links as the system follows, and ELOOP for one more', async ({ dir }) => {
    symlinkSync('real', join(dir, 'link-1'))
    for (let i = 2; i <= 41; i++) symlinkSync(`link-${i - 1}`, join(dir, `link-${i}`))
    writeFileSync(join(dir, 'link-40'), 'as far as node:fs gets')
    await atomicWrite(join(dir, 'link-40'), 'new')
    expect(readFileSync(join(dir, 'real'), 'utf8')).toBe('new')
    expect(await rejection(atomicWrite(join(dir, 'link-41'), 'x'))).toMatchObject({ code: 'ELOOP' })
  })

  needs('a second file system in /dev/shm')('to a file on another file system', async ({ dir }) => {
    const far = mkdtempSync('/dev/shm/atomic-links-')
    try {
      writeFileSync(join(far, 'real'), 'old')
      symlinkSync(join(far, 'real'), join(dir, 'link'))
      symlinkSync(far, join(dir, 'folder'))
      await goesThrough(join(dir, 'link'), join(far, 'real'))
      expect(await atomicWrite(join(dir, 'folder', 'file'), 'x')).toStrictEqual(written(far, 1))
      expect(names(far)).toStrictEqual(['file', 'real'])
      expect(names(dir)).toStrictEqual(['folder', 'link'])
    } finally {
      rmSync(far, { recursive: true })
    }
  })
})

describe('a hard link', () => {
  test('keeps the old content', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    linkSync(join(dir, 'file'), join(dir, 'other'))
    await atomicWrite(join(dir, 'file'), 'new')
    expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('old')
    expect(statSync(join(dir, 'file')).nlink).toBe(1)
  })
})

describe('a link in a loop', () => {
  test('is ELOOP and stays', async ({ dir }) => {
    symlinkSync('b', join(dir, 'a'))
    symlinkSync('a', join(dir, 'b'))
    const path = join(dir, 'a')
    expect(await rejection(atomicWrite(path, 'x'))).toMatchObject({ code: 'ELOOP', syscall: 'open', path })
    expect(names(dir)).toStrictEqual(['a', 'b'])
  })
})

describe('a link to a folder', () => {
  test('is EISDIR, and the folder stays', async ({ dir }) => {
    mkdirSync(join(dir, 'folder'))
    symlinkSync('folder', join(dir, 'link'))
    expect(await rejection(atomicWrite(join(dir, 'link'), 'x'))).toMatchObject({ code: 'EISDIR' })
    expect(existsSync(join(dir, 'folder'))).toBe(true)
  })
})
