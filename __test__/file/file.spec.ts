import { AsyncLocalStorage } from 'node:async_hooks'
import {
  chmodSync,
  chownSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, type Data, type WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { python } from '../helpers/attributes'
import { openBelow, untilClosed } from '../helpers/descriptors'
import { leftovers, makeDir, names, pattern, state, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { NOBODY } from '../helpers/users'

/** Writes pieces one after the other, and commits. */
async function write(path: string, pieces: Data[], options?: WriteOptions | BufferEncoding | null) {
  await using file = await AtomicFile.open(path, options)
  for (const piece of pieces) await file.write(piece)
  return await file.commit()
}

describe('a file that is written piece by piece', () => {
  test('has all pieces in order, and replaces the old one only by the commit', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    const before = state(path)
    await using file = await AtomicFile.open(path)
    for (const piece of ['one ', Buffer.from('two '), new Uint8Array([0x33, 0x20])]) await file.write(piece)
    expect(state(path)).toStrictEqual(before)
    expect(await file.commit()).toStrictEqual(written(dir, 10))
    expect(readFileSync(path, 'utf8')).toBe('one two 3 ')
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('may have no piece at all', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    expect(await write(path, [])).toStrictEqual(written(dir, 0))
    expect(readFileSync(path, 'utf8')).toBe('')
    expect(await write(path, ['', Buffer.alloc(0), new Uint8Array(0), new ArrayBuffer(0)])).toStrictEqual(
      written(dir, 0),
    )
  })

  test('may have 20,000 tiny ones', async ({ dir }) => {
    const path = join(dir, 'file')
    const lines = Array.from({ length: 20_000 }, (_, i) => (i % 3 ? `${i}\n` : `ü${i}\n`))
    expect(await write(path, lines)).toMatchObject({ bytes: Buffer.byteLength(lines.join('')) })
    expect(readFileSync(path, 'utf8') === lines.join('')).toBe(true)
  })

  test('may have a huge one among small ones', async ({ dir }) => {
    const path = join(dir, 'file')
    const huge = pattern(20_000_003)
    expect(await write(path, ['<', huge, '>'])).toStrictEqual(written(dir, 20_000_005))
    expect(readFileSync(path).equals(Buffer.concat([Buffer.from('<'), huge, Buffer.from('>')]))).toBe(true)
  })

  test('may have pieces of any size around the limits of what is gathered', async ({ dir }) => {
    const path = join(dir, 'file')
    const sizes = [65_535, 1, 65_536, 1, 65_537, 0, 1 << 20, (1 << 20) + 1, 3, 4 << 20, 65_535, 65_535]
    const pieces = sizes.map((size, i) => pattern(size, i + 1))
    await write(path, pieces)
    expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true)
  })

  const eight = pattern(8)
  const views: [string, Data][] = [
    ['a Buffer', eight],
    ['a slice', Buffer.concat([Buffer.alloc(3), eight, Buffer.alloc(3)]).subarray(3, 11)],
    ['an ArrayBuffer', new Uint8Array(eight).buffer],
    ['a DataView', new DataView(new Uint8Array(eight).buffer)],
    ['a Float64Array', new Float64Array(new Uint8Array(eight).buffer)],
    ['a BigInt64Array', new BigInt64Array(new Uint8Array(eight).buffer)],
    ['a view of shared memory', sharedCopy(eight)],
  ]
  function sharedCopy(bytes: Buffer) {
    const view = new Uint8Array(new SharedArrayBuffer(bytes.length))
    view.set(bytes)
    return view
  }
  for (const [what, data] of views) {
    test(`takes every byte of ${what}`, async ({ dir }) => {
      expect(await write(join(dir, 'file'), [data, data])).toStrictEqual(written(dir, 16))
      expect(readFileSync(join(dir, 'file')).equals(Buffer.concat([eight, eight]))).toBe(true)
    })
  }

  for (const encoding of ['utf8', 'utf16le', 'latin1', 'ascii', 'base64', 'base64url', 'hex'] as const) {
    test(`encodes strings as ${encoding}, by the file’s option or the write’s`, async ({ dir }) => {
      const text = Buffer.from(`añ${'xyz'.repeat(50)}`).toString(encoding)
      const bytes = Buffer.from(text, encoding)
      for (const options of [encoding, { encoding }]) {
        await write(join(dir, 'file'), [text], options)
        expect(readFileSync(join(dir, 'file')).equals(bytes)).toBe(true)
      }
      const file = await AtomicFile.open(join(dir, 'file'))
      await file.write(text, encoding)
      await file.write('ü')
      await file.commit()
      expect(readFileSync(join(dir, 'file')).equals(Buffer.concat([bytes, Buffer.from('ü')]))).toBe(true)
    })
  }

  test('joins characters that were cut between two buffers', async ({ dir }) => {
    const text = 'a漢字😀ü'.repeat(1000)
    const bytes = Buffer.from(text)
    const pieces = Array.from({ length: bytes.length / 5 + 1 }, (_, i) => bytes.subarray(i * 5, i * 5 + 5))
    await write(join(dir, 'file'), pieces)
    expect(readFileSync(join(dir, 'file'), 'utf8') === text).toBe(true)
  })

  test('is as it was at each call, although the caller changes the buffer', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const buffer = Buffer.alloc(100_000, 'a')
    const first = file.write(buffer)
    buffer.fill('b')
    const second = file.write(buffer)
    structuredClone(buffer.buffer, { transfer: [buffer.buffer as ArrayBuffer] })
    await Promise.all([first, second])
    await file.commit()
    expect(readFileSync(join(dir, 'file'), 'utf8') === 'a'.repeat(100_000) + 'b'.repeat(100_000)).toBe(true)
  })

  test('has what was written without waiting, in call order, when the commit resolves', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    const pieces = Array.from({ length: 300 }, (_, i) => pattern((i * 7919) % 30_000, i + 1))
    for (const piece of pieces) void file.write(piece)
    const { bytes } = await file.commit()
    const whole = Buffer.concat(pieces)
    expect(bytes).toBe(whole.length)
    expect(readFileSync(path).equals(whole)).toBe(true)
  })

  test('makes a caller that writes more than a megabyte wait until it is written', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const settled: string[] = []
    const note = (what: string) => () => void settled.push(what)
    const small = file.write('x').then(note('small'))
    const large = file.write(pattern(3 << 20)).then(note('large'))
    await Promise.resolve()
    await Promise.resolve()
    expect(settled).toStrictEqual(['small'])
    await Promise.all([small, large])
    await file.commit()
  })
})

describe('the options', () => {
  test('of an open file are those of atomicWrite', async ({ dir }) => {
    const path = join(dir, 'file')
    expect(await write(path, ['x'], { flush: false })).toStrictEqual(written(dir, 1, { durable: false }))
    expect(await write(path, ['x'], { verify: false })).toStrictEqual(written(dir, 1, { verified: false }))
    expect(await write(path, ['x'], { mode: 0o604 })).toStrictEqual(written(dir, 1))
    expect(statSync(path).mode & 0o777).toBe(0o604)
    expect(await write(path, ['x'], null)).toStrictEqual(written(dir, 1))
    expect(await write(join(dir, 'a', 'b', 'c'), ['x'])).toStrictEqual(written(join(dir, 'a', 'b'), 1))
    const error = await rejection(AtomicFile.open(join(dir, 'd', 'e'), { mkdir: false }))
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open' })
  })

  needs('a temporary folder on a disk')('verify: ‘device’ reads it from the disk', async ({ dir }) => {
    const result = await write(join(dir, 'file'), [pattern(3_000_000)], { verify: 'device' })
    expect(['cache', 'device']).toContain(result.verified)
    const bytes = readFileSync(join(dir, 'file'))
    expect(bytes.equals(pattern(3_000_000))).toBe(true)
  })

  test('wx refuses an existing file at the opening', async ({ dir }) => {
    const path = join(dir, 'file')
    symlinkSync('nowhere', join(dir, 'dangling'))
    writeFileSync(path, 'old')
    for (const taken of [path, join(dir, 'dangling')]) {
      expect(await rejection(AtomicFile.open(taken, { flag: 'wx' }))).toMatchObject({
        ...{ code: 'EEXIST', syscall: 'open', path: taken },
      })
    }
    expect(names(dir)).toStrictEqual(['dangling', 'file'])
  })

  test('wx refuses at the commit a file that has appeared since, and the first of two commits wins', async ({
    dir,
  }) => {
    const path = join(dir, 'file')
    const [one, two] = [
      await AtomicFile.open(path, { flag: 'wx' }),
      await AtomicFile.open(path, { flag: 'wx' }),
    ]
    await one.write('one')
    await two.write('two')
    expect(await two.commit()).toStrictEqual(written(dir, 3))
    const error = await rejection(one.commit())
    expect(error).toMatchObject({ code: 'EEXIST', syscall: 'open', path })
    expect(readFileSync(path, 'utf8')).toBe('two')
    expect(names(dir)).toStrictEqual(['file'])
  })
})

describe('ifChanged', () => {
  const bytes = pattern(3_000_001)
  function old(dir: string, content: string | Buffer) {
    const path = join(dir, 'file')
    writeFileSync(path, content)
    utimesSync(path, 1000, 1000)
    return path
  }

  for (const [what, content] of [
    ['', ''],
    ['a text', 'same'],
    ['megabytes', bytes],
  ] as const) {
    test(`leaves inode and mtime alone if the file has these bytes: ${what || 'none'}`, async ({ dir }) => {
      const path = old(dir, content)
      const before = state(path)
      const half = content.length >> 1
      const pieces = [content.slice(0, half), content.slice(half)]
      expect(await write(path, pieces, { ifChanged: true, mode: 0o600 })).toStrictEqual(
        written(dir, content.length, { written: false }),
      )
      expect(state(path)).toStrictEqual(before)
      expect(names(dir)).toStrictEqual(['file'])
    })
  }

  test('does not call verified what was not', async ({ dir }) => {
    const result = await write(old(dir, 'same'), ['same'], { ifChanged: true, verify: false, flush: false })
    expect(result).toStrictEqual({ written: false, bytes: 4, durable: false, verified: false, atomic: true })
  })

  const flipped = Buffer.from(bytes)
  flipped[2_999_999] = (flipped[2_999_999] ?? 0) ^ 1
  for (const [what, before, after] of [
    ['another byte', 'same', 'samf'],
    ['less', 'same', 'sam'],
    ['more', 'same', 'same '],
    ['nothing over something', 'same', ''],
    ['one bit in megabytes', bytes, flipped],
  ] as const) {
    test(`writes ${what}`, async ({ dir }) => {
      const path = old(dir, before)
      const { ino } = state(path)
      expect(await write(path, [after], { ifChanged: true })).toStrictEqual(written(dir, after.length))
      expect(readFileSync(path).equals(Buffer.from(after))).toBe(true)
      expect(state(path).ino).not.toBe(ino)
    })
  }

  test('writes what was not there', async ({ dir }) => {
    expect(await write(join(dir, 'file'), ['x'], { ifChanged: true })).toStrictEqual(written(dir, 1))
  })
})

describe('between the opening and the commit', () => {
  const modeOf = (path: string) => statSync(path).mode & 0o777

  test('the file may get another mode: that one is kept', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old', { mode: 0o644 })
    const file = await AtomicFile.open(path)
    chmodSync(path, 0o604)
    await file.commit()
    expect(modeOf(path)).toBe(0o604)
  })

  test('the file may appear: its mode is kept', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    await file.write('new')
    writeFileSync(path, 'meanwhile')
    chmodSync(path, 0o600)
    expect(await file.commit()).toStrictEqual(written(dir, 3))
    expect([readFileSync(path, 'utf8'), modeOf(path)]).toStrictEqual(['new', 0o600])
  })

  test('the file may go: the new one has the mode of a new one', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old', { mode: 0o600 })
    writeFileSync(join(dir, 'plain'), '')
    const file = await AtomicFile.open(path)
    await file.write(pattern(100_000))
    unlinkSync(path)
    expect(await file.commit()).toStrictEqual(written(dir, 100_000))
    expect(readFileSync(path).equals(pattern(100_000))).toBe(true)
    expect(modeOf(path)).toBe(modeOf(join(dir, 'plain')))
  })

  for (const meanwhile of [false, true]) {
    const when = meanwhile ? 'has appeared since' : 'was there'
    needs('root', 'python3')(`owner and attributes of the file that ${when} are kept`, async ({ dir }) => {
      const path = join(dir, 'file')
      const make = () => {
        writeFileSync(path, 'old')
        chownSync(path, NOBODY, NOBODY)
        python('os.setxattr(path, "user.mine", b"kept")', path)
      }
      if (!meanwhile) make()
      const file = await AtomicFile.open(path)
      await file.write('new')
      if (meanwhile) make()
      await file.commit()
      expect(statSync(path)).toMatchObject({ uid: NOBODY, gid: NOBODY, size: 3 })
      expect(python('print(os.getxattr(path, "user.mine"))', path)).toBe("b'kept'")
    })
  }

  test('a link may be switched: the file is where it led when it was opened', async ({ dir }) => {
    writeFileSync(join(dir, 'one'), 'old')
    writeFileSync(join(dir, 'two'), 'old')
    symlinkSync('one', join(dir, 'link'))
    const file = await AtomicFile.open(join(dir, 'link'))
    await file.write('new')
    unlinkSync(join(dir, 'link'))
    symlinkSync('two', join(dir, 'link'))
    await file.commit()
    expect(['one', 'two'].map((name) => readFileSync(join(dir, name), 'utf8'))).toStrictEqual(['new', 'old'])
    expect(names(dir)).toStrictEqual(['link', 'one', 'two'])
  })

  test('nothing of it is visible, and other files are free', async ({ dir }) => {
    const [one, two] = [await AtomicFile.open(join(dir, 'one')), await AtomicFile.open(join(dir, 'two'))]
    await one.write(pattern(2 << 20))
    await two.write('two')
    await two.commit()
    expect(names(dir).filter((name) => !leftovers(dir).includes(name))).toStrictEqual(['two'])
    await one.commit()
    expect(names(dir)).toStrictEqual(['one', 'two'])
  })
})

test('a link stays a link, a dangling one too', async ({ dir }) => {
  makeDir(dir, 'sub')
  symlinkSync('sub/file', join(dir, 'link'))
  await write(join(dir, 'link'), ['through the link'])
  expect(readFileSync(join(dir, 'sub', 'file'), 'utf8')).toBe('through the link')
  expect(readFileSync(join(dir, 'link'), 'utf8')).toBe('through the link')
})

needs('linux')('leaving the block by an exception leaves the old file and nothing else', async ({ dir }) => {
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  const before = state(path)
  const leave = async () => {
    await using file = await AtomicFile.open(path)
    await file.write(pattern(300_000))
    throw new RangeError('mine')
  }
  expect(await rejection(leave())).toBeInstanceOf(RangeError)
  expect(state(path)).toStrictEqual(before)
  expect(names(dir)).toStrictEqual(['file'])
  expect(openBelow(dir)).toStrictEqual([])
})

needs('linux')('a committed file has nothing open', async ({ dir }) => {
  await write(join(dir, 'file'), ['x'])
  await write(join(dir, 'file'), ['x'], { ifChanged: true })
  // A replaced file may be closed a moment later.
  await untilClosed(dir)
})

test('the caller’s async context is there after each method', async ({ dir }) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const note = () => seen.push(storage.getStore())
  await Promise.all(
    ['one', 'two'].map((name) =>
      storage.run(name, async () => {
        const file = await AtomicFile.open(join(dir, name))
        note()
        await file.write(pattern(2 << 20)).then(note)
        const piping = new Response('x'.repeat(100_000)).body?.pipeTo(file.writable as any)
        await piping?.then(note)
        await file.commit().then(note)
        await rejection(file.commit()).then(note)
        await file[Symbol.asyncDispose]().then(note)
      }),
    ),
  )
  expect(seen.filter((name) => name === 'one')).toHaveLength(6)
  expect(seen.filter((name) => name === 'two')).toHaveLength(6)
})
