// The option `codec`, with a codec that is neither JSON nor one of ours, so that it can be counted and can fail.

import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type AtomicError,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  type IndexCodec,
  readIndex,
  recoverIndex,
  restoreIndex,
  snapshotReadIndex,
  watchIndex,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const never = () => expect.fail('fn was called')

type Index = Record<string, string>

/** Lines of `key=value`, in which `#` begins a comment that stays. It tells what it was asked. */
function lines() {
  const asked: string[] = []
  const previous: (string | undefined)[] = []
  const codec = {
    parse(text: string) {
      asked.push('parse')
      const index: Index = {}
      for (const [at, line] of text.split('\n').entries()) {
        if (line === '' || line.startsWith('#')) continue
        const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? []
        if (key === undefined) throw Object.assign(new Error('no key'), { line: at + 1, column: 1 })
        index[key] = String(value)
      }
      return index
    },
    stringify(index: Index, text: string | undefined) {
      asked.push('stringify')
      previous.push(text)
      const comments = (text ?? '').split('\n').filter((line) => line.startsWith('#'))
      return [...comments, ...Object.entries(index).map(([key, value]) => `${key}=${value}`), ''].join('\n')
    },
  } satisfies IndexCodec
  return { codec, asked, previous }
}

const { codec } = lines()
const read = (file: string) => readFileSync(file, 'utf8')
const set = (key: string, value: string) => (index?: Index) => ({ ...index, [key]: value })

test('an index is parsed and printed by the codec, which gets the text that it replaces', async ({
  file,
}) => {
  const { codec, previous } = lines()
  await atomicIndexUpdate(file, set('a', '1'), { codec })
  writeFileSync(file, '# kept\na=1\n')
  const { written, bytes } = await atomicIndexUpdate(file, set('b', '2'), {
    codec,
    space: 8,
    numbers: 'strict',
  })
  expect(read(file)).toBe('# kept\na=1\nb=2\n')
  expect({ written, bytes }).toEqual({ written: true, bytes: 15 })
  expect(previous).toEqual([undefined, '# kept\na=1\n'])
  expect((await readIndex(file, { codec })).value).toEqual({ a: '1', b: '2' })
})

test('the same text is not written, another one that says the same is', async ({ file }) => {
  writeFileSync(file, 'a=1\n')
  const before = state(file)
  expect(await atomicIndexUpdate(file, (index) => index, { codec })).toMatchObject({ written: false })
  expect(state(file)).toEqual(before)
  writeFileSync(file, 'a=1\n\n')
  expect(await atomicIndexUpdate(file, (index) => index, { codec })).toMatchObject({ written: true })
})

test('a byte order mark stays, and the codec does not see it', async ({ file }) => {
  const { codec, previous } = lines()
  writeFileSync(file, '\ufeffa=1\n\n')
  await atomicIndexUpdate(file, () => ({ a: '2' }), { codec })
  expect([read(file), previous]).toEqual(['\ufeffa=2\n', ['a=1\n\n']])
})

test('calls that share a commit share one parse and one stringify; another codec ends their group', async ({
  file,
}) => {
  writeFileSync(file, 'n=0\n')
  const plus = (index?: Index) => ({ n: String(Number(index?.n) + 1) })
  const [one, other] = [lines(), lines()]
  const results = await Promise.all(
    Array.from({ length: 50 }, () => atomicIndexUpdate(file, plus, { codec: one.codec })),
  )
  const groups = Math.round(results.reduce((sum, { batchSize }) => sum + 1 / batchSize, 0))
  expect(groups).toBeLessThan(5)
  expect(one.asked.filter((what) => what === 'parse')).toHaveLength(groups)
  expect(one.asked.filter((what) => what === 'stringify')).toHaveLength(groups)
  const mixed = [one.codec, other.codec, other.codec, undefined]
  writeFileSync(file, '{}\n')
  const settled = await Promise.allSettled(
    mixed.map((codec) => atomicIndexUpdate(file, (index) => index, codec ? { codec } : {})),
  )
  // What is JSON is nothing for the codec, and each of its calls says so by itself.
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled'])
})

test('what the codec cannot print rejects the call whose function made it, and only that', async ({
  dir,
  file,
}) => {
  writeFileSync(file, 'a=1\n')
  const picky: IndexCodec = {
    parse: codec.parse,
    stringify(index: Index, text) {
      if ('bad' in index) throw new RangeError('no such key')
      return codec.stringify(index, text)
    },
  }
  const calls = Array.from({ length: 8 }, (_, at) =>
    atomicIndexUpdate(file, set(at === 3 ? 'bad' : `k${at}`, 'x'), { codec: picky }),
  )
  const settled = await Promise.allSettled(calls)
  expect(settled.flatMap(({ status }, at) => (status === 'rejected' ? [at] : []))).toEqual([3])
  const { reason } = settled[3] as PromiseRejectedResult
  expect(reason).toMatchObject({
    name: 'TypeError',
    code: 'ERR_INVALID_RETURN_VALUE',
    cause: { name: 'RangeError' },
  })
  expect(reason.message).toBe(
    "The result of the function 'fn' cannot be written by options.codec: no such key",
  )
  expect(Object.keys(codec.parse(read(file)))).toEqual(['a', 'k0', 'k1', 'k2', 'k4', 'k5', 'k6', 'k7'])
  expect(names(dir)).toEqual(['index.json'])
})

test.for<[unknown, string]>([
  [undefined, 'Received type undefined'],
  [Promise.resolve('a=1'), 'Received a promise'],
  ['', 'returned an empty text'],
  ['a=\0', 'returned a text with NUL characters'],
  ['a=\ud800', 'returned a text with a lone surrogate'],
])('a stringify that returns %j is refused, and nothing is written', async ([text, told], { file }) => {
  writeFileSync(file, 'a=1\n')
  const before = state(file)
  const bad = { parse: codec.parse, stringify: () => text as string }
  const error = await rejection(atomicIndexUpdate(file, set('b', '2'), { codec: bad }))
  expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_RETURN_VALUE' })
  expect(error.message).toContain(told)
  expect(state(file)).toEqual(before)
})

test('a text that the codec cannot parse is a corrupt index, with its place in bytes', async ({ file }) => {
  writeFileSync(file, '\ufeff# é\nbroken\n')
  const before = state(file)
  const error = (await rejection(atomicIndexUpdate(file, never, { codec }))) as AtomicError
  expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file, offset: 8, line: 2, column: 1 })
  expect(error.message).toContain(
    'the codec cannot parse the index: no key at byte 8 (line 2, column 1); repair it, or have a backup put back: by recoverIndex,',
  )
  expect(error.cause).toMatchObject({ message: 'no key' })
  expect(state(file)).toEqual(before)
  expect(await rejection(readIndex(file, { codec }))).toMatchObject({ code: error.code, offset: 8 })
})

test('whatever a codec throws is a corrupt index', async ({ file }) => {
  writeFileSync(file, 'x')
  const offset = {
    get offset() {
      throw new Error('no offset')
    },
  }
  for (const thrown of [Object.create(null), offset, undefined]) {
    const any: IndexCodec = {
      parse() {
        throw thrown
      },
      stringify: () => 'x',
    }
    expect(await rejection(atomicIndexUpdate(file, never, { codec: any }))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: file,
    })
  }
})

test.for<[string, string | Buffer]>([
  ['the file is empty', ''],
  ['the file is filled with NUL bytes', Buffer.alloc(9)],
  ['there are NUL bytes at byte 6 (line 2, column 3)', 'a=1\nb=\0\0'],
  ['invalid UTF-8', Buffer.from('a=\xff', 'latin1')],
])('what a power cut leaves is corrupt for every codec: %s', async ([told, bytes], { file }) => {
  writeFileSync(file, bytes)
  const asked: string[] = []
  const any = { parse: (text: string) => asked.push(text), stringify: () => 'x' }
  const error = await rejection(atomicIndexUpdate(file, never, { codec: any }))
  expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file })
  expect(error.message).toContain(`the index is not valid text: ${told}`)
  expect(asked).toEqual([])
})

test.for([{}, 'yaml', { parse() {} }])('%j is no codec', async (codec, { file }) => {
  const error = await rejection(atomicIndexUpdate(file, never, { codec: codec as unknown as IndexCodec }))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  expect(error.message).toContain('The "options.codec" property must be an object with the functions parse')
})

test('initial is copied by the codec', async ({ file }) => {
  const shared: Record<string, bigint> = { n: 1n }
  const big: IndexCodec = {
    parse: (text) => ({ n: BigInt(text.trim()) }),
    stringify({ n }) {
      if (typeof n !== 'bigint') throw new Error('no number')
      return `${n}\n`
    },
  }
  const updates = [1n, 2n].map((more) =>
    atomicIndexUpdate(file, (index) => ({ n: (index?.n ?? 0n) + more }), { codec: big, initial: shared }),
  )
  shared.n = 100n
  await Promise.all(updates)
  expect(read(file)).toBe('4\n')
  const error = await rejection(atomicIndexUpdate(file, never, { codec: big, initial: Object.create(null) }))
  expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
  expect(error.message).toBe("The value of 'options.initial' cannot be written by options.codec: no number")
})

test('an object in a store is refused', async () => {
  for (const call of [
    atomicIndexUpdate('s3://bucket/i', never, { codec }),
    atomicIndexPatch('s3://bucket/i', { set: {} }, { codec }),
    readIndex('s3://bucket/i', { codec }),
  ]) {
    expect(await rejection(call)).toMatchObject({ code: 'ERR_ATOMIC_UNSUPPORTED' })
  }
})

describe('broken and earlier versions', () => {
  test('readIndex takes the newest backup that the codec can parse', async ({ file }) => {
    for (const value of ['1', '2', '3']) {
      await atomicIndexUpdate(file, () => ({ a: value }), { codec, backup: { generations: 2 } })
    }
    writeFileSync(file, 'x')
    writeFileSync(`${file}.backup`, '{}')
    expect(await readIndex(file, { codec, fallback: 'backup' })).toMatchObject({
      value: { a: '1' },
      source: 'backup',
      backup: `${file}.backup.1`,
      corrupt: { code: 'ERR_ATOMIC_CORRUPT_INDEX' },
    })
  })

  test('recoverIndex puts it back byte for byte, sets the broken one aside, and finds a good one good', async ({
    file,
  }) => {
    writeFileSync(file, 'x')
    writeFileSync(`${file}.backup`, '# old\na=1\n')
    const { action, value, setAside } = await recoverIndex(file, { codec })
    expect({ action, value }).toEqual({ action: 'restored', value: { a: '1' } })
    expect([read(file), read(String(setAside))]).toEqual(['# old\na=1\n', 'x'])
    expect((await recoverIndex(file, { codec })).action).toBe('none')
    writeFileSync(file, 'x')
    writeFileSync(`${file}.backup`, 'x')
    expect((await recoverIndex(file, { codec, rebuild: () => ({ b: '2' }) })).action).toBe('rebuilt')
    expect(read(file)).toBe('b=2\n')
  })

  test('onCorrupt recovers and goes on', async ({ file }) => {
    writeFileSync(file, 'x')
    await atomicIndexUpdate(file, set('b', '2'), { codec, onCorrupt: 'recover', initial: { a: '1' } })
    expect(read(file)).toBe('a=1\nb=2\n')
  })

  test('restoreIndex puts back what the codec can parse, and nothing else', async ({ file }) => {
    writeFileSync(file, 'a=2\n')
    writeFileSync(`${file}.backup`, 'a=1\n')
    writeFileSync(`${file}.backup.1`, 'x')
    const error = await rejection(restoreIndex(file, 1, { codec }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: `${file}.backup.1` })
    expect(read(file)).toBe('a=2\n')
    expect(await restoreIndex(file, 0, { codec })).toMatchObject({ written: true, backup: `${file}.backup` })
    expect([read(file), read(`${file}.backup`)]).toEqual(['a=1\n', 'a=2\n'])
    writeFileSync(file, 'x')
    const { setAside, backup } = await restoreIndex(file, 0, { codec })
    expect([read(file), read(String(setAside)), backup]).toEqual(['a=2\n', 'x', undefined])
  })
})

test('a lock reads, updates, writes over what is broken, and recovers with the codec', async ({ file }) => {
  const { codec, previous } = lines()
  writeFileSync(file, '# kept\na=1\n')
  await withIndexLock(file, async (lock) => {
    expect((await lock.read({ codec })).value).toEqual({ a: '1' })
    await lock.update(set('b', '2'), { codec })
    await lock.write({ c: '3' }, { codec })
    expect(read(file)).toBe('# kept\nc=3\n')
    writeFileSync(file, 'x')
    await lock.write({ d: '4' }, { codec })
    expect(previous.at(-1)).toBe(undefined)
    expect((await lock.recover({ codec })).action).toBe('none')
  })
  expect(read(file)).toBe('d=4\n')
})

test('a transaction reads and updates with the codec, also what it has made itself', async ({ dir }) => {
  writeFileSync(`${dir}/a`, '# kept\na=1\n')
  await atomicTransaction(dir, async (tx) => {
    expect(await tx.readIndex('a', { codec })).toEqual({ a: '1' })
    tx.update('a', set('b', '2'), { codec, backup: true })
    expect(await tx.readIndex('a', { codec })).toEqual({ a: '1', b: '2' })
    tx.write('b', '# new\nx=1\n')
    tx.update('b', set('y', '2'), { codec })
  })
  expect(read(`${dir}/a`)).toBe('# kept\na=1\nb=2\n')
  expect(read(`${dir}/a.backup`)).toBe('# kept\na=1\n')
  expect(codec.parse(read(`${dir}/b`))).toEqual({ x: '1', y: '2' })
  const indexes = await snapshotReadIndex(dir, ['a', 'none', 'b'], { codec })
  expect(indexes).toEqual([{ a: '1', b: '2' }, undefined, { x: '1', y: '2' }])
})

test('a watcher sees what the codec sees: a comment is no change', async ({ file }) => {
  writeFileSync(file, 'a=1\n')
  const changes = watchIndex<Index>(file, { codec })
  expect(await changes.next()).toMatchObject({ value: { value: { a: '1' } } })
  const next = changes.next()
  writeFileSync(file, '# new\na=1\n')
  // Long enough for the watcher to look: were it a change, it would be told.
  await pause(50)
  await atomicIndexUpdate(file, set('a', '2'), { codec })
  expect(await next).toMatchObject({ value: { value: { a: '2' }, previous: { a: '1' } } })
  await changes.return?.()
})

test('a watcher tells of a value that the codec cannot print', async ({ file }) => {
  writeFileSync(file, 'a=1\n')
  const readOnly: IndexCodec = {
    parse: codec.parse,
    stringify() {
      throw new Error('only for reading')
    },
  }
  const onError = () => expect.fail('the file is not broken')
  const changes = watchIndex<Index>(file, { codec: readOnly, onError })
  expect(await changes.next()).toMatchObject({ value: { value: { a: '1' } } })
  const next = changes.next()
  await atomicIndexUpdate(file, set('a', '2'), { codec })
  expect(await next).toMatchObject({ value: { value: { a: '2' }, previous: { a: '1' } } })
  await changes.return?.()
})
