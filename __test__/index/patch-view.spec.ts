// A patch may be a function of a view: it is called by the rules of an update's function.

import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  applyIndexPatch,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  type IndexPatchFunction,
  type IndexView,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const posts = {
  posts: [
    { slug: 'a', n: 1 },
    { slug: 'b', n: 2 },
    { slug: 'a', n: 3 },
  ],
  n: 0,
}

test('a function that is alone leaves the text as it is where its patch does not touch it', async ({
  file,
}) => {
  const odd =
    '\ufeff{ "big":  1.50,\r\n\t"n":1, "9": [ ], "n": 2, "posts":[{"slug":"a", "slug":"b"}] }\r\n\r\n'
  writeFileSync(file, odd)
  const seen: unknown[] = []
  const done = await atomicIndexPatch(file, (view) => {
    seen.push(
      view.at('/n'),
      view.count(''),
      view.findAll('/posts', 'slug', 'b'),
      view.findAll('/posts', 'slug', 'a'),
    )
    return { increment: { '/n': 40 } }
  })
  expect(done).toMatchObject({ written: true, applied: true, batchSize: 1 })
  expect(seen).toEqual([2, 4, [{ pointer: '/posts/0', value: { slug: 'b' } }], []])
  expect(readFileSync(file, 'utf8')).toBe(odd.replace('"n": 2', '"n": 42'))
})

test('nothing is written for undefined, or for a patch that changes nothing, and no file is made', async ({
  dir,
  file,
}) => {
  const nothing: IndexPatchFunction[] = [() => undefined, () => ({ set: {} }), async () => undefined]
  for (const patch of nothing) {
    expect(await atomicIndexPatch(file, patch, { backup: true })).toMatchObject({
      written: false,
      bytes: 0,
      applied: true,
    })
    const { files } = await atomicTransaction(dir, (tx) => void tx.patch('index.json', patch as never))
    expect(files).toMatchObject([{ action: 'unchanged' }])
  }
  expect(existsSync(file)).toBe(false)
  // What others make of it is theirs.
  const calls = await together(file, () => [
    atomicIndexPatch(file, () => undefined),
    atomicIndexPatch(file, (view) => ({ set: { '/count': view.count('') } }), { initial: { a: 1 } }),
    atomicIndexPatch(file, () => undefined),
  ])
  await Promise.all(calls)
  expect(readJson(file)).toEqual({ a: 1, count: 1 })
  const before = readFileSync(file)
  for (const patch of [...nothing, (() => ({ set: { '/a': 1 } })) as IndexPatchFunction]) {
    expect(await atomicIndexPatch(file, patch, { backup: true })).toMatchObject({
      written: false,
      bytes: before.length,
    })
  }
  expect([readFileSync(file), readdirSync(dir).filter((name) => name.includes('backup'))]).toEqual([
    before,
    [],
  ])
})

test('what a function throws, and what it returns that is no patch, rejects its call alone', async ({
  file,
}) => {
  for (const options of [{}, { schema: z.any() }]) {
    writeJson(file, posts)
    const add = () => atomicIndexPatch(file, { increment: { '/n': 1 } }, options)
    const wrong = [
      () => {
        throw new RangeError('mine')
      },
      () => 7 as never,
      () => null as never,
      () => ({ unknown: 1 }) as never,
      () => ({ remove: ['/none'] }),
      async () => {
        throw new RangeError('mine')
      },
    ]
    const calls = await together<unknown>(file, () =>
      wrong.flatMap((patch) => [add(), atomicIndexPatch(file, patch, options)]),
    )
    const codes = (await Promise.allSettled(calls))
      .filter((_, at) => at % 2 === 1)
      .map((all: any) => all.reason.code ?? all.reason.message)
    expect(codes).toEqual([
      'mine',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_VALUE',
      'ERR_ATOMIC_PATCH',
      'mine',
    ])
    expect(readJson(file)).toEqual({ ...posts, n: 6 })
    for (const patch of wrong) await rejection(atomicIndexPatch(file, patch, options))
    expect(readJson(file)).toEqual({ ...posts, n: 6 })
  }
})

test('the view ends with its function, and says what to do then', async ({ dir, file }) => {
  writeJson(file, posts)
  const kept: IndexView[] = []
  const keep = (view: IndexView) => void kept.push(view)
  const later = async (view: IndexView) => {
    await sleep(1)
    expect(view.at('/n')).toBe(0)
    kept.push(view)
  }
  const failing = (view: IndexView) => {
    kept.push(view)
    throw new Error('mine')
  }
  await atomicIndexPatch(file, keep as never)
  await atomicIndexPatch(file, later as never)
  await rejection(atomicIndexPatch(file, failing as never))
  await atomicIndexPatch(file, keep as never, { schema: z.any() })
  await atomicTransaction(dir, (tx) => void tx.patch('index.json', later as never))
  await Promise.all(
    times(20, () => atomicTransaction(dir, (tx) => void tx.patch('index.json', keep as never))),
  )
  applyIndexPatch(posts, keep as never)
  expect(kept.length).toBeGreaterThan(25)
  const ended = { code: 'ERR_INVALID_STATE', message: expect.stringContaining('readIndexAt') }
  for (const view of kept) {
    for (const look of [() => view.at('/n'), () => view.count(''), () => view.findAll('', 'a', 1)])
      expect(look).toThrow(expect.objectContaining(ended))
  }
})

test('a function that is given up looks into nothing any more', async ({ file }) => {
  writeJson(file, posts)
  const late = await new Promise<unknown>((resolve) => {
    const slow: IndexPatchFunction = async (view, { signal }) => {
      await new Promise((aborted) => signal.addEventListener('abort', aborted))
      await atomicIndexUpdate(file, (index) => ({ ...index, n: 7 }))
      try {
        resolve(view.at('/n'))
      } catch (error) {
        resolve(error)
      }
      return { set: { '/n': 9 } }
    }
    const call = atomicIndexPatch(file, slow, { fnTimeout: 20 })
    call.catch(({ code }) => code !== 'ERR_ATOMIC_FN_TIMEOUT' && resolve(code))
  })
  expect(late).toMatchObject({ code: 'ERR_INVALID_STATE' })
  expect(readJson(file)).toEqual({ ...posts, n: 7 })
})

test('what a view gives belongs to the function', async ({ dir, file }) => {
  const spoil: IndexPatchFunction = (view) => {
    view.at('').n = 9
    view.at('/posts').length = 0
    for (const { value } of view.findAll('/posts', 'slug', 'a')) value.n = 9
    expect(view.findAll('/posts', 'slug', 'a').map(({ value }) => value.n)).toEqual([1, 3])
    return { set: { '/touched': true } }
  }
  for (const schema of [undefined, z.any()]) {
    writeJson(file, posts)
    await atomicIndexPatch(file, spoil, schema && { schema })
    expect(readJson(file)).toEqual({ ...posts, touched: true })
  }
  await Promise.all(
    times(20, () => atomicTransaction(dir, (tx) => void tx.patch('index.json', spoil as never))),
  )
  expect(readJson(file)).toEqual({ ...posts, touched: true })
})

test('a function knows its caller, and calls inside of it for the same file are refused', async ({
  dir,
  file,
}) => {
  writeJson(file, posts)
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const patch: IndexPatchFunction = async (view) => {
    seen.push(storage.getStore())
    const nested = await rejection(atomicIndexPatch(file, () => undefined))
    seen.push((nested as { code?: string }).code, view.at('/n'), storage.getStore())
    return undefined
  }
  await storage.run('alone', () => atomicIndexPatch(file, patch))
  await storage.run('in a transaction', () =>
    atomicTransaction(dir, (tx) => void tx.patch('index.json', patch as never)),
  )
  const refused = (name: string, code = 'ERR_ATOMIC_REENTRANT') => [name, code, 0, name]
  expect(seen).toEqual([...refused('alone'), ...refused('in a transaction', 'ERR_ATOMIC_NESTED')])
  async function caller() {
    await atomicIndexPatch(file, () => ({ remove: ['/none'] }))
  }
  expect(await rejection(caller())).toMatchObject({ stack: expect.stringContaining('patch-view.spec') })
})

test('a signal aborts it, and an index that is broken is refused, or recovered first', async ({ file }) => {
  writeJson(file, posts)
  const abort = new AbortController()
  const waiting = atomicIndexPatch(file, () => sleep(10_000, undefined, { ref: false }), {
    signal: abort.signal,
  })
  setTimeout(() => abort.abort(), 20)
  expect(await rejection(waiting)).toMatchObject({ name: 'AbortError' })
  writeFileSync(file, '{"posts": [')
  const count: IndexPatchFunction = (view) => ({ set: { '/count': view.count('/posts') } })
  expect(await rejection(atomicIndexPatch(file, count))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX' })
  await atomicIndexPatch(file, count, { onCorrupt: () => posts })
  expect(readJson(file)).toEqual({ ...posts, count: 3 })
})

test('what a function has changed in place between patches of a group is seen by the next one', async ({
  dir,
  file,
}) => {
  const before = { posts: times(20, (at) => ({ slug: `s${at}` })) }
  const seen: number[][] = []
  const look = (view: IndexView) => {
    // Looked for again and again, so that it is known where they are.
    for (const slug of ['s3', 'new', 's3', 'new']) view.findAll('/posts', 'slug', slug)
    seen.push(['s3', 'new'].map((slug) => view.findAll('/posts', 'slug', slug).length))
    return { increment: { '/n': 1 } }
  }
  const rename = (index: any) => {
    index.posts[3].slug = 'new'
    return index
  }
  const same = (index: any) => index
  writeJson(file, before)
  const calls = await together<unknown>(file, () => [
    atomicIndexUpdate(file, same),
    ...times(2, () => atomicIndexPatch(file, look)),
    atomicIndexUpdate(file, rename),
    ...times(2, () => atomicIndexPatch(file, look)),
  ])
  await Promise.all(calls)
  expect(seen.slice(-4)).toEqual([
    [1, 0],
    [1, 0],
    [0, 1],
    [0, 1],
  ])
  writeJson(file, before)
  const patch = () => atomicTransaction(dir, (tx) => void tx.patch('index.json', look))
  await Promise.all([
    ...times(12, patch),
    atomicTransaction(dir, (tx) => void tx.update('index.json', rename)),
    ...times(12, patch),
  ])
  expect(seen.slice(-24)).toEqual([...times(12, () => [1, 0]), ...times(12, () => [0, 1])])
})

test('any form of a patch can be made, also keys, and half of a surrogate pair', async ({ dir, file }) => {
  const forms: IndexPatchFunction[] = [
    () => ({ set: { a: 1, '/b': 2 }, delete: ['n'] }),
    (view) => ({ merge: { posts: null, had: view.count('/posts') } }),
    () => [{ op: 'add', path: '/\ud800', value: '\udc00' }],
    (view) => ({ set: { '/again': view.at('/\ud800') } }),
  ]
  const expected = { a: 1, '/b': 2, had: 3, '\ud800': '\udc00', again: '\udc00' }
  writeJson(file, posts)
  for (const form of forms) await atomicIndexPatch(file, form)
  expect(readJson(file)).toEqual(expected)
  writeJson(file, posts)
  await atomicTransaction(
    dir,
    forms.map((change) => ({ patch: 'index.json', change: change as never })),
  )
  expect(readJson(file)).toEqual(expected)
  expect(forms.reduce<any>((index, form) => applyIndexPatch(index, form as never), posts)).toEqual(expected)
})

test('digits are kept, and looked at as they are', async ({ file }) => {
  writeFileSync(file, '{"list":[{"id":9007199254740993},{"id":9007199254740992}],"n":1.50}')
  const patch: IndexPatchFunction = (view) => ({
    set: {
      '/found': view.findAll('/list', 'id', 9007199254740992).map(({ pointer }) => pointer),
      '/copy': view.at('/list/0/id'),
    },
  })
  if ('rawJSON' in JSON) {
    await atomicIndexPatch(file, patch, { numbers: 'exact' })
    expect(readFileSync(file, 'utf8')).toBe(
      '{"list":[{"id":9007199254740993},{"id":9007199254740992}],"n":1.50,"found":["/list/1"],"copy":9007199254740993}',
    )
  }
  expect(await rejection(atomicIndexPatch(file, patch))).toMatchObject({ code: 'ERR_ATOMIC_LOSSY_INDEX' })
})

test('a view refuses what is no pointer, no name or no key', async ({ file }) => {
  writeJson(file, posts)
  for (const schema of [undefined, z.any()]) {
    await atomicIndexPatch(
      file,
      (view: any) => {
        const codes = [
          () => view.at('posts'),
          () => view.at(7),
          () => view.count('/~2'),
          () => view.findAll('/posts', 7, 'a'),
          () => view.findAll('/posts', 'slug', null),
          () => view.findAll('/posts', 'n', Number.NaN),
        ].map((look) => {
          try {
            return look()
          } catch (error) {
            return (error as { code: string }).code
          }
        })
        const [type, value] = ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE']
        expect(codes).toEqual([value, type, value, type, type, type])
        return undefined
      },
      schema && { schema },
    )
  }
})

test('an index that is a value stays as it is, and shares what does not change', () => {
  const index = Object.freeze({
    list: Object.freeze([Object.freeze({ id: 1 }), Object.freeze({ id: 2 })]),
    other: {},
  })
  const next = applyIndexPatch<any>(index, (view) => ({ set: { '/list/0/id': view.count('/list') } }))
  expect([next, index.list[0]]).toEqual([{ list: [{ id: 2 }, { id: 2 }], other: {} }, { id: 1 }])
  expect([next.list[1] === index.list[1], next.other === index.other]).toEqual([true, true])
  expect(applyIndexPatch(index, { set: { '/list/0/id': 1 } })).toBe(index)
  expect(applyIndexPatch(index, () => undefined)).toBe(index)
  expect(applyIndexPatch(index, { set: { a: 1 }, delete: ['other'] })).toEqual({ list: index.list, a: 1 })
  const errors = [
    () => applyIndexPatch(index, { remove: ['/none'] }),
    () => applyIndexPatch(7 as never, {}),
    () => applyIndexPatch(index, (async () => undefined) as never),
    () => applyIndexPatch({ at: new Date(0) }, { set: { '/at/x': 1 } }),
  ].map((apply) => {
    try {
      return apply()
    } catch (error) {
      return (error as { code: string }).code
    }
  })
  expect(errors).toEqual([
    'ERR_ATOMIC_PATCH',
    'ERR_INVALID_ARG_TYPE',
    'ERR_INVALID_ARG_TYPE',
    'ERR_INVALID_STATE',
  ])
})

test('what a transaction has removed or moved stays so where a function makes nothing of it', async ({
  dir,
}) => {
  for (const way of ['remove', 'rename'] as const) {
    writeJson(`${dir}/${way}.json`, posts)
    await atomicTransaction(dir, (tx) => {
      if (way === 'remove') tx.remove('remove.json')
      else tx.rename('rename.json', 'moved.json')
      tx.patch(`${way}.json`, () => undefined, { backup: true })
    })
  }
  expect(readdirSync(dir).filter((name) => !name.startsWith('.'))).toEqual(['moved.json'])
  expect(readJson(`${dir}/moved.json`)).toEqual(posts)
})

test('an index stays as it is also where code in the patch applies another one', () => {
  const index = { a: { b: 1 } }
  const another = () => applyIndexPatch({ z: 1 }, { set: { '/z': 2 } })
  const toJSON = () => another() && 5
  const patch = {
    get set() {
      another()
      return { '/a/b': { toJSON } }
    },
  }
  expect(applyIndexPatch(index, patch as never)).toEqual({ a: { b: 5 } })
  expect(index).toEqual({ a: { b: 1 } })
  expect(applyIndexPatch(index, ({ at }) => ({ set: { '/a/b': at('/a/b') + 1 } }))).toEqual({ a: { b: 2 } })
})
