import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicWrite, atomicWriteAll, type Data } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { loosely, names, pattern } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** The bytes 1 to 16. */
const sixteen = () => Uint8Array.from({ length: 16 }, (_, i) => i + 1)

type View = new (buffer: ArrayBufferLike, offset?: number, length?: number) => NodeJS.ArrayBufferView

const views: Record<string, View & { BYTES_PER_ELEMENT?: number }> = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
}

async function bytesOf(dir: string, data: Data): Promise<Buffer> {
  const { bytes } = await atomicWrite(join(dir, 'file'), data)
  const found = readFileSync(join(dir, 'file'))
  expect(bytes).toBe(found.length)
  return found
}

describe('the file holds every byte, and no other, of', () => {
  for (const [name, View] of Object.entries(views)) {
    test(`a ${name}`, async ({ dir }) => {
      expect(await bytesOf(dir, new View(sixteen().buffer))).toStrictEqual(Buffer.from(sixteen()))
    })

    test(`a ${name} that shows a part of its buffer`, async ({ dir }) => {
      const part = 8 / (View.BYTES_PER_ELEMENT ?? 1)
      const view = new View(sixteen().buffer, 8, part)
      expect(await bytesOf(dir, view)).toStrictEqual(Buffer.from(sixteen().subarray(8)))
    })

    test(`a ${name} over shared memory`, async ({ dir }) => {
      const shared = new SharedArrayBuffer(16)
      new Uint8Array(shared).set(sixteen())
      expect(await bytesOf(dir, new View(shared))).toStrictEqual(Buffer.from(sixteen()))
    })
  }

  test('an ArrayBuffer', async ({ dir }) => {
    expect(await bytesOf(dir, sixteen().buffer)).toStrictEqual(Buffer.from(sixteen()))
  })

  test('a DataView at an odd offset', async ({ dir }) => {
    expect(await bytesOf(dir, new DataView(sixteen().buffer, 3, 5))).toStrictEqual(
      Buffer.from([4, 5, 6, 7, 8]),
    )
  })

  test('a Buffer out of the pool', async ({ dir }) => {
    expect(await bytesOf(dir, Buffer.from('pooled').subarray(1, 4))).toStrictEqual(Buffer.from('ool'))
  })

  test('views of no elements', async ({ dir }) => {
    for (const view of [new Uint8Array(0), new DataView(new ArrayBuffer(4), 4), new BigInt64Array(0)]) {
      expect(await bytesOf(dir, view)).toStrictEqual(Buffer.alloc(0))
    }
  })

  test('a view of growable shared memory', async ({ dir }) => {
    const shared = new (SharedArrayBuffer as any)(4, { maxByteLength: 8 })
    const view = new Uint8Array(shared)
    shared.grow(6)
    expect(await bytesOf(dir, view.fill(7))).toStrictEqual(Buffer.alloc(6, 7))
  })

  test('an array of floats with NaN payloads and negative zero', async ({ dir }) => {
    const floats = new Float64Array([-0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324])
    expect(await bytesOf(dir, floats)).toStrictEqual(Buffer.from(floats.buffer))
  })

  test('a view of a resizable buffer that follows its length', async ({ dir }) => {
    const buffer = resizable(4, 16)
    const view = new Uint8Array(buffer)
    buffer.resize(6)
    view.fill(7)
    expect(await bytesOf(dir, view)).toStrictEqual(Buffer.alloc(6, 7))
  })

  test('a view made in another context', async ({ dir }) => {
    const { runInNewContext } = await import('node:vm')
    expect(await bytesOf(dir, runInNewContext('Uint16Array.of(0x4241, 0x4443)'))).toStrictEqual(
      Buffer.from('ABCD'),
    )
  })
})

// The lib of ES2023 does not know these yet.
type Resizable = ArrayBuffer & { resize(length: number): void }
const resizable = (length: number, maxByteLength: number) =>
  new (ArrayBuffer as any)(length, { maxByteLength }) as Resizable

describe('right after the call the caller may', () => {
  const size = 8 << 20

  test('overwrite the buffer', async ({ dir }) => {
    const data = pattern(size)
    const writing = atomicWrite(join(dir, 'file'), data)
    data.fill(0)
    await writing
    expect(readFileSync(join(dir, 'file')).equals(pattern(size))).toBe(true)
  })

  test('transfer the buffer', async ({ dir }) => {
    const data = new Uint8Array(pattern(size))
    const writing = atomicWrite(join(dir, 'file'), data)
    structuredClone(data.buffer, { transfer: [data.buffer] })
    expect(data.length).toBe(0)
    await writing
    expect(readFileSync(join(dir, 'file')).equals(pattern(size))).toBe(true)
  })

  test('shrink the buffer to nothing', async ({ dir }) => {
    const buffer = resizable(size, size)
    new Uint8Array(buffer).set(pattern(size))
    const writing = atomicWrite(join(dir, 'file'), new Uint8Array(buffer))
    buffer.resize(0)
    await writing
    expect(readFileSync(join(dir, 'file')).equals(pattern(size))).toBe(true)
  })

  test('have another thread scribble over shared memory', async ({ dir }) => {
    const shared = new Uint8Array(new SharedArrayBuffer(size))
    shared.set(pattern(size))
    const writing = atomicWrite(join(dir, 'file'), shared)
    shared.fill(0)
    await writing
    expect(readFileSync(join(dir, 'file')).equals(pattern(size))).toBe(true)
  })
})

describe('a string is written', () => {
  const text = 'aé漢😀\0\u{fffd}\u{feff}\r\n'
  const encodings: [NodeJS.BufferEncoding, string][] = [
    ...(['utf8', 'utf-8', 'UTF-8' as BufferEncoding, 'utf16le', 'utf-16le', 'ucs2', 'ucs-2'] as const).map(
      (encoding) => [encoding, text] as [BufferEncoding, string],
    ),
    ...(['latin1', 'binary', 'ascii'] as const).map(
      (encoding) => [encoding, 'aé\xff\0'] as [BufferEncoding, string],
    ),
    ['base64', 'AP+qVQ=='],
    ['base64', 'AP-q VQ'],
    ['base64url', 'AP-qVQ'],
    ['hex', '00ffAA55'],
    ['hex', '00ffzz'],
  ]
  for (const [encoding, given] of encodings) {
    test(`as ${encoding} exactly as Buffer.from(${JSON.stringify(given)}) has it`, async ({ dir }) => {
      await atomicWrite(join(dir, 'file'), given, { encoding })
      expect(readFileSync(join(dir, 'file'))).toStrictEqual(Buffer.from(given, encoding))
    })
  }

  test('as utf8 without being asked', async ({ dir }) => {
    expect(await bytesOf(dir, text)).toStrictEqual(Buffer.from(text))
  })

  test('whether V8 keeps it flat, as a rope, or as a slice', async ({ dir }) => {
    const rope = ['left ä'.repeat(50), 'right 漢'.repeat(50)].reduce((a, b) => a + b)
    expect(await bytesOf(dir, rope)).toStrictEqual(Buffer.from(rope))
    expect(await bytesOf(dir, rope.slice(7, 300))).toStrictEqual(Buffer.from(rope.slice(7, 300)))
  })

  for (const encoding of ['utf16le', 'latin1'] as const) {
    test(`as ${encoding} with a lone surrogate in it, for that encoding has code units`, async ({ dir }) => {
      await atomicWrite(join(dir, 'file'), 'a\ud800b', encoding)
      expect(readFileSync(join(dir, 'file'))).toStrictEqual(Buffer.from('a\ud800b', encoding))
    })
  }
})

describe('a lone surrogate is refused as utf8', () => {
  for (const [where, given] of [
    ['a high one at the end', 'ab\ud83d'],
    ['a high one in the middle', '\ud83dx'],
    ['a low one', 'ab\ude00c'],
    ['two in the wrong order', '\ude00\ud83d'],
    ['one behind megabytes', `${'x'.repeat(3 << 20)}\udfff`],
  ] as const) {
    test(`${where}, and the old file stands`, async ({ dir }) => {
      await atomicWrite(join(dir, 'file'), 'old')
      const error = await rejection(atomicWrite(join(dir, 'file'), given))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
    })
  }
})

describe('data of another type is refused', () => {
  for (const data of [
    undefined,
    null,
    true,
    1,
    10n,
    Symbol('s'),
    {},
    [],
    [1, 2],
    () => {},
    new Date(0),
    new String('boxed'),
    { toString: () => 'text' },
  ]) {
    test(`such as ${typeof data} ${String(data)}`, async ({ dir }) => {
      const error = await rejection(loosely(join(dir, 'file'), data))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(
          /^The "data" argument must be of type string or an instance of Buffer, /,
        ),
      })
      expect(names(dir)).toStrictEqual([])
    })
  }
})

describe('a view that has lost its bytes is refused, and the old file stands', () => {
  for (const [name, View] of Object.entries(views)) {
    for (const [how, lose] of [
      ['its buffer was transferred', (buffer: Resizable) => structuredClone(buffer, { transfer: [buffer] })],
      ['its buffer was made shorter', (buffer: Resizable) => buffer.resize(8)],
    ] as const) {
      test(`a ${name}: ${how}`, async ({ dir }) => {
        await atomicWrite(join(dir, 'file'), 'old')
        const buffer = resizable(16, 16)
        const view = new View(buffer, 8, 8 / (View.BYTES_PER_ELEMENT ?? 1))
        lose(buffer)
        const error = await rejection(atomicWrite(join(dir, 'file'), view))
        expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
        expect(error.message).toMatch(/must not (be detached|reach beyond the end of its buffer)/)
        expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
      })
    }
  }

  test('and nothing of a class of its own is called for a view that has none', async ({ dir }) => {
    const own = () => {
      throw new Error('called')
    }
    for (const View of [Uint8Array, DataView] as View[]) {
      const view = Object.defineProperties(new View(new ArrayBuffer(8), 8), {
        keys: { value: own },
        byteLength: { get: own },
        length: { get: own },
        buffer: { get: own },
      })
      expect(await bytesOf(dir, view)).toStrictEqual(Buffer.alloc(0))
    }
  })

  test('and so is such a chunk and such an entry', async ({ dir }) => {
    const buffer = resizable(16, 16)
    const view = new Uint8Array(buffer, 8, 8)
    buffer.resize(8)
    const file = await AtomicFile.open(join(dir, 'file'))
    expect(await rejection(file.write(view))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await file.abort()
    const error = await rejection(atomicWriteAll([{ path: join(dir, 'file'), data: view }]))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', entry: 0 })
    expect(names(dir)).toStrictEqual([])
  })
})
