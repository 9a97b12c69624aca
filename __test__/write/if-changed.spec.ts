import { chmodSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, pattern, state, written } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** A file with a time long past, so that any change of it shows. */
function fileWith(dir: string, content: string | Buffer): string {
  const path = join(dir, 'file')
  writeFileSync(path, content)
  utimesSync(path, 1000, 1000)
  return path
}

describe('ifChanged leaves alone a file that', () => {
  test('has these bytes: inode, times and mode stay', async ({ dir }) => {
    const path = fileWith(dir, 'same')
    chmodSync(path, 0o640)
    const [before, { ctimeMs }] = [state(path), statSync(path)]
    const result = await atomicWrite(path, 'same', { ifChanged: true, mode: 0o600 })
    expect(result).toStrictEqual(written(dir, 4, { written: false }))
    expect(state(path)).toStrictEqual(before)
    expect(statSync(path)).toMatchObject({ ctimeMs, mode: 0o100640 })
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('has these megabytes', async ({ dir }) => {
    const path = fileWith(dir, pattern(5_000_001))
    const before = state(path)
    const result = await atomicWrite(path, pattern(5_000_001), { ifChanged: true })
    expect(result).toStrictEqual(written(dir, 5_000_001, { written: false }))
    expect(state(path)).toStrictEqual(before)
  })

  test('is empty, as is what is given', async ({ dir }) => {
    const path = fileWith(dir, '')
    expect(await atomicWrite(path, '', { ifChanged: true })).toMatchObject({ written: false, bytes: 0 })
  })

  test('has these bytes behind a link', async ({ dir }) => {
    const path = fileWith(dir, 'same')
    symlinkSync('file', join(dir, 'link'))
    const before = state(path)
    expect(await atomicWrite(join(dir, 'link'), 'same', { ifChanged: true })).toMatchObject({
      written: false,
    })
    expect(state(path)).toStrictEqual(before)
  })

  test('has these bytes, and does not call it durable without flush', async ({ dir }) => {
    const result = await atomicWrite(fileWith(dir, 'same'), 'same', { ifChanged: true, flush: false })
    expect(result).toStrictEqual(written(dir, 4, { written: false, durable: false }))
  })
})

describe('ifChanged writes', () => {
  const megabytes = pattern(5_000_001)
  const flipped = (at: number) => {
    const bytes = Buffer.from(megabytes)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  }
  for (const [what, old, given] of [
    ['another last byte', 'same', 'samf'],
    ['another first byte', 'same', 'tame'],
    ['a shorter text', 'same', 'sam'],
    ['a longer text', 'same', 'same '],
    ['something over nothing', '', 'x'],
    ['nothing over something', 'x', ''],
    ['one bit in megabytes, in the middle', megabytes, flipped(2_500_000)],
    ['one bit in megabytes, at the end', megabytes, flipped(5_000_000)],
  ] as const) {
    test(what, async ({ dir }) => {
      const path = fileWith(dir, old)
      const before = state(path)
      const result = await atomicWrite(path, given, { ifChanged: true })
      expect(result).toStrictEqual(written(dir, given.length))
      expect(readFileSync(path).equals(Buffer.from(given))).toBe(true)
      expect(state(path).ino).not.toBe(before.ino)
    })
  }

  test('a file that was not there', async ({ dir }) => {
    const result = await atomicWrite(join(dir, 'file'), 'x', { ifChanged: true })
    expect(result).toStrictEqual(written(dir, 1))
  })

  test('what an earlier call in the queue has changed', async ({ dir }) => {
    const path = fileWith(dir, 'same')
    const [first, second] = await Promise.all([
      atomicWrite(path, 'other'),
      atomicWrite(path, 'same', { ifChanged: true }),
    ])
    expect([first.written, second.written]).toStrictEqual([true, true])
    expect(readFileSync(path, 'utf8')).toBe('same')
  })
})

test('without ifChanged the same bytes are written again', async ({ dir }) => {
  const path = fileWith(dir, 'same')
  const before = state(path)
  expect(await atomicWrite(path, 'same')).toStrictEqual(written(dir, 4))
  expect(state(path)).not.toStrictEqual(before)
})

test('ifChanged does not look into a folder in the file’s place', async ({ dir }) => {
  expect(await rejection(atomicWrite(dir, 'x', { ifChanged: true }))).toMatchObject({ code: 'EISDIR' })
})
