// The codecs that print a file anew, and what all have in common.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, type IndexCodec, readIndex } from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { jsonc } from '@pipeline/atomic/jsonc'
import { toml } from '@pipeline/atomic/toml'
import { yaml } from '@pipeline/atomic/yaml'
import { build } from 'esbuild'
import { expect, test as plain } from 'vitest'
import { root, runNode, withTemporaryFolder } from '../../scripts/tools.mjs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

test('devalue keeps dates, maps, sets, BigInt and repeated references, also in initial', async ({ file }) => {
  const author = { name: 'A' }
  const initial = new Map<string, unknown>([
    ['at', new Date(0)],
    ['tags', new Set(['x'])],
    ['size', 2n ** 70n],
    ['none', undefined],
    ['by', [author, author]],
  ])
  await atomicIndexUpdate(file, (index) => index.set('more', /x/g), { codec: devalue, initial })
  const { value } = await readIndex(file, { codec: devalue })
  expect(value).toEqual(new Map([...initial, ['more', /x/g]]))
  const [one, other] = value.get('by')
  expect(one).toBe(other)
  const error = await rejection(
    atomicIndexUpdate(file, (index) => index.set('f', () => {}), { codec: devalue }),
  )
  expect(error).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, -5))
  expect(await rejection(readIndex(file, { codec: devalue }))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
  })
})

test('toml is updated, says where it is broken, and is never an empty file', async ({ file }) => {
  writeFileSync(file, 'title = "x"\n\n[owner]\nborn = 1979-05-27\n')
  const add = (index: any) => ({ ...index, list: [1.5, 'a'] })
  await atomicIndexUpdate(file, add, { codec: toml })
  const text = readFileSync(file, 'utf8')
  expect(text).toContain('born = 1979-05-27\n')
  expect(toml.parse(text)).toMatchObject({ title: 'x', list: [1.5, 'a'] })
  await atomicIndexUpdate(file, () => ({}), { codec: toml })
  expect((await readIndex(file, { codec: toml })).value).toEqual({})
  writeFileSync(file, 'a = 1\nb = \n')
  expect(await rejection(readIndex(file, { codec: toml }))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    line: 2,
  })
})

test.for<[string, IndexCodec, string]>([
  ['jsonc', jsonc, '// c\n{"big": 1e400, "x": 1.0,}'],
  ['yaml', yaml, 'b: !!binary aGVsbG8=\nt: !!timestamp 2020-01-01\ns: !!set {a, b}\nn: 1.0\n'],
  ['toml', toml, '# c\nx = 1.0\nd = 1979-05-27T07:32:00+02:00 # d\n'],
  ['devalue', devalue, '[ {"a":1}, ["Set", 2], "x" ]'],
])(
  'an update that changes nothing leaves a file of %s as it is, byte for byte',
  async ([, codec, text], { file }) => {
    writeFileSync(file, text)
    expect(await atomicIndexUpdate(file, (index) => index, { codec })).toMatchObject({ written: false })
    expect(readFileSync(file, 'utf8')).toBe(text)
  },
)

test.for<[string, IndexCodec]>([
  ['jsonc', jsonc],
  ['yaml', yaml],
  ['toml', toml],
])('%s refuses what plain JSON would lose', async ([, codec], { file }) => {
  const lost: [object, string][] = [
    [
      { a: Promise.resolve(1) },
      'a Promise at index["a"], of which the codec keeps nothing. Put what it resolves',
    ],
    [{ list: [{ x: 1 }, new Map([[1, 2]])] }, 'a Map at index["list"][1], of which the codec keeps nothing'],
    [{ a: new Set([1]) }, 'a Set at index["a"]'],
    [{ a: /x/ }, 'a RegExp at index["a"]'],
    [new Map(), 'The function returned a Map'],
  ]
  for (const [value, told] of lost) {
    const error = await rejection(atomicIndexUpdate(file, () => value, { codec }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE', message: expect.stringContaining(told) })
  }
  const initial = { a: new Map() }
  const error = await rejection(atomicIndexUpdate(file, (index) => index, { codec, initial }))
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})

test('toml keeps the digits of whole numbers that JavaScript would round, and does not take the file for broken', async ({
  file,
}) => {
  const text = 'id = 9007199254740993\nlist = [ 1, -9223372036854775808 ]\n'
  writeFileSync(file, text)
  const { value } = await readIndex(file, { codec: toml })
  expect(value).toEqual({ id: 2 ** 53, list: [1, -(2 ** 63)] })
  const change = (index: any) => ({ ...index, list: [0, ...index.list] })
  await atomicIndexUpdate(file, change, { codec: toml, onCorrupt: 'recover' })
  expect(readFileSync(file, 'utf8')).toBe(text.replace('[ 1', '[ 0, 1'))
  await atomicIndexUpdate(file, () => ({ id: 7 }), { codec: toml })
  expect(readFileSync(file, 'utf8')).toBe('id = 7\n')
})

const IDS =
  '[[s]]\nid = 1234567890123456789\n\n[[s]]\nid = 9007199254740993\n\n[[s]]\nid = 9223372036854775807\n'

plain.for<[string, string, (index: any) => unknown, string]>([
  [
    'a list that is turned round',
    IDS,
    ({ s }) => ({ s: s.reverse() }),
    `${IDS.split('\n\n')
      .map((text) => text.trim())
      .reverse()
      .join('\n\n')}\n`,
  ],
  [
    'items that are changed behind one that goes',
    IDS,
    ({ s }) => ({ s: s.slice(1).map((item: object) => ({ ...item, x: 1 })) }),
    `${IDS.split('\n\n')
      .slice(1)
      .map((text) => `${text.trim()}\nx = 1`)
      .join('\n\n')}\n`,
  ],
  ['another key', 'a = 9007199254740993\n', ({ a }) => ({ b: a }), 'b = 9007199254740993\n'],
  ['another table', '[a]\nid = 9007199254740993\n', ({ a }) => ({ c: a }), '[c]\nid = 9007199254740993\n'],
  [
    'a list of numbers among others',
    'l = [ 1.0, 9007199254740993 ]\n',
    ({ l }) => ({ l: l.reverse() }),
    'l = [ 9007199254740993, 1.0 ]\n',
  ],
  [
    'a float, which moves',
    'a = 9007199254740992.0\nb = 1152921504606846977\n',
    ({ a, b }) => ({ b: a, c: b }),
    'b = 9007199254740992.0\nc = 1152921504606846977\n',
  ],
  ['a new one, where all are exact', 'a = 1\n', () => ({ a: 2 ** 60 }), 'a = 1152921504606846976.0\n'],
  [
    'a new one that is none',
    'a = 9007199254740993\n',
    ({ a }) => ({ a, b: 2 ** 64 }),
    'a = 9007199254740993\nb = 18446744073709551616.0\n',
  ],
  [
    'a BigInt in the place of one',
    'a = 9007199254740993\n',
    () => ({ a: 2n ** 53n + 2n }),
    'a = 9007199254740994\n',
  ],
])('toml keeps the digits of whole numbers beyond 2^53 where they go: %s', ([, text, change, expected]) => {
  expect(toml.stringify(change(toml.parse(text)), text)).toBe(expected)
})

plain.for<[string, string, (index: any) => unknown, string]>([
  [
    'two that are one in JavaScript',
    'l = [ 1234567890123456789, 1234567890123456790 ]\n',
    ({ l }) => ({ l: l.slice(1) }),
    'index["l"][0], and the file has several numbers that JavaScript rounds to that one',
  ],
  [
    'a float and a whole number',
    'a = 9007199254740992.0\nb = 9007199254740993\nx = 1\n',
    (index) => ({ ...index, x: 2 }),
    'index["a"], and the file has several numbers',
  ],
  [
    'one that is counted up',
    'n = 9007199254740993\n',
    ({ n }) => ({ n: n + 2 }),
    'there is 9007199254740994 at index["n"], and the file has whole numbers that JavaScript rounds',
  ],
  [
    'more than 64 bits',
    'x = 1\n',
    () => ({ x: 2n ** 63n }),
    'there is the whole number 9223372036854775808 at index["x"], and TOML has 64 bits for one',
  ],
])('toml refuses to write a number of which the digits cannot be told: %s', ([, text, change, told]) => {
  const index: any = toml.parse(text)
  expect(() => toml.stringify(change(index), text)).toThrow(told)
})

test('toml lets numbers that are one in JavaScript be, and be removed, and refuses to read more than 64 bits', async ({
  file,
}) => {
  writeFileSync(file, 'l = [ 1234567890123456789, 1234567890123456790 ]\nx = 1\n')
  await atomicIndexUpdate(file, ({ x }) => ({ x, n: 2n ** 60n }), { codec: toml })
  expect(readFileSync(file, 'utf8')).toBe('x = 1\nn = 1152921504606846976\n')
  writeFileSync(file, 'a = [ 1, 9223372036854775808 ]\n')
  const error = await rejection(readIndex(file, { codec: toml }))
  expect(error).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    message: expect.stringContaining('there is the whole number 9223372036854775808, and TOML has 64 bits'),
  })
})

plain('toml refuses what it would say otherwise', () => {
  expect(() => toml.stringify({ a: ['x', '\ud800'] }, undefined)).toThrow(
    'there is a lone surrogate at index["a"][1]',
  )
  expect(() => toml.stringify({ a: { '\ud800': 1 } }, undefined)).toThrow(
    'there is a lone surrogate in a key of index["a"]',
  )
  expect(toml.stringify({ a: '\ud83d\ude00' }, undefined)).toBe('a = "\ud83d\ude00"\n')
  expect(() => toml.stringify({ a: 2n ** 60n + 1n }, undefined)).toThrow(
    'there is 1152921504606846977 at index["a"], which would be read as 1152921504606847000: make it a string',
  )
})

plain('toml keeps floats, and refuses null by its place', () => {
  const text = 'f = 1.0\nn = 1\nl = [ 1.0, 2.0 ]\nd = 1979-05-27\n'
  const index: any = toml.parse(text)
  Object.assign(index, { f: 3, n: 2, more: 7 })
  index.l.unshift(0)
  expect(toml.stringify(index, text)).toBe(
    'f = 3.0\nn = 2\nl = [ 0.0, 1.0, 2.0 ]\nd = 1979-05-27\nmore = 7\n',
  )
  // A date is compared by what it says.
  index.d = new Date('1999-01-01T00:00:00Z')
  expect(toml.stringify(index, text)).toContain('d = 1999-01-01T00:00:00.000Z')
  expect(() => toml.stringify({ a: { b: null } }, undefined)).toThrow('there is null at index["a"]["b"]')
  expect(() => toml.stringify({ a: [1, null] }, undefined)).toThrow('there is null at index["a"][1]')
})

plain('inside jest, a codec over an ES module says what to set', { timeout: 60_000 }, async () => {
  await withTemporaryFolder(async (folder) => {
    const codec = JSON.stringify(join(root, 'codecs/devalue.js'))
    writeFileSync(
      join(folder, 'codec.test.js'),
      `test('says', () => {
        expect(() => require(${codec}).devalue.parse).toThrow(
          "ERR_ATOMIC_NO_CODEC: jest cannot load devalue, which is an ES module: set transformIgnorePatterns to ['/node_modules/(?!devalue/)']",
        )
      })`,
    )
    const config = JSON.stringify({ transform: {}, watchman: false })
    const command = [
      join(root, 'node_modules/jest/bin/jest.js'),
      '--ci',
      '--rootDir',
      folder,
      '--config',
      config,
    ]
    const { code, output } = await runNode(command, {
      cwd: folder,
      quiet: true,
      env: { NODE_OPTIONS: undefined },
    })
    expect(code, output).toBe(0)
  })
})

test('without its library a codec says what to type, and the file is not taken for broken', async ({
  file,
}) => {
  writeFileSync(file, '{}')
  const names = { jsonc: 'jsonc-parser', yaml: 'yaml', toml: 'smol-toml', devalue: 'devalue' }
  // The copy of the package that other processes load has nothing beside it.
  const errors = await inProcess(
    async ({ atomicIndexUpdate, addon, require }, file, codecs) => {
      const told: unknown[] = []
      for (const name of codecs) {
        const codec = require(`${addon}/codecs/${name}.js`)[name]
        await atomicIndexUpdate(file, () => ({ a: 1 }), { codec, onCorrupt: 'recover' }).catch((error) =>
          told.push([error.code, error.message]),
        )
      }
      return told
    },
    [file, Object.keys(names)],
  ).returned
  expect(errors).toEqual(
    Object.values(names).map((name) => [
      'ERR_ATOMIC_NO_CODEC',
      `ERR_ATOMIC_NO_CODEC: this codec needs another package: npm install ${name}`,
    ]),
  )
  expect(readFileSync(file, 'utf8')).toBe('{}')
})

test('a bundle to CommonJS has the codec with its library, and one to an ES module says what to set', async ({
  dir,
}) => {
  const codecs = join(root, 'codecs')
  const outputs = await Promise.all(
    (['cjs', 'esm'] as const).map(async (format) => {
      const outfile = join(dir, `out-${format}.${format === 'cjs' ? 'cjs' : 'mjs'}`)
      const contents = `import { yaml } from './yaml.js'
        try { console.log(yaml.stringify({ a: 1 }, undefined)) } catch ({ message }) { console.log(message) }`
      const stdin = { contents, resolveDir: codecs }
      await build({ stdin, outfile, bundle: true, platform: 'node', format, logLevel: 'silent' })
      return (await runNode([outfile], { quiet: true })).stdout
    }),
  )
  expect(outputs).toEqual([
    'a: 1\n\n',
    expect.stringMatching(/^ERR_ATOMIC_NO_CODEC: a bundler .* mark @pipeline\/atomic as external/),
  ])
})
