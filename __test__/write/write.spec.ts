import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite, type WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, loosely, pattern, written } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('a write', () => {
  test('makes a file that was not there', async ({ dir }) => {
    const path = join(dir, 'file')
    expect(await atomicWrite(path, 'content')).toStrictEqual(written(dir, 7))
    expect(readFileSync(path, 'utf8')).toBe('content')
  })

  test('replaces the whole of a longer file', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'much more than what comes now')
    expect(await atomicWrite(path, 'short')).toStrictEqual(written(dir, 5))
    expect(readFileSync(path, 'utf8')).toBe('short')
  })

  test('leaves nothing but the file in the folder', async ({ dir }) => {
    for (const content of ['new', 'replaced']) await atomicWrite(join(dir, 'file'), content)
    expect(readdirSync(dir)).toStrictEqual(['file'])
  })

  test('puts a new inode under the name, so that a reader of the old one is not disturbed', async ({
    dir,
  }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    const before = statSync(path).ino
    await atomicWrite(path, 'new')
    expect(statSync(path).ino).not.toBe(before)
  })

  test('of nothing makes an empty file', async ({ dir }) => {
    const path = join(dir, 'file')
    for (const nothing of ['', new Uint8Array(0), new ArrayBuffer(0)]) {
      writeFileSync(path, 'old')
      expect(await atomicWrite(path, nothing)).toStrictEqual(written(dir, 0))
      expect(statSync(path).size).toBe(0)
    }
  })

  test('of 64 MB has every byte in its place', async ({ dir }) => {
    const data = pattern(64 << 20)
    expect(await atomicWrite(join(dir, 'file'), data)).toStrictEqual(written(dir, data.length))
    expect(readFileSync(join(dir, 'file')).equals(data)).toBe(true)
  })

  test('of a 48 MB text has every character in its place', async ({ dir }) => {
    const part = 'ä漢😀 plain '
    await atomicWrite(join(dir, 'file'), part.repeat(3 << 20))
    const bytes = Buffer.alloc(Buffer.byteLength(part) * (3 << 20), part)
    expect(readFileSync(join(dir, 'file')).equals(bytes)).toBe(true)
  })

  for (const size of [1, 4095, 4096, 4097, (256 << 10) - 1, (256 << 10) + 1, (4 << 20) - 1, (4 << 20) + 1]) {
    test(`of ${size} bytes, at the edge of a block, is complete`, async ({ dir }) => {
      const data = pattern(size)
      expect(await atomicWrite(join(dir, 'file'), data)).toStrictEqual(written(dir, size))
      expect(readFileSync(join(dir, 'file')).equals(data)).toBe(true)
    })
  }
})

describe('options', () => {
  for (const none of [undefined, null, {}, Object.create(null)]) {
    test(`may be ${none && !Object.getPrototypeOf(none) ? 'without a prototype' : JSON.stringify(none)}`, async ({
      dir,
    }) => {
      expect(await atomicWrite(join(dir, 'file'), 'x', none)).toStrictEqual(written(dir, 1))
    })
  }

  test('that are undefined count as not given', async ({ dir }) => {
    const names = ['encoding', 'mode', 'flag', 'flush', 'verify', 'ifChanged', 'mkdir', 'fallback', 'signal']
    const options = Object.fromEntries(names.map((name) => [name, undefined]))
    expect(await loosely(join(dir, 'a', 'file'), 'x', options)).toMatchObject({
      written: true,
      verified: 'cache',
    })
  })

  test('as a string are the encoding', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'file'), '00ff', 'hex')).toStrictEqual(written(dir, 2))
    expect(readFileSync(join(dir, 'file'))).toStrictEqual(Buffer.from([0, 255]))
  })

  test('that are frozen serve two calls', async ({ dir }) => {
    const options = Object.freeze({
      mode: 0o640,
      flush: true,
      verify: true,
      ifChanged: true,
      mkdir: true,
    } as const)
    for (const content of ['one', 'two']) {
      expect(await atomicWrite(join(dir, 'file'), content, options)).toStrictEqual(written(dir, 3))
    }
    expect(statSync(join(dir, 'file')).mode & 0o777).toBe(0o640)
  })

  test('are read at the call: later changes have no effect', async ({ dir }) => {
    const options: WriteOptions = { encoding: 'hex', mode: 0o600, flag: 'w' }
    const writing = atomicWrite(join(dir, 'file'), '41', options)
    Object.assign(options, { encoding: 'utf8', mode: 0o644, flag: 'wx' })
    await writing
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('A')
    expect(statSync(join(dir, 'file')).mode & 0o777).toBe(0o600)
  })

  test('are read once each, getters and inherited ones too', async ({ dir }) => {
    const reads: string[] = []
    const values: Record<string, unknown> = { encoding: 'hex', mode: 0o600, verify: false }
    const options = Object.create(
      new Proxy(values, {
        get(target, name) {
          if (typeof name === 'string' && name in target) reads.push(name)
          return Reflect.get(target, name)
        },
      }),
    )
    expect(await loosely(join(dir, 'file'), '41', options)).toMatchObject({ bytes: 1, verified: false })
    expect(reads.sort()).toStrictEqual(['encoding', 'mode', 'verify'])
  })

  for (const value of [new Error('mine'), 'a string', 0, undefined, null, Symbol('s')]) {
    test(`whose getter throws ${String(value)} reject with that very value`, async ({ dir }) => {
      const options = {
        get mode() {
          throw value
        },
      }
      expect(await rejection(loosely(join(dir, 'file'), 'x', options))).toBe(value)
      expect(readdirSync(dir)).toStrictEqual([])
    })
  }
})

describe('flag w', () => {
  test('is the default: a file that is there is replaced', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    await atomicWrite(join(dir, 'file'), 'new', { flag: 'w' })
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('new')
  })
})

describe('verify: false', () => {
  test('says so in the result', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'file'), 'x', { verify: false })).toStrictEqual(
      written(dir, 1, { verified: false }),
    )
  })
})

describe('flush: false', () => {
  test('is not durable, and says so', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'file'), 'x', { flush: false })).toStrictEqual(
      written(dir, 1, { durable: false }),
    )
    expect(leftovers(dir)).toStrictEqual([])
  })
})
