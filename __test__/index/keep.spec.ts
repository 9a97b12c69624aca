// `keep: 'value'`: functions are given a frozen index, which is that of the last commit if nobody has written since.

import { readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { createContext, runInContext } from 'node:vm'
import {
  acquireIndexLock,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteSync,
} from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { describe, expect, vi } from 'vitest'
import { z } from 'zod'
import { inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { add, first, given, keep, sloppy } from '../helpers/keep'
import { needs } from '../helpers/needs'
import { inProcess, inThread } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const onDisk = needs('a temporary folder on ext4, xfs or btrfs')

describe('a value that is kept', () => {
  onDisk('is that of the last commit, but for what was changed', async ({ file }) => {
    writeJson(file, first)
    const before = await given(file)
    const printing = vi.spyOn(JSON, 'stringify')
    const parsing = vi.spyOn(JSON, 'parse')
    await atomicIndexUpdate(file, (index) => ({ ...index, list: [index.list[0], { id: 3 }] }), keep)
    const sizes = [printing, parsing].map(({ mock }) =>
      mock.results.map(({ value }) => JSON.stringify(value).length),
    )
    vi.restoreAllMocks()
    const after = await given(file)
    expect([before.n, after.n]).toEqual([0, 1])
    expect(after.list).toEqual([{ id: 1 }, { id: 3 }])
    expect([after.by, after.list[0]]).toEqual([before.by, before.list[0]])
    expect(after.by === before.by && after.list[0] === before.list[0]).toBe(true)
    // Nothing but the record was printed or parsed.
    expect(Math.max(...sizes.flat())).toBeLessThan('{"3":{"id":3}}'.length * 2)
    expect(readFileSync(file, 'utf8')).toBe(
      JSON.stringify({ n: 2, list: [{ id: 1 }, { id: 3 }], by: first.by }),
    )
  })

  test('is frozen at every call, from the first one on, also without a file', async ({ file, dir }) => {
    writeJson(file, first)
    for (const path of [file, file, join(dir, 'new.json'), join(dir, 'new.json')]) {
      const index = await given(path, { initial: first })
      expect([index, index.list, index.list[1], index.by.a.tags].map(Object.isFrozen)).toEqual([
        true,
        true,
        true,
        true,
      ])
    }
    expect(Object.isFrozen(first)).toBe(false)
  })

  test('is not changed by who keeps what a function got or returned', async ({ file }) => {
    writeJson(file, first)
    const mine = { deep: { n: 1 } }
    const objects: any[] = [mine, mine.deep]
    for (let round = 0; round < 3; round++) {
      await atomicIndexUpdate(
        file,
        (index) => {
          objects.push(index, index.by.a)
          const next = { ...index, mine, list: [...index.list, mine] }
          objects.push(next, next.list)
          return next
        },
        keep,
      )
      for (const object of objects) {
        try {
          object.changed = 'later'
          delete object.list
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
        }
      }
      // What was put there is written as it is then.
      mine.deep.n++
    }
    expect(Object.isFrozen(mine.deep)).toBe(false)
    const index = await given(file)
    expect(index).toEqual(readJson(file) && { ...index, n: 0 })
    expect(index.list.slice(2).map((item: any) => item.deep.n)).toEqual([1, 2, 3])
    expect(index.changed).toBeUndefined()
  })

  // The texts of 64 files are kept.
  onDisk('stays while its text does, and not longer', async ({ dir }) => {
    // A flag that is set now has an effect on contexts that are made later.
    setFlagsFromString('--expose-gc')
    const collect = runInContext('gc', createContext()) as () => void
    const values: WeakRef<any>[] = []
    for (const at of times(70, (at) => at)) {
      const file = join(dir, `${at}.json`)
      writeJson(file, { at, list: [{ at }] })
      await given(file)
      values.push(new WeakRef((await given(file)).list))
    }
    await new Promise(setImmediate)
    collect()
    const isThere = values.map((value) => value.deref() !== undefined)
    expect(isThere.slice(0, 5)).toEqual(times(5, () => false))
    expect(isThere.slice(20)).toEqual(times(50, () => true))
  })
})

onDisk('values of large texts go before their texts do, the first ones first', async ({ dir }) => {
  setFlagsFromString('--expose-gc')
  const collect = runInContext('gc', createContext()) as () => void
  const values: WeakRef<any>[] = []
  const options = { flush: false, verify: false }
  const pad = Buffer.alloc(20 << 20, 'x')
  for (const at of times(5, (at) => at)) {
    const file = join(dir, `${at}.json`)
    const start = Buffer.from(`{"at":${at},"list":[{"at":${at}}],"pad":"`)
    writeFileSync(file, Buffer.concat([start, pad, Buffer.from('"}')]))
    await given(file, options)
    values.push(new WeakRef((await given(file, options)).list))
  }
  await new Promise(setImmediate)
  collect()
  // 64 MiB in all.
  expect(values.map((value) => value.deref() !== undefined)).toEqual([false, false, true, true, true])
})

describe('what others have written in the meantime is seen', () => {
  const ways: [by: string, write: (file: string) => unknown][] = [
    ['a plain write', (file) => writeFileSync(file, '{"theirs":true}')],
    ['atomicWrite', (file) => atomicWrite(file, '{"theirs":true}')],
    ['atomicWriteSync', (file) => atomicWriteSync(file, '{"theirs":true}')],
    ['a patch', (file) => atomicIndexPatch(file, { merge: { theirs: true } })],
    [
      'an update without the option',
      (file) => atomicIndexUpdate(file, (index) => ({ ...index, theirs: true })),
    ],
    [
      'a transaction',
      (file) => atomicTransaction(dirname(file), [{ write: basename(file), data: '{"theirs":true}' }]),
    ],
    [
      'another process',
      (file) =>
        inProcess(
          async ({ atomicIndexUpdate }, file) => {
            await atomicIndexUpdate(file, (index) => ({ ...index, theirs: true }), { keep: 'value' })
          },
          [file],
        ).returned,
    ],
    [
      'another thread',
      (file) =>
        inThread(
          async ({ atomicIndexUpdate }, file) => {
            await atomicIndexUpdate(file, (index) => ({ ...index, theirs: true }), { keep: 'value' })
          },
          [file],
        ).returned,
    ],
  ]
  for (const [by, write] of ways) {
    test(by, async ({ file }) => {
      writeJson(file, first)
      for (const _ of [1, 2]) await given(file)
      for (const _ of [1, 2]) {
        await write(file)
        const text = readJson(file)
        expect(await given(file)).toEqual(text)
        expect((await given(file)).theirs).toBe(true)
        await atomicIndexUpdate(file, ({ theirs, ...index }) => index, keep)
      }
    })
  }

  test('threads that update one index in turn', async ({ file }) => {
    writeJson(file, { ...first, of: [0, 0] })
    const count = (
      remote: Pick<typeof import('@pipeline/atomic'), 'atomicIndexUpdate'>,
      file: string,
      at: number,
    ) =>
      (async () => {
        for (let round = 0; round < 50; round++) {
          const add = (index: any) => ({
            ...index,
            of: index.of.map((n: number, own: number) => n + +(own === at)),
          })
          await remote.atomicIndexUpdate(file, add, { keep: 'value', flush: false })
        }
      })()
    await Promise.all([inThread(count, [file, 0]).returned, inThread(count, [file, 1]).returned])
    expect(readJson(file)).toEqual({ ...first, of: [50, 50] })
  })
})

describe('a change in place', () => {
  const bodies = [
    'index.n++; return index',
    'delete index.by; return index',
    'index.by.a.tags[0] = "y"; return index',
  ]

  for (const body of bodies) {
    test(`rejects with a TypeError: ${body}`, async ({ file }) => {
      writeJson(file, first)
      for (const _ of [1, 2]) {
        const strict = await rejection(atomicIndexUpdate(file, sloppy(`'use strict'; ${body}`), keep))
        expect(strict).toBeInstanceOf(TypeError)
        for (const fn of [sloppy(body), async (index: any) => sloppy(body)(index)]) {
          const lost: any = await rejection(atomicIndexUpdate(file, fn, keep))
          expect([lost.name, lost.code]).toEqual(['TypeError', 'ERR_INVALID_RETURN_VALUE'])
          expect(lost.message).toMatch(/changed the index in place .* return a new index/)
        }
        expect(readJson(file)).toEqual(first)
        await atomicIndexUpdate(file, (index) => ({ ...index }), keep)
      }
    })
  }

  test('is told from a function that changes nothing, which runs twice for that', async ({ file }) => {
    writeJson(file, first)
    for (const fn of [(index: any) => index, async (index: any) => index]) {
      const run = vi.fn(fn)
      const { written } = await atomicIndexUpdate(file, run, keep)
      expect([written, run.mock.calls.length]).toEqual([false, 2])
    }
    expect(readFileSync(file, 'utf8')).toBe(JSON.stringify(first))
  })

  test('of what a function has been given by the one before it', inTime, async ({ file }) => {
    writeJson(file, first)
    const fns = [add, sloppy('index.by.a = 1; return index'), add, sloppy('"use strict"; index.by.a = 1')]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn, keep)))
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(readJson(file)).toEqual({ ...first, n: 2 })
  })
})

describe('after a call that has failed, the next one sees what was committed', () => {
  const schema = z.looseObject({ n: z.number() })
  const failing: [why: string, fn: (index: any) => any][] = [
    ['the function threw', () => Promise.reject(new Error('no'))],
    ['it is no JSON', (index) => ({ ...index, big: 1n })],
    ['JSON would lose it', (index) => ({ ...index, map: new Map([[1, 2]]) })],
    ['it does not pass the schema', (index) => ({ ...index, n: 'no' })],
  ]
  for (const [why, fn] of failing) {
    test(why, async ({ file }) => {
      writeJson(file, first)
      for (const n of [0, 2]) {
        for (const at of [n, n + 1]) expect(await given(file, { schema })).toEqual({ ...first, n: at })
        await rejection(atomicIndexUpdate(file, fn, { ...keep, schema }))
      }
      expect(await given(file, { schema })).toEqual({ ...first, n: 4 })
    })
  }
})

test('what would be lost is named as without the option', async ({ file }) => {
  const lose = (index: any) => ({ ...index, list: [...index.list, { a: [new Set([1])] }] })
  const messages = new Set()
  for (const options of [{}, keep, keep]) {
    writeJson(file, first)
    for (const _ of [1, 2]) await atomicIndexUpdate(file, add, options)
    messages.add(String(await rejection(atomicIndexUpdate(file, lose, options))))
  }
  expect([...messages]).toEqual([expect.stringContaining('["list"][2]["a"][0]')])
})

test('objects of another context are objects, and functions of one are functions', async ({ file }) => {
  writeJson(file, first)
  const fn = runInContext(
    '(index) => ({ ...index, n: index.n + 1, list: [...index.list, { id: index.n, when: new Date(0) }] })',
    createContext(),
  )
  for (const _ of [1, 2, 3]) await atomicIndexUpdate(file, fn, keep)
  const list = [...first.list, ...[0, 1, 2].map((id) => ({ id, when: new Date(0) }))]
  expect(readFileSync(file, 'utf8')).toBe(JSON.stringify({ ...first, n: 3, list }))
})

test('a large index, which is compared with its file and parsed in a turn of its own', async ({ file }) => {
  const list = times(150_000, (id) => ({ id, title: `the title of ${id}`, text: 'x'.repeat(100) }))
  writeJson(file, { ...first, list })
  const rename = (at: number) => (index: any) => ({
    ...index,
    list: index.list.map((item: any, own: number) => (own === at ? { ...item, title: '' } : item)),
  })
  for (const at of [5, 140_000, 0]) await atomicIndexUpdate(file, rename(at), { ...keep, flush: false })
  const { written } = await atomicIndexUpdate(file, rename(5), { ...keep, flush: false })
  for (const at of [5, 140_000, 0]) Object.assign(list[at] as object, { title: '' })
  expect(written).toBe(false)
  expect(readFileSync(file, 'utf8') === JSON.stringify({ ...first, list })).toBe(true)
})

test('updates under a lock keep values too', async ({ file }) => {
  writeJson(file, first)
  const lock = await acquireIndexLock(file)
  const seen: any[] = []
  const look = (index: any) => {
    seen.push(index)
    return add(index)
  }
  for (const _ of [1, 2, 3]) await lock.update(look, keep)
  await lock.write({ n: 10, by: 1 }, keep)
  await lock.update(look, keep)
  await lock.release()
  expect(seen.map(({ n }) => n)).toEqual([0, 1, 2, 10])
  expect(seen.every(Object.isFrozen)).toBe(true)
  expect(readJson(file)).toEqual({ n: 11, by: 1 })
})

test('numbers that are to stay as they are do so', async ({ file }) => {
  if (!('rawJSON' in JSON)) return
  const text = '{"big":1161888007138312192,"list":[1.10,{"n":1e400}],"n":0}'
  writeFileSync(file, text)
  const options = { ...keep, numbers: 'exact' } as const
  const move = ({ list, ...index }: any) => ({ ...add(index), copy: [list[1], index.big], list })
  for (const fn of [add, add, move, add]) await atomicIndexUpdate(file, fn, options)
  const rest = '"copy":[{"n":1e400},1161888007138312192],"list":[1.1,{"n":1e400}]}'
  expect(readFileSync(file, 'utf8')).toBe(`{"big":1161888007138312192,"n":4,${rest}`)
  // Another sense of numbers is another value.
  await atomicIndexUpdate(file, add, { ...keep, numbers: 'lossy' })
  const rounded = rest.replaceAll('1e400', 'null').replace('192]', '200]')
  expect(readFileSync(file, 'utf8')).toBe(`{"big":1161888007138312200,"n":5,${rounded}`)
})

test('with a codec it means nothing, and another value than these is refused', async ({ file }) => {
  const codec = { ...devalue }
  for (const _ of [1, 2]) {
    await atomicIndexUpdate(
      file,
      (index) => {
        index.when = new Date(0)
        return index
      },
      { ...keep, codec, initial: {} },
    )
  }
  for (const wrong of ['values', 1, null]) {
    const error = await rejection(atomicIndexUpdate(file, add, { keep: wrong as 'value' }))
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_INVALID_ARG_(VALUE|TYPE)$/) })
  }
  expect((await atomicIndexUpdate(`${file}.plain`, add, { keep: 'text', initial: {} })).written).toBe(true)
})
