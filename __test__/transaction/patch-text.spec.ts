// Patches in transactions change the text of an index, as long as no function asks what it says.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { times } from '../helpers/group'
import { readJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** What `JSON.parse` and `JSON.stringify` would not leave as it is. */
const odd = '\ufeff{ "big":  1.50,\r\n\t"n":1, "9": [ ], "1":{}, "n": 2,\r\n\t"log": [ "\\u0061" ] }\r\n\r\n'
const increment = { increment: { '/n': 1 } }

test('a group of transactions leaves alone what its patches do not touch; one that fails is left out as a whole', async ({
  dir,
}) => {
  const [index, other] = [join(dir, 'index.json'), join(dir, 'other.json')]
  for (const file of [index, other]) writeFileSync(file, odd)
  const count = (at: number) =>
    atomicTransaction(dir, (tx) => {
      tx.write(`posts/${at}`, String(at))
      tx.patch('index.json', increment)
      return tx.patch('other.json', increment)
    })
  const calls = times(20, count)
  const failing = atomicTransaction(dir, (tx) => {
    tx.write('posts/failed', '')
    tx.patch('index.json', { ...increment, append: { '/log': ['failed'] } })
    tx.patch('other.json', { increment: { '/none/n': 1 } })
  })
  const more = times(20, (at) => count(20 + at))
  expect(await rejection(failing)).toMatchObject({
    code: 'ERR_ATOMIC_PATCH',
    path: 'other.json',
    pointer: '/none/n',
    stack: expect.stringContaining('patch-text.spec'),
  })
  const done = await Promise.all([...calls, ...more])
  expect(Math.max(...done.map(({ batchSize }) => batchSize))).toBeGreaterThan(10)
  for (const file of [index, other]) {
    expect(readFileSync(file, 'utf8')).toBe(odd.replace('"n": 2', '"n": 42'))
  }
  expect([existsSync(join(dir, 'posts/39')), existsSync(join(dir, 'posts/failed'))]).toEqual([true, false])
  expect(done.at(-1)?.value.value).toMatchObject({ n: 42, log: ['a'] })

  // Nothing to write.
  const same = await atomicTransaction(dir, [
    { patch: 'index.json', change: { set: { '/n': 42, '/1': {} } } },
  ])
  expect(same.files).toMatchObject([{ action: 'unchanged' }])
  // The file is kept as it was; and an indent is for values.
  const kept = readFileSync(index)
  await atomicTransaction(dir, (tx) => void tx.patch('index.json', increment, { backup: true }))
  expect(readFileSync(`${index}.backup`)).toEqual(kept)
  expect(readFileSync(index, 'utf8')).toBe(odd.replace('"n": 2', '"n": 43'))
  await atomicTransaction(dir, (tx) => void tx.patch('index.json', increment, { space: 1 }))
  expect(readFileSync(index, 'utf8')).toContain('\r\n "n": 44')
})

test('a function in the group has what patches before it have made, and patches after it what it has made', async ({
  dir,
}) => {
  const text = odd.slice(1)
  writeFileSync(join(dir, 'index.json'), text)
  const log = (entry: string) => ({ append: { '/log': [entry] }, ...increment })
  const patch = (entry: string, options = {}) =>
    atomicTransaction(dir, (tx) => tx.patch('index.json', log(entry), options))
  const fn = (change: (index: any) => object, options = {}) =>
    atomicTransaction(dir, (tx) => tx.update('index.json', change, options))
  const outcomes = await Promise.allSettled([
    patch('first'),
    patch('second'),
    fn((index) => ({ ...index, n: index.n * 10 })),
    // It runs twice in the group: what it has made the first time counts for nothing.
    fn(() => {
      throw new Error('fails by itself')
    }),
    patch('third'),
    patch('schema', { schema: z.looseObject({ n: z.number() }) }),
    patch('lossy', { numbers: 'lossy' }),
    atomicTransaction(dir, (tx) => {
      const before = tx.patch('index.json', log('fourth'))
      tx.update('index.json', (index: any) => ({ ...index, done: index.log.length }))
      return before
    }),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(
    ['', '', '', 'rejected', '', '', '', ''].map((status) => status || 'fulfilled'),
  )
  expect(readJson(join(dir, 'index.json'))).toEqual({
    big: 1.5,
    1: {},
    9: [],
    n: 44,
    log: ['a', 'first', 'second', 'third', 'schema', 'lossy', 'fourth'],
    done: 7,
  })

  writeFileSync(join(dir, 'index.json'), text)
  const moved = await atomicTransaction(dir, (tx) => {
    const index = tx.patch('index.json', increment)
    tx.rename('index.json', 'moved.json')
    tx.patch('moved.json', increment)
    return index
  })
  expect(existsSync(join(dir, 'index.json'))).toBe(false)
  expect([readJson(join(dir, 'moved.json')), moved.value.value]).toMatchObject([{ n: 4 }, { n: 4 }])
  const replaced = atomicTransaction(dir, (tx) => {
    tx.patch('moved.json', increment)
    tx.write('moved.json', '{"n": 0}')
    tx.patch('moved.json', increment)
  })
  await replaced
  expect(readJson(join(dir, 'moved.json'))).toEqual({ n: 1 })
})
