// The forms of a patch, and what each does.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import {
  atomicIndexPatch,
  atomicTransaction,
  type IndexPatch,
  type JsonPatchOperation,
  type PointerPatch,
  readIndex,
} from '@pipeline/atomic'
import { yaml } from '@pipeline/atomic/yaml'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { isDurable } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { patched } from '../helpers/patched'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('pointers', () => {
  test('set, remove, upsert, increment and append, in that order of effect', async ({ dir, file }) => {
    const index = {
      updated: 'yesterday',
      'a/b': { '~': 1 },
      old: true,
      posts: [
        { slug: 'one', n: 1 },
        { slug: 'two', n: 2 },
        { slug: 'three', n: 3 },
      ],
      topics: { rust: { name: 'rust', n: 1 }, perl: { name: 'perl', n: 9 } },
      views: 41,
      log: ['a'],
      list: [1, 2, 3],
    }
    writeFileSync(file, JSON.stringify(index, null, '\t'))
    const result = await atomicIndexPatch(file, {
      set: {
        '/updated': 'today',
        '/a~1b/~0': 2,
        '/list/0': 'first',
        '/list/-': 'last',
        '/old': { is: 'back' },
      },
      remove: ['/old', '/list/1', '/list/1'],
      upsert: [
        {
          at: '/posts',
          key: 'slug',
          records: [{ slug: 'two', n: 22 }, { slug: 'new' }],
          remove: ['one', 'none'],
        },
        { at: '/topics', key: 'name', records: [{ name: 'node' }], remove: ['perl', 'none'] },
      ],
      increment: { '/views': 1, '/topics/rust/n': -0.5, '/errors': 3 },
      append: { '/log': ['b', { c: 1 }], '/fresh': [1] },
    })
    expect(result).toMatchObject({ applied: true, written: true, durable: isDurable(dir), batchSize: 1 })
    const text = JSON.stringify(
      {
        updated: 'today',
        'a/b': { '~': 2 },
        posts: [{ slug: 'two', n: 22 }, { slug: 'three', n: 3 }, { slug: 'new' }],
        topics: { rust: { name: 'rust', n: 0.5 }, node: { name: 'node' } },
        views: 42,
        log: ['a', 'b', { c: 1 }],
        list: ['first', 'last'],
        old: { is: 'back' },
        errors: 3,
        fresh: [1],
      },
      null,
      '\t',
    )
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('begin with an empty object, or with initial', async ({ dir }) => {
    await atomicIndexPatch(`${dir}/a`, { set: { '/a': 1 } })
    expect(readJson(`${dir}/a`)).toEqual({ a: 1 })
    const upsert = { at: '', key: 'id', records: [{ id: 7 }, { id: '7' }] }
    await atomicIndexPatch(`${dir}/b`, { upsert }, { initial: [{ id: 7, old: true }] })
    expect(readJson(`${dir}/b`)).toEqual([{ id: 7 }, { id: '7' }])
    await atomicIndexPatch(`${dir}/c`, { upsert }, { initial: undefined })
    expect(readJson(`${dir}/c`)).toEqual({ 7: { id: '7' } })
  })

  const nowhere: [IndexPatch, string, string, RegExp][] = [
    [
      { set: { '/x/y': 1 } },
      '/x/y',
      '',
      /patch\.set: '\/x\/y' leads nowhere: the index is an object without 'x'/,
    ],
    [{ set: { '/posts/9/n': 1 } }, '/posts/9/n', '/posts', /'\/posts' is an array without '9'/],
    [{ set: { '/posts/3': 1 } }, '/posts/3', '/posts', /'\/posts' is an array without '3'/],
    [{ set: { '/posts/01': 1 } }, '/posts/01', '/posts', /without '01'/],
    [{ set: { '/posts/length': 1 } }, '/posts/length', '/posts', /without 'length'/],
    [{ set: { '/constructor/prototype/x': 1 } }, '/constructor/prototype/x', '', /without 'constructor'/],
    [{ set: { '/__proto__/x': 1 } }, '/__proto__/x', '', /without '__proto__'/],
    [{ remove: ['/none'] }, '/none', '', /patch\.remove: '\/none' leads nowhere/],
    [{ upsert: { at: '/none', key: 'k' } }, '/none', '', /patch\.upsert: '\/none' leads nowhere/],
    [{ upsert: { at: '/n', key: 'k' } }, '/n', '/n', /cannot have records: it is a number/],
    [{ increment: { '/name': 1 } }, '/name', '/name', /cannot be incremented: it is a string/],
    [{ increment: { '/n': 2 ** 53 } }, '/n', '/n', /would lose digits; { numbers: 'exact' } keeps/],
    [{ append: { '/name': ['x'] } }, '/name', '/name', /cannot be appended to: it is a string/],
    [{ append: { '/name/x': ['x'] } }, '/name/x', '/name', /leads nowhere: '\/name' is a string/],
    [[{ op: 'test', path: '/n', value: 2 }], '/n', '/n', /patch\[0\]: '\/n' has another value/],
    [
      [{ op: 'replace', path: '', value: 7 }],
      '',
      '',
      /result of the patch would be a number: an index is an object or an array/,
    ],
    [[{ op: 'remove', path: '' }], '', '', /would be nothing/],
    [[{ op: 'move', from: '/posts', path: '/posts/0/x' }], '/posts/0/x', '/posts', /is inside of '\/posts'/],
  ]
  test('that lead nowhere say which and where, and nothing of the patch is done', async ({ file }) => {
    const index = { n: 1, name: 'x', posts: [{ n: 1 }, {}] }
    for (const [patch, pointer, reached, message] of nowhere) {
      const first = { op: 'add', path: '/added', value: 1 } as const
      const both = Array.isArray(patch)
        ? [first, ...patch]
        : { ...patch, increment: { '/posts/0/n': 1, ...(patch as PointerPatch).increment } }
      const error: any = await patched(file, index, both as IndexPatch)
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_PATCH', pointer, reached })
      expect(error.message).toMatch(new RegExp(message.source.replace('patch\\[0\\]', 'patch\\[1\\]')))
      expect(error.message).toContain(`Nothing of the patch was done, '${file}'`)
    }
    expect({}).not.toHaveProperty('x')
  })
})

test('what could be a key or a pointer is told apart, or refused', async ({ file }) => {
  const slash = { '/a': 1 }
  expect(await patched(file, {}, { set: slash, delete: [] })).toEqual({ '/a': 1 })
  expect(await patched(file, { '/b': 1 }, { set: slash, delete: ['/b'] })).toEqual({ '/a': 1 })
  expect(await patched(file, { '/a': 0 }, { set: slash })).toEqual({ '/a': 0, a: 1 })
  expect(await patched(file, { '': 0 }, { set: { '': 2, b: 1 } })).toEqual({ '': 2, b: 1 })
  expect(await patched(file, {}, { set: {} })).toEqual({})
  expect(await patched(file, [1], { set: {} })).toEqual([1])
  expect(await patched(file, [1], {})).toEqual([1])
  const way = '/a'.repeat(1000)
  const deep = (depth: number): object => (depth === 0 ? {} : { a: deep(depth - 1) })
  const long = 'must be a JSON pointer with at most 1000 keys'
  expect(await patched(file, deep(999), { set: { [way]: 1 } })).toHaveProperty(['a', 'a'])
  expect(await patched(file, {}, { merge: deep(1000) })).toEqual(deep(1000))
  const [value, type] = ['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE']
  const wrong: [unknown, string, string][] = [
    [
      { set: { '/a': 1, b: 2 } },
      value,
      "either pointers ('/a') or keys ('b'): write the key as '/b', or give { delete: [] }",
    ],
    [
      { set: { '': 1 }, increment: { '/x': 1 } },
      value,
      "must not have '' beside pointers: write the key as '/', or give { delete: [] }",
    ],
    [{ set: { '/a': 1, '': 1 } }, value, "for the whole index use [{ op: 'replace', path: '', value }]"],
    [{ set: () => {}, remove: [] }, type, '"patch.set" property must be of type Object'],
    [{ merge: () => {} }, type, '"patch.merge" property must be of type Object'],
    [{ set: { [`${way}/`]: 1 } }, value, `'patch.set' ${long}`],
    [[{ op: 'move', from: `${way}/`, path: '/b' }], value, `'patch[0].from' ${long}`],
    [{ append: { ['/a'.repeat(60_000)]: [] } }, value, `'patch.append' ${long}`],
    [{ merge: deep(1001) }, value, "'patch.merge' must not have objects more than 1000 deep"],
    [{ set: { b: 2 }, remove: [] }, value, "'patch.set' must be a JSON pointer"],
    [{ delete: ['a'], remove: ['/a'] }, value, "has both 'delete' and 'remove'"],
    [{ merge: {}, set: {} }, value, "has both 'merge' and 'set'"],
    [{ upserts: {} }, value, "has 'upserts', which is none of its parts"],
    [{ remove: ['a'] }, value, "'patch.remove[0]' must be a JSON pointer"],
    [{ remove: ['/~2'] }, value, 'must be a JSON pointer'],
    [{ remove: '/a' }, type, '"patch.remove" property must be an instance of Array'],
    [{ increment: { '/a': '1' } }, type, `"patch.increment['/a']" property must be of type number`],
    [{ append: { '/a': 1 } }, type, `"patch.append['/a']" property must be an instance of Array`],
    [
      { upsert: { at: '', key: 'k', records: [{ x: 1 }] } },
      value,
      "must have its key, a string or a number, as 'k'",
    ],
    [{ upsert: { at: '', key: 'k', records: [{ k: null }] } }, value, 'must have its key'],
    [{ upsert: { at: '', key: 'k', remove: [{}] } }, type, '"patch.upsert.remove[0]"'],
    [{ upsert: { at: '' } }, type, '"patch.upsert.key" property must be of type string'],
    [{ upsert: [{ at: 1, key: '' }] }, type, '"patch.upsert[0].at"'],
    [{ append: { '/a': [new Map([[1, 1]])] } }, value, '"patch" has a Map at ["append"]["/a"][0]'],
    [[{ op: 'add', path: '/a' }], value, "'patch[0].value' must be given"],
    [[1], type, '"patch[0]"'],
  ]
  for (const [patch, code, message] of wrong) {
    const error = await rejection(atomicIndexPatch(file, patch as IndexPatch))
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) })
  }
})

test('an index that is neither an object nor an array has no patch, also none that changes nothing', async ({
  file,
}) => {
  const value = expect.stringContaining('the result of the patch would be a')
  for (const before of [5, 'x']) {
    for (const patch of [
      { remove: [] },
      { set: {} },
      [],
      [{ op: 'test', path: '', value: before }],
    ] as IndexPatch[]) {
      const refused = { code: 'ERR_ATOMIC_PATCH', pointer: '', message: value }
      expect(await patched(file, before, patch)).toMatchObject(refused)
    }
  }
  expect(await patched(file, 5, [{ op: 'replace', path: '', value: [] }])).toEqual([])
})

interface SuiteTest {
  comment?: string
  doc: unknown
  patch: JsonPatchOperation[]
  expected?: unknown
  error?: string
  disabled?: boolean
}

test("a list is JSON Patch: RFC 6902's test suite", async ({ file }) => {
  const require = createRequire(import.meta.url)
  const suite = ['tests', 'spec_tests'].flatMap(
    (name) => require(`json-patch-test-suite/${name}.json`) as SuiteTest[],
  )
  const isIndex = (value: unknown) => typeof value === 'object' && value !== null
  let checked = 0
  for (const { comment, doc, patch, expected = doc, error, disabled } of suite) {
    if (disabled || !isIndex(expected)) continue
    const outcome = await patched(file, doc, patch)
    const refused = { code: expect.stringMatching(/^ERR_(ATOMIC_PATCH|INVALID_ARG_(TYPE|VALUE))$/) }
    if (error === undefined) expect(outcome, comment).toEqual(expected)
    else expect(outcome, comment ?? error).toMatchObject(refused)
    checked++
  }
  expect(checked).toBeGreaterThan(85)
})

test("merge is JSON Merge Patch: the examples in RFC 7396's appendix", async ({ file }) => {
  const examples: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [before, merge, after] of examples) {
    expect(await patched(file, before, { merge: merge as object })).toEqual(after)
  }
  // Those in which an index would be no object.
  for (const merge of [null, 'bar']) {
    const error = await rejection(atomicIndexPatch(file, { merge: merge as never }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_PATCH' })
  }
})

test('names of prototypes are keys as all others', async ({ file }) => {
  const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}'
  const parsed = () => JSON.parse(evil)
  for (const patch of [
    { merge: parsed() },
    [{ op: 'add', path: '', value: parsed() }],
    {
      set: {
        '/__proto__': Object.entries(parsed())[0]?.[1],
        '/constructor': parsed().constructor,
        '/toString': 1,
      },
    },
  ] as IndexPatch[]) {
    await patched(file, {}, patch)
    expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toBe(evil)
  }
  await atomicIndexPatch(file, [
    { op: 'copy', from: '/__proto__', path: '/constructor/__proto__' },
    { op: 'replace', path: '/__proto__/polluted', value: 2 },
  ])
  expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toBe(
    '{"__proto__":{"polluted":2},"constructor":{"prototype":{"polluted":1},"__proto__":{"polluted":1}},"toString":1}',
  )
  await atomicIndexPatch(file, {
    upsert: { at: '', key: 'k', records: [{ k: '__proto__' }], remove: ['toString'] },
  })
  await atomicIndexPatch(file, { remove: ['/constructor'] })
  expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toBe('{"__proto__":{"k":"__proto__"}}')
  expect({}).not.toHaveProperty('polluted')
})

test('digits stay with numbers: exact', async ({ file }) => {
  const big = '12345678901234567890'
  writeFileSync(file, `{"n":${big},"list":[${big}],"m":9007199254740991}`)
  const { returned } = inProcess(
    async ({ atomicIndexPatch }, file, big) => {
      const { rawJSON } = JSON as never as { rawJSON(text: string): number }
      const options = { numbers: 'exact' } as const
      await atomicIndexPatch(
        file,
        {
          set: { '/o': rawJSON('1e400') },
          append: { '/list': [rawJSON(`${big}1`)] },
          increment: { '/n': 1, '/m': rawJSON('10000000000000000000') },
        },
        options,
      )
      const list = { op: 'test', path: '/list/0', value: rawJSON(big) } as const
      await atomicIndexPatch(file, [list, { op: 'copy', from: '/list', path: '/more' }], options)
      const inside = atomicIndexPatch(file, { set: { '/n/x': 1 } }, options)
      return inside.catch(({ message }) => message)
    },
    [file, big],
    { execArgv: 'rawJSON' in JSON ? [] : ['--harmony-json-parse-with-source'] },
  )
  expect(await returned).toContain("'/n' is a number")
  expect(readFileSync(file, 'utf8').replaceAll(/\s/g, '')).toBe(
    `{"n":12345678901234567891,"list":[${big},${big}1],"m":10009007199254740991,"o":1e400,"more":[${big},${big}1]}`,
  )
  writeFileSync(file, '{"n":9007199254740991}')
  await atomicIndexPatch(file, { increment: { '/n': 2 } }, { numbers: 'lossy' })
  expect(readJson(file)).toEqual({ n: 2 ** 53 })
})

test('a codec and a schema mean for patches what they mean for updates', async ({ dir, file }) => {
  const path = `${dir}/index.yaml`
  writeFileSync(path, '# ours\nposts:\n  - slug: a # first\n')
  await atomicIndexPatch(path, { append: { '/posts': [{ slug: 'b' }] } }, { codec: yaml })
  expect(readFileSync(path, 'utf8')).toBe('# ours\nposts:\n  - slug: a # first\n  - slug: b\n')
  const schema = z.object({ n: z.number() })
  writeJson(file, { n: 1 })
  const wrong = atomicIndexPatch(file, { set: { '/n': 'x' } }, { schema })
  expect(await rejection(wrong)).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
  expect(await atomicIndexPatch(file, { set: { '/n': 1 } }, { schema })).toMatchObject({ written: false })
})

test('in transactions, beside updates and in their order', async ({ dir }) => {
  const { value } = await atomicTransaction(dir, (tx) => {
    tx.patch('posts.json', { set: { '/a': { n: 1 } } })
    tx.update('posts.json', (index: any) => ({ ...index, b: { n: index.a.n + 1 } }))
    tx.write('page.html', '<p>')
    return tx.patch('posts.json', { increment: { '/b/n': 1 } })
  })
  expect(value.value).toEqual({ a: { n: 1 }, b: { n: 3 } })
  await atomicTransaction(dir, [
    { patch: 'posts.json', change: { remove: ['/a'] } },
    { patch: 'tags.json', change: { append: { '': ['x'] } }, initial: [] },
  ])
  expect([readJson(`${dir}/posts.json`), readJson(`${dir}/tags.json`)]).toEqual([{ b: { n: 3 } }, ['x']])
  const failing = atomicTransaction(dir, (tx) => {
    tx.patch('tags.json', { append: { '': ['y'] } })
    tx.patch('posts.json', { remove: ['/none'] })
  })
  expect(await rejection(failing)).toMatchObject({ code: 'ERR_ATOMIC_PATCH', pointer: '/none' })
  const unclear = atomicTransaction(dir, (tx) => void tx.patch('posts.json', { set: { '/a': 1, b: 2 } }))
  expect(await rejection(unclear)).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  expect(await readIndex(`${dir}/tags.json`)).toMatchObject({ value: ['x'] })
})
