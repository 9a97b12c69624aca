import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { yaml } from '@pipeline/atomic/yaml'
import { expect, onTestFinished, test as plain, vi } from 'vitest'
import { Alias } from 'yaml'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const config = `# Settings
name:   site # short

# Where it is
hosts:
- one.example
- "two.example" # the second
build:
    out: 'dist'   # a folder
    flags: {fast: true,  list: [a,b]}
about: |
  Some
  text
# The end
`

const printed = (change: (index: any) => void, text = config) => {
  const index: any = yaml.parse(text)
  change(index)
  const after = yaml.stringify(index, text)
  expect(yaml.parse(after)).toEqual(index)
  return after
}

plain.for<[string, (index: any) => void, [string, string][]]>([
  ['nothing', () => {}, []],
  ['a text', (i) => Object.assign(i, { name: 'blog' }), [['site #', 'blog #']]],
  ['a quoted one', (i) => Object.assign(i.build, { out: 'a b' }), [["'dist'", "'a b'"]]],
  ['a number', (i) => Object.assign(i, { name: 12 }), [['site #', '12 #']]],
  ['a text that looks like a number', (i) => Object.assign(i, { name: '12' }), [['site #', '"12" #']]],
  [
    'values in lists and brackets',
    (i) => Object.assign(i.build.flags, { fast: null, list: ['x, y', 'b'] }),
    [
      ['true', 'null'],
      ['[a,b]', '["x, y",b]'],
    ],
  ],
  ['an item', (i) => i.hosts.splice(1, 1, 'three'), [['"two.example"', '"three"']]],
])('where single values are changed, nothing else is: %s', ([, change, pairs]) => {
  const expected = pairs.reduce((text, [from, to]) => text.replace(from, to), config)
  expect(printed(change)).toBe(expected)
  expect(printed(change, config.replaceAll('\n', '\r\n'))).toBe(expected.replaceAll('\n', '\r\n'))
})

plain('where keys and items come and go, all other lines stay', () => {
  const after = printed((index) => {
    index.hosts.unshift('zero.example')
    delete index.build.flags
    index.more = { deep: [1, { x: true }] }
  })
  expect(after).toBe(
    config
      .replace('hosts:\n', 'hosts:\n- zero.example\n')
      .replace(/ +flags:.*\n/, '')
      .replace('# The end', 'more:\n    deep:\n      - 1\n      - x: true\n# The end'),
  )
})

plain.for<[string, string, (index: any) => void, string]>([
  [
    'the comment of the file stays when its first key goes',
    '# Of us\n\n# one\na: 1\n# two\nb: 2\n',
    (i) => delete i.a,
    '# Of us\n\n# two\nb: 2\n',
  ],
  [
    'a comment goes with its item',
    'hosts:\n  # the old one\n  - a # first\n  # production!\n  - b\n',
    (i) => i.hosts.shift(),
    'hosts:\n  # production!\n  - b\n',
  ],
  [
    'what is left of a map below a dash',
    '- a: 1\n  # of b\n  b: 2\n- c\n',
    (i) => delete i[0].a,
    '- # of b\n  b: 2\n- c\n',
  ],
  [
    'a value that was not there',
    'a: # why\nb: 1 # x\n',
    (i) => Object.assign(i, { a: [1] }),
    'a: # why\n  - 1\nb: 1 # x\n',
  ],
  [
    'a block text',
    'a: | # why\n  one\n  # two\nb: 1\n',
    (i) => Object.assign(i, { a: 'x\ny\n' }),
    'a: | # why\n  x\n  y\nb: 1\n',
  ],
  [
    'an item that ends in a block text',
    '- run: |\n    one\n- b # b\n',
    (i) => i.splice(0, 1, { k: 1 }),
    '- k: 1\n- b # b\n',
  ],
  ['an empty list', 'a:\n  # one\n  - 1\nb: 1 # x\n', (i) => i.a.pop(), 'a: []\nb: 1 # x\n'],
  ['brackets', 'a: [ "x",  y ] # x\n', (i) => i.a.push('p\nq', {}), 'a: [ "x", y, "p\\nq", {} ] # x\n'],
  [
    'comments in brackets, where items go',
    'a: [\n  # one\n  1, # of one\n  # two\n  2,\n  3, # three\n  4 # four\n]\n',
    (i) => Object.assign(i, { a: [2, 3] }),
    'a: [\n  # one\n  # two\n  2,\n  3, # three\n  \n]\n',
  ],
  [
    'comments in brackets, where items come',
    'a: {\n  b: 1, # b\n  # c\n  c: 2 # of c\n}\n',
    (i) => Object.assign(i.a, { c: 5, d: [1] }),
    'a: {\n  b: 1, # b\n  # c\n  c: 5, d: [1] # of c\n}\n',
  ],
  [
    'comments in brackets, before the first',
    'a: [ # x\n  2 ]\n',
    (i) => i.a.unshift(0, 1),
    'a: [ # x\n  0, 1, 2 ]\n',
  ],
  ['a root in brackets', '# x\n{a: 1, b: 2}\n', (i) => Object.assign(i, { a: 3 }), '# x\n{a: 3, b: 2}\n'],
])('layout: %s', ([, text, change, expected]) => {
  expect(printed(change, text)).toBe(expected)
})

plain.for<[string, string, (index: any) => void, string]>([
  ['an anchor that goes', 'd: &d\n  x: 1\ne: *d # e\n', (i) => delete i.d, 'e: # e\n  x: 1\n'],
  [
    'one that is replaced',
    'd: &d {x: 1}\ne: [*d]\n',
    (i) => Object.assign(i, { d: 5 }),
    'd: 5\ne: [{x: 1}]\n',
  ],
  ['a value', 'd: &d 1\ne: *d\n', (i) => Object.assign(i, { d: 5 }), 'd: &d 5\ne: 1\n'],
  [
    'one change for all',
    'd: &d\n  x: 1 # x\ne: *d\n',
    (i) => Object.assign(i.d, { x: 2 }),
    'd: &d\n  x: 2 # x\ne: *d\n',
  ],
])('aliases say what they said: %s', ([, text, change, expected]) => {
  expect(printed(change, text)).toBe(expected)
})

plain('an object that is in many places is printed in each, so that it can be read again', () => {
  const shared = { x: { y: 1 } }
  for (const previous of [undefined, 'a: 1 # one\n']) {
    const text = yaml.stringify({ a: 1, list: Array(150).fill(shared) }, previous)
    expect((yaml.parse(text) as any).list[149]).toEqual(shared)
  }
})

plain('what is changed beside it leaves a tag of another type alone, and so does no change at all', () => {
  const text = 'b: !!binary aGVsbG8=\nt: !!timestamp 2020-01-01\ns: !!set {a, b}\nown: !x y\nn: 1\n'
  expect(printed(() => {}, text)).toBe(text)
  expect(printed((index) => Object.assign(index, { n: 2 }), text)).toBe(text.replace('n: 1', 'n: 2'))
})

plain('what does not fit to the other lines is printed with them, and its comments stay', () => {
  const text = 'a:\n    b: # why\n        - {x: 1}\n  # odd\nlist: [1,  2] # two\n'
  expect(printed((index) => index.a.b.push({ y: [] }), text)).toMatch(
    /b: # why\n[\s\S]*# odd\n[\s\S]*# two\n/,
  )
})

plain('numbers that JavaScript cannot keep stay where they are not changed', () => {
  const text = 'id: 1161888007138312192\nx: 0.12345678901234567890\nmost: .inf\nhex: 0xff\nn: 1.0\n'
  expect(printed((index) => Object.assign(index, { more: 1 }), text)).toBe(`${text}more: 1\n`)
  expect(printed((index) => Object.assign(index, { n: 2 }), text)).toBe(text.replace('1.0', '2'))
})

plain('an anchor has at most 99 aliases, and fewer if it stands for aliases', () => {
  const repeated = (count: number) => `a: &a {n: 1}\nb: [${Array(count).fill('*a')}]\n`
  expect(yaml.parse(repeated(99))).toMatchObject({ b: Array(99).fill({ n: 1 }) })
  expect(() => yaml.parse(repeated(100))).toThrow('Excessive alias count')
  const nested = (count: number) => `${repeated(10).replace('b:', 'b: &b')}c: [${Array(count).fill('*b')}]\n`
  expect(yaml.parse(nested(5))).toMatchObject({ c: Array(5).fill(Array(10).fill({ n: 1 })) })
  expect(() => yaml.parse(nested(50))).toThrow('Excessive alias count')
})

plain('an alias is led to the last node with its anchor, and none is looked for among all', () => {
  const lines = (at: number) => `a${at}: &x${at} {v: ${at}}\nb${at}: *x${at}\n`
  const text = `${Array.from({ length: 1000 }, (_, at) => lines(at)).join('')}c: &x1 [z]\nd: *x1\n`
  const { resolve } = Alias.prototype
  const looked: number[] = []
  vi.spyOn(Alias.prototype, 'resolve').mockImplementation(function (this: Alias, document, context) {
    const node = resolve.call(this, document, context)
    looked.push(context?.aliasResolveCache?.length ?? 0)
    return node
  })
  onTestFinished(() => void vi.restoreAllMocks())
  expect(yaml.parse(text)).toMatchObject({ b1: { v: 1 }, b999: { v: 999 }, d: ['z'] })
  expect(looked).toHaveLength(1001)
  expect(Math.max(...looked)).toBe(2)
})

plain('a value that an alias repeats is changed where it is meant', () => {
  expect(printed((index) => Object.assign(index.other, { x: 2 }), 'base: &b {x: 1}\nother: *b\n')).toContain(
    'x: 2',
  )
})

plain('random changes end up as what they are to say', () => {
  let seed = 1
  const roll = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((seed / 0x80000000) * below)
  }
  const values = [
    '',
    '- a',
    'x: y',
    '# no',
    "it's",
    'null',
    '1e3',
    ' pad ',
    'a\nb\n',
    12,
    -0.5,
    true,
    null,
    [],
    {},
    ['*'],
    { '&': '?' },
  ]
  for (let round = 0; round < 25; round++) {
    printed((index) => {
      for (let times = roll(3); times >= 0; times--) {
        const at = [index, index.hosts, index.build, index.build?.flags][roll(4)]
        if (typeof at !== 'object' || at === null) continue
        const value = structuredClone(values[roll(values.length)])
        const keys = Object.keys(at)
        if (Array.isArray(at)) at.splice(roll(at.length + 1), roll(2), value)
        else if (roll(3) === 0) delete at[keys[roll(keys.length)] ?? '']
        else at[roll(2) ? `new ${roll(5)}` : (keys[roll(keys.length)] ?? 'x')] = value
      }
    })
  }
})

test('50 updates of several processes are all there, and so are the comments', async ({ file }) => {
  writeFileSync(file, '# How many\nn: 0 # so many\nby: {}\n')
  // The package of this repository: the copy for other processes has no libraries beside it.
  const addon = resolve(import.meta.dirname, '../..')
  const counters = Array.from({ length: 5 }, (_, name) =>
    inProcess(
      async ({ atomicIndexUpdate, addon, require }, file, name) => {
        const { yaml } = require(`${addon}/codecs/yaml.js`)
        const plus = (index: any) => {
          index.n++
          index.by[name] = (index.by[name] ?? 0) + 1
          return index
        }
        for (let left = 5; left > 0; left--) {
          await Promise.all([1, 2].map(() => atomicIndexUpdate(file, plus, { codec: yaml, flush: false })))
        }
      },
      [file, `p${name}`],
      { addon },
    ),
  )
  await Promise.all(counters.map(({ returned }) => returned))
  const text = readFileSync(file, 'utf8')
  expect(yaml.parse(text)).toEqual({ n: 50, by: { p0: 10, p1: 10, p2: 10, p3: 10, p4: 10 } })
  expect(text).toMatch(/^# How many\nn: 50 # so many\n/)
})

test.for<[string, string, object]>([
  ['an open bracket', 'a: 1\nb: [1, 2\n', { line: 3 }],
  ['a key that is there twice', 'a: 1\nb: 2\na: 3\n', { line: 3, column: 1, offset: 10 }],
  ['two documents', 'a: 1\n---\nb: 2\n', { line: 2, column: 1, offset: 5 }],
  ['a file that a power cut has left', '\0\0\0\0', { line: 1, column: 1, offset: 0 }],
])('%s is a corrupt index, and stays', async ([, text, place], { file }) => {
  writeFileSync(file, text)
  const error = await rejection(atomicIndexUpdate(file, () => expect.fail('fn was called'), { codec: yaml }))
  expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', path: file, ...place })
  expect(readFileSync(file, 'utf8')).toBe(text)
})
