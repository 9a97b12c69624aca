// `keep: 'value'` in transactions: functions are given a frozen index, which is that of the last commit if nobody has written since.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  recover,
  type TransactionUpdateOptions,
} from '@pipeline/atomic'
import { describe, expect, vi } from 'vitest'
import { times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { add, first, keep, sloppy } from '../helpers/keep'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { interrupt, seed } from '../helpers/transaction'

const onDisk = needs('a temporary folder on ext4, xfs or btrfs')
const withStrace = needs('strace that may attach')

/** A transaction of one update of `index.json`, and of a page. */
const update = (dir: string, fn: (index: any) => any, options: TransactionUpdateOptions = {}) =>
  atomicTransaction(dir, (tx) => {
    tx.write('page.txt', 'page')
    return tx.update('index.json', fn, { ...keep, ...options })
  })

/** What the function of such an update is given. */
async function given(dir: string, options: TransactionUpdateOptions = {}): Promise<any> {
  let given: unknown
  await update(
    dir,
    (index) => {
      given = index
      return add(index)
    },
    options,
  )
  return given
}

const isFrozen = (index: any) => [index, index.list, index.list[1], index.by.a.tags].every(Object.isFrozen)

describe('a value that a transaction keeps', () => {
  onDisk('is that of the last commit, but for what was changed', async ({ file, dir }) => {
    writeJson(file, first)
    const before = await given(dir)
    const printing = vi.spyOn(JSON, 'stringify')
    const parsing = vi.spyOn(JSON, 'parse')
    await update(dir, (index) => ({ ...index, list: [index.list[0], { id: 3 }] }))
    const sizes = [printing, parsing].map(({ mock }) =>
      mock.results.map(({ value }) => JSON.stringify(value).length),
    )
    vi.restoreAllMocks()
    const after = await given(dir)
    expect(after.list).toEqual([{ id: 1 }, { id: 3 }])
    expect(after.by === before.by && after.list[0] === before.list[0]).toBe(true)
    // Nothing but the record was printed or parsed.
    expect(Math.max(...sizes.flat())).toBeLessThan('{"3":{"id":3}}'.length * 2)
    expect(readFileSync(file, 'utf8')).toBe(
      JSON.stringify({ n: 2, list: [{ id: 1 }, { id: 3 }], by: first.by }),
    )
  })

  onDisk('is the one that plain updates keep, and theirs is its', async ({ file, dir }) => {
    writeJson(file, first)
    const lists: unknown[] = []
    const look = (index: any) => {
      lists.push(index.list)
      return add(index)
    }
    for (const _ of [1, 2]) {
      await update(dir, look)
      await atomicIndexUpdate(file, look, keep)
    }
    expect(new Set(lists).size).toBe(1)
    // One that is the only change of its transaction takes no record.
    const { transaction } = await atomicTransaction(dir, [{ update: 'index.json', fn: look, ...keep }])
    await update(dir, look)
    expect([transaction, new Set(lists).size]).toEqual([null, 1])
  })

  onDisk('stays when nothing is changed', async ({ file, dir }) => {
    writeJson(file, first)
    for (const _ of [1, 2]) await given(dir)
    const lists: unknown[] = []
    const look = (index: any) => {
      if (Object.isFrozen(index)) lists.push(index.list)
      return index
    }
    const { files } = await update(dir, look)
    expect(files[1]?.action).toBe('unchanged')
    await update(dir, look)
    expect([lists.length, new Set(lists).size]).toEqual([2, 1])
  })

  test('is frozen at every call, from the first one on, also without a file', async ({ file, dir }) => {
    writeJson(file, first)
    for (const _ of [1, 2]) expect(isFrozen(await given(dir))).toBe(true)
    const seen: any[] = []
    const look = (index: any) => {
      seen.push(index)
      return add(index)
    }
    for (const name of ['new.json', 'new.json'])
      await atomicTransaction(dir, [{ update: name, fn: look, ...keep, initial: first }])
    expect([seen.length, seen.every(isFrozen), Object.isFrozen(first)]).toEqual([2, true, false])
  })

  test('is not changed by who keeps what a function got or returned', async ({ file, dir }) => {
    writeJson(file, first)
    const mine = { deep: { n: 1 } }
    for (let round = 0; round < 3; round++) {
      await update(dir, (index) => ({ ...index, mine, list: [...index.list, mine] }))
      mine.deep.n++
    }
    expect(Object.isFrozen(mine.deep)).toBe(false)
    expect((await given(dir)).list.slice(2).map((item: any) => item.deep.n)).toEqual([1, 2, 3])
  })
})

test('a text that others have laid out is laid out as without the option', async ({ dir }) => {
  const texts = [
    '{ "n":  1,\n       "list": [ {"id":1},   {"id":2} ] }',
    '\ufeff{\r\n\t"n": 1,\r\n"list": []}\r\n',
    '[ 1,2,\n\n 3 ]\n',
  ]
  for (const text of texts) {
    const [kept, plain] = await Promise.all(
      (['value', 'text'] as const).map(async (keep) => {
        const path = `${keep}.json`
        writeFileSync(join(dir, path), text)
        const fn = (index: any) => (Array.isArray(index) ? [...index, 4] : { ...index, n: index.n + 1 })
        // The first one prints all, and the second one what has changed.
        for (const _ of [1, 2]) await atomicTransaction(dir, [{ update: path, fn, keep }])
        return readFileSync(join(dir, path), 'utf8')
      }),
    )
    expect(kept).toBe(plain)
  }
})

describe('what others have written between two transactions is seen', () => {
  const theirs = '{"theirs":true,"list":[],"by":{}}'
  const ways: [by: string, write: (dir: string, file: string) => unknown][] = [
    ['a plain write', (_, file) => writeFileSync(file, theirs)],
    ['atomicWrite', (_, file) => atomicWrite(file, theirs)],
    ['a patch', (_, file) => atomicIndexPatch(file, { merge: { theirs: true } })],
    ['an update', (_, file) => atomicIndexUpdate(file, (index) => ({ ...index, theirs: true }))],
    ['a write of a transaction', (dir) => atomicTransaction(dir, [{ write: 'index.json', data: theirs }])],
    [
      'a patch of a transaction',
      (dir) => atomicTransaction(dir, (tx) => void tx.patch('index.json', { merge: { theirs: true } })),
    ],
    [
      'another process',
      (dir) =>
        inProcess(
          async ({ atomicTransaction }, dir) => {
            const fn = (index: any) => ({ ...index, theirs: true })
            await atomicTransaction(dir, [{ update: 'index.json', fn, keep: 'value' }])
          },
          [dir],
        ).returned,
    ],
  ]
  for (const [by, write] of ways) {
    test(by, async ({ file, dir }) => {
      writeJson(file, first)
      for (const _ of [1, 2]) await given(dir)
      await write(dir, file)
      const text = readJson(file)
      expect(text.theirs).toBe(true)
      expect(await given(dir)).toEqual(text)
      expect((await given(dir)).theirs).toBe(true)
    })
  }

  test('also while its functions run', async ({ file, dir }) => {
    writeJson(file, first)
    for (const _ of [1, 2]) await given(dir)
    const seen: any[] = []
    await update(dir, async (index) => {
      seen.push(index)
      if (seen.length === 1) writeJson(file, { ...first, theirs: true })
      return add(index)
    })
    expect(seen.map(({ theirs }) => theirs)).toEqual([undefined, true])
    expect(readJson(file)).toEqual({ ...first, n: 1, theirs: true })
  })

  withStrace('a transaction that is recovered', async ({ dir }) => {
    const root = seed(dir)
    const fn = ({ n }: any) => ({ n, seen: true })
    const look = () => atomicTransaction(root, [{ update: 'two/index.json', fn, ...keep }])
    for (const _ of [1, 2]) await look()
    await interrupt(root, 2, 7)
    const { value } = await atomicTransaction(root, (tx) => tx.update('two/index.json', fn, keep))
    expect(value.value).toEqual({ n: 7, seen: true })
    await recover(root)
    expect(readJson(join(root, 'two/index.json'))).toEqual({ n: 7, seen: true })
  })
})

describe('a group', () => {
  /** Calls that are made while a transaction is committed, and so are the next group. */
  async function together<T>(dir: string, calls: () => Promise<T>[]): Promise<Promise<T>[]> {
    const { open, opened } = gate()
    const holder = atomicTransaction(dir, [{ write: 'held.txt', data: () => opened.then(() => '') }])
    const made = calls()
    for (const call of made) call.catch(() => {})
    open()
    await holder
    return made
  }

  test('leaves out a transaction that throws, and what it has changed', async ({ file, dir }) => {
    writeJson(file, first)
    writeJson(join(dir, 'other.json'), first)
    for (const _ of [1, 2]) await given(dir)
    const both = (index: (index: any) => any, other: (index: any) => any) =>
      atomicTransaction(dir, (tx) => {
        tx.update('index.json', index, keep)
        tx.update('other.json', other, keep)
      })
    const fail = () => {
      throw new Error('no')
    }
    const calls = await together(dir, () => [
      both(add, add),
      both((index) => ({ ...index, bad: true }), fail),
      both(add, add),
      both(add, (index) => ({ ...index, big: 1n })),
      both(add, (index) => ({ ...index, map: new Map([[1, 2]]) })),
      both(add, add),
    ])
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
    ])
    expect([readJson(file).n, readJson(file).bad, readJson(join(dir, 'other.json'))]).toEqual([
      5,
      undefined,
      { ...first, n: 3 },
    ])
    expect((await given(dir)).n).toBe(5)
  })

  test('gives each function what JSON has of the one before, frozen', async ({ file, dir }) => {
    writeJson(file, first)
    const date = new Date(0)
    const seen: any[] = []
    const look = (index: any) => {
      seen.push(index)
      return add(index)
    }
    const put = (index: any) => ({ ...index, date, nothing: undefined })
    const calls = await together(dir, () => [put, look, look].map((fn) => update(dir, fn)))
    await Promise.all(calls)
    expect(seen.map(({ date }) => date)).toEqual([date.toJSON(), date.toJSON()])
    expect(['nothing' in seen[0], seen.every(isFrozen)]).toEqual([false, true])
  })

  test('with many updates of an index lets them change it, as without the option', async ({ file, dir }) => {
    writeJson(file, first)
    for (const _ of [1, 2]) await given(dir)
    const inPlace = sloppy('"use strict"; index.n++; return index')
    const calls = await together(dir, () => times(9, () => update(dir, inPlace)))
    await Promise.all(calls)
    expect(readJson(file)).toEqual({ ...first, n: 11 })
    expect(await given(dir)).toEqual({ ...first, n: 11 })
    const few = await together(dir, () => times(8, () => update(dir, inPlace)))
    expect((await Promise.allSettled(few)).map(({ status }) => status)).toEqual(times(8, () => 'rejected'))
  })

  test('takes updates with the option and without it, and patches, in any order', async ({ file, dir }) => {
    writeJson(file, first)
    for (const _ of [1, 2]) await given(dir)
    const seen: boolean[] = []
    const look = (index: any) => {
      seen.push(Object.isFrozen(index) || Object.isFrozen(index.by.a))
      return index.by.a.tags === undefined ? index : add(index)
    }
    const inPlace = sloppy('"use strict"; index.n++; index.by.a.tags.push("y"); return index')
    const one = (tx: any) => {
      tx.update('index.json', look, keep)
      tx.update('index.json', look)
      tx.patch('index.json', { increment: { '/n': 1 }, append: { '/by/a/tags': ['z'] } })
      tx.update('index.json', inPlace)
    }
    const calls = await together(dir, () => [
      atomicTransaction<unknown>(dir, one),
      atomicTransaction<unknown>(dir, (tx) => tx.patch('index.json', { increment: { '/n': 1 } })),
      update(dir, look),
    ])
    await Promise.all(calls)
    expect(seen).toEqual([true, false, true])
    expect(readJson(file)).toEqual({ n: 8, list: first.list, by: { a: { tags: ['x', 'z', 'y'] } } })
  })
})

test('a transaction reads what it will write', async ({ file, dir }) => {
  writeJson(file, first)
  for (const _ of [1, 2]) await given(dir)
  const { value } = await atomicTransaction(dir, async (tx) => {
    tx.update('index.json', add, keep)
    const once = await tx.readIndex('index.json')
    tx.update('index.json', add, keep)
    return [once.n, (await tx.readIndex('index.json')).n, Object.isFrozen(once)]
  })
  expect(value).toEqual([3, 4, false])
  expect(readJson(file).n).toBe(4)
})

test('a function that a transaction calls to read what it will write can change its index', async ({
  file,
  dir,
}) => {
  writeJson(file, first)
  const inPlace = sloppy('"use strict"; index.n++; return index')
  const { value } = await atomicTransaction(dir, async (tx) => {
    for (const _ of times(9, () => 0)) tx.update('index.json', inPlace, keep)
    return (await tx.readIndex('index.json')).n
  })
  expect([value, readJson(file).n]).toEqual([9, 9])
})

test('a transaction of which others change what it has read is built again, with the value of now', async ({
  file,
  dir,
}) => {
  writeJson(file, first)
  for (const _ of [1, 2]) await given(dir)
  let builds = 0
  const { attempts } = await atomicTransaction(dir, async (tx) => {
    const { n } = await tx.readIndex('index.json')
    if (builds++ === 0) await atomicIndexUpdate(file, (index) => ({ ...index, n: 10 }), keep)
    tx.update('index.json', (index) => ({ ...index, n: index.n + n }), keep)
  })
  expect([attempts, readJson(file).n]).toEqual([2, 20])
})

test('a backup is the version before, byte for byte', async ({ file, dir }) => {
  writeJson(file, first)
  for (let round = 0; round < 4; round++) {
    const before = readFileSync(file)
    await given(dir, { backup: true })
    expect(readFileSync(`${file}.backup`)).toEqual(before)
  }
  expect(readJson(file)).toEqual({ ...first, n: 4 })
})

describe('a change in place', () => {
  for (const body of ['index.n++; return index', 'index.by.a.tags[0] = "y"; return index']) {
    test(`rejects with a TypeError: ${body}`, async ({ file, dir }) => {
      writeJson(file, first)
      for (const _ of [1, 2]) {
        const strict = await rejection(update(dir, sloppy(`'use strict'; ${body}`)))
        expect(strict).toBeInstanceOf(TypeError)
        for (const fn of [sloppy(body), async (index: any) => sloppy(body)(index)]) {
          const lost: any = await rejection(update(dir, fn))
          expect([lost.name, lost.code]).toEqual(['TypeError', 'ERR_INVALID_RETURN_VALUE'])
          expect(lost.message).toMatch(/changed the index in place .* return a new index/)
        }
        expect(readJson(file)).toEqual(first)
        await update(dir, (index) => ({ ...index }))
      }
    })
  }
})

test('paths of one index that are given with other options share nothing', async ({ dir }) => {
  mkdirSync(join(dir, 'a'))
  writeJson(join(dir, 'a/index.json'), first)
  const twice = () =>
    atomicTransaction(dir, (tx) => {
      tx.update('a/index.json', add, keep)
      tx.update('a/../a/index.json', add, keep)
    })
  for (const _ of [1, 2]) await twice()
  expect(readJson(join(dir, 'a/index.json'))).toEqual({ ...first, n: 4 })
})
