import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ReadableStream } from 'node:stream/web'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AtomicFile, type Data } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names, pattern, state, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const inUse = {
  code: 'ERR_INVALID_STATE',
  message:
    'Invalid state: the stream of the file is locked or has failed: wait until it is closed, or abort the file',
}

/** A source of these chunks; then it ends, or fails with `error`. */
const source = (chunks: unknown[], error?: Error) =>
  new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift()
      if (chunk !== undefined) controller.enqueue(chunk)
      else if (error) controller.error(error)
      else controller.close()
    },
  })

/** A source without an end. `isFlowing` resolves when several of its chunks have been taken. */
function anEndlessSource() {
  const { open, opened: isFlowing } = gate()
  let taken = 0
  const endless = new ReadableStream({
    async pull(controller) {
      await nextTurn()
      controller.enqueue('x')
      if (++taken === 5) open()
    },
  })
  return { endless, isFlowing }
}

const megabytes = Array.from({ length: 100 }, (_, i) => pattern(50_000, i + 1))

function withOld(dir: string) {
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  return { path, before: state(path) }
}

describe('pipeTo', () => {
  test('writes all and closes, and the commit publishes', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const file = await AtomicFile.open(path)
    await source([...megabytes]).pipeTo(file.writable)
    expect(state(path)).toStrictEqual(before)
    expect(await file.commit()).toStrictEqual(written(dir, 5_000_000))
    expect(readFileSync(path).equals(Buffer.concat(megabytes))).toBe(true)
  })

  test('takes strings too, in the file’s encoding', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path, 'latin1')
    await source(['a', Buffer.from('b'), 'ü']).pipeTo(file.writable)
    await file.commit()
    expect(readFileSync(path, 'latin1')).toBe('abü')
  })

  test('ends the content: no write comes after it', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    await source(['a']).pipeTo(file.writable)
    expect(await rejection(file.write('b'))).toMatchObject({
      ...{
        code: 'ERR_INVALID_STATE',
        message: 'Invalid state: the file was ended, nothing can be written to it any more',
      },
    })
    expect(await file.commit()).toMatchObject({ bytes: 1 })
  })

  test('with preventClose leaves it open for more', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    await file.write('<')
    for (const text of ['a', 'b']) await source([text]).pipeTo(file.writable, { preventClose: true })
    await file.write('>')
    await file.commit()
    expect(readFileSync(path, 'utf8')).toBe('<ab>')
  })

  needs('linux')('from a source that fails discards the file', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const file = await AtomicFile.open(path)
    const error = new Error('mine')
    expect(await rejection(source([...megabytes], error).pipeTo(file.writable))).toBe(error)
    expect(await rejection(file.commit())).toMatchObject({
      ...{ code: 'ERR_INVALID_STATE', message: 'Invalid state: the file was aborted' },
    })
    expect(state(path)).toStrictEqual(before)
    expect(openBelow(dir)).toStrictEqual([])
  })

  needs('linux')('that is aborted by its signal discards the file', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const controller = new AbortController()
    const { endless, isFlowing } = anEndlessSource()
    const piping = rejection(endless.pipeTo(file.writable, { signal: controller.signal }))
    await isFlowing
    controller.abort('mine')
    expect(await piping).toBe('mine')
    await file.abort()
    expect(openBelow(dir)).toStrictEqual([])
    expect(names(dir)).toStrictEqual([])
  })

  test('into a file that its own signal discards rejects', async ({ dir }) => {
    const controller = new AbortController()
    const file = await AtomicFile.open(join(dir, 'file'), { signal: controller.signal })
    const { endless, isFlowing } = anEndlessSource()
    const piping = rejection(endless.pipeTo(file.writable))
    await isFlowing
    controller.abort('mine')
    expect(await piping).toMatchObject({ code: 'ABORT_ERR', cause: 'mine' })
    expect(names(dir)).toStrictEqual([])
  })
})

describe('a commit that comes too early', () => {
  test('while the stream is piped to is refused, and may come again', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const file = await AtomicFile.open(path)
    const piping = source([...megabytes]).pipeTo(file.writable)
    expect(await rejection(file.commit())).toMatchObject(inUse)
    expect(state(path)).toStrictEqual(before)
    await piping
    expect(await file.commit()).toStrictEqual(written(dir, 5_000_000))
  })

  test('while a writer has the stream is refused, until it is closed', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const writer = file.writable.getWriter()
    await writer.write('a')
    expect(await rejection(file.commit())).toMatchObject(inUse)
    await writer.close()
    expect(await file.commit()).toStrictEqual(written(dir, 1))
  })

  test('while the stream still has chunks that a writer left there is refused', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    const writer = file.writable.getWriter()
    const writing = ['a', 'b', 'c'].map((chunk) => writer.write(chunk))
    writer.releaseLock()
    expect(await rejection(file.commit())).toMatchObject(inUse)
    await Promise.all(writing)
    await file.commit()
    expect(readFileSync(path, 'utf8')).toBe('abc')
  })

  test('for a stream that has lost a chunk is refused for good', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const file = await AtomicFile.open(path)
    const failing = source(['a', 1, 'b']).pipeTo(file.writable)
    expect(await rejection(failing)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    expect(await rejection(file.commit())).toMatchObject(inUse)
    await file.abort()
    expect(state(path)).toStrictEqual(before)
  })

  test('is none where the stream was never used', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    expect(file.writable.locked).toBe(false)
    await file.write('x')
    expect(await file.commit()).toStrictEqual(written(dir, 1))
    expect(file.writable.locked).toBe(false)
  })
})

describe('a writer of the stream', () => {
  test('has to wait when there is no room', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const writer = file.writable.getWriter()
    await writer.ready
    const writing = writer.write(pattern(16 << 20))
    expect(writer.desiredSize).toBe(0)
    let isReady = false
    void writer.ready.then(() => {
      isReady = true
    })
    // A job settles in the event loop, which has not turned.
    for (let i = 0; i < 50; i++) await Promise.resolve()
    expect(isReady).toBe(false)
    await writing
    await writer.ready
    expect(writer.desiredSize).toBe(1)
    await writer.close()
    await file.commit()
  })

  test('that closes has everything written by then', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const writer = file.writable.getWriter()
    void writer.write('a')
    await writer.close()
    expect(await file.commit()).toMatchObject({ bytes: 1 })
  })

  needs('linux')('that aborts discards the file', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const writer = file.writable.getWriter()
    await writer.write(pattern(200_000))
    await writer.abort('mine')
    expect(openBelow(dir)).toStrictEqual([])
    expect(await rejection(file.commit())).toMatchObject({ code: 'ERR_INVALID_STATE' })
  })

  test('fails after the file was aborted', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const writer = file.writable.getWriter()
    writer.closed.catch(() => {})
    await file.abort()
    expect(await rejection(writer.write('x'))).toMatchObject({ code: 'ERR_INVALID_STATE' })
  })
})

describe('stream.pipeline', () => {
  // The types of Node 20 do not know that it takes web streams.
  const nodeStream = (file: AtomicFile) => file.writable as unknown as NodeJS.WritableStream

  const text = 'a漢字😀ü'.repeat(20_000)
  const sources: [string, () => Readable][] = [
    ['strings', () => Readable.from(text.match(/.{1,1000}/gsu) ?? [])],
    ['buffers', () => Readable.from(chunksOf(Buffer.from(text), 777))],
    ['bytes', () => Readable.from(chunksOf(Buffer.from(text), 70_001), { objectMode: false })],
  ]
  function chunksOf(bytes: Buffer, size: number) {
    return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    )
  }
  for (const [what, from] of sources) {
    test(`of ${what} writes all of them`, async ({ dir }) => {
      const path = join(dir, 'file')
      const file = await AtomicFile.open(path)
      await pipeline(from(), nodeStream(file))
      expect(await file.commit()).toStrictEqual(written(dir, Buffer.byteLength(text)))
      expect(readFileSync(path, 'utf8') === text).toBe(true)
    })

    test(`of ${what}, as a web stream, writes all of them`, async ({ dir }) => {
      const path = join(dir, 'file')
      const file = await AtomicFile.open(path)
      await (Readable.toWeb(from()) as ReadableStream<Data>).pipeTo(file.writable)
      await file.commit()
      expect(readFileSync(path, 'utf8') === text).toBe(true)
    })
  }

  needs('linux')('with a step that fails discards the file', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const file = await AtomicFile.open(path)
    let passed = 0
    const failing = new Transform({
      transform(chunk, _, done) {
        done(passed++ > 3 ? new Error('mine') : null, chunk)
      },
    })
    expect(await rejection(pipeline(Readable.from([...megabytes]), failing, nodeStream(file)))).toMatchObject(
      {
        message: 'mine',
      },
    )
    await file.abort()
    expect(await rejection(file.commit())).toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(openBelow(dir)).toStrictEqual([])
    expect(state(path)).toStrictEqual(before)
  })
})

test('the stream is always the same', async ({ dir }) => {
  const file = await AtomicFile.open(join(dir, 'file'))
  const stream = file.writable
  expect(stream).toBeInstanceOf(WritableStream)
  expect(file.writable).toBe(stream)
  await file.abort()
})

test('pipe, which does not write to web streams, says what does, and that works', async ({ dir }) => {
  const path = join(dir, 'file')
  const file = await AtomicFile.open(path)
  let error: any
  try {
    Readable.from(['lost']).pipe(file.writable as any)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  expect(error.message).toContain('await pipeline(readable, file.writable)')
  expect(error.message).toContain('file.commit()')
  await pipeline(Readable.from(['a', 'b']), file.writable as any)
  await file.commit()
  expect(readFileSync(path, 'utf8')).toBe('ab')
})

test('and the other way that it names works as well', async ({ dir }) => {
  const path = join(dir, 'file')
  const file = await AtomicFile.open(path)
  await Readable.toWeb(Readable.from(['a', 'b'])).pipeTo(file.writable)
  await file.commit()
  expect(readFileSync(path, 'utf8')).toBe('ab')
})
