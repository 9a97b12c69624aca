import { readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { atomicIndexUpdate, readIndex } from '@pipeline/atomic'
import { jsonc } from '@pipeline/atomic/jsonc'
import { describe, expect, test as plain } from 'vitest'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const settings = `// Settings
{
  // How it compiles
  "compiler": {
    "target": "es2022", // not older
    "lib": [
      "es2022", /* and */ "dom",
    ],
    "big": 1161888007138312192
  },

  // Detached

  /* old */ "files": ["a.ts", "b.ts"], // two
}
// The end
`

const printed = (change: (index: any) => void, text = settings) => {
  const index: any = jsonc.parse(text)
  change(index)
  return jsonc.stringify(index, text)
}

const swapped = (...pairs: [string, string][]) =>
  pairs.reduce((text, [from, to]) => {
    expect(text.split(from)).toHaveLength(2)
    return text.replace(from, () => to)
  }, settings)

describe('what is not changed stays as it is', () => {
  plain.for<[string, (index: any) => void, string]>([
    ['nothing', () => {}, settings],
    [
      'a value',
      (i) => {
        i.compiler.target = 'esnext'
      },
      swapped(['"es2022", // not', '"esnext", // not']),
    ],
    [
      'a new key',
      (i) => {
        i.more = 1
      },
      swapped(['// two\n', '// two\n  "more": 1,\n']),
    ],
    [
      'a new key in an object',
      (i) => {
        i.compiler.z = [1]
      },
      swapped(['2192\n', '2192,\n    "z": [\n      1\n    ]\n']),
    ],
    [
      'a key that goes',
      (i) => void delete i.compiler.target,
      swapped(['\n    "target": "es2022", // not older', '']),
    ],
    [
      'the last key that goes',
      (i) => void delete i.compiler.big,
      swapped([',\n    "big": 1161888007138312192', '']),
    ],
    [
      'a key after an empty line',
      (i) => void delete i.files,
      swapped(['\n\n  /* old */ "files": ["a.ts", "b.ts"], // two', '']).replace('  },\n\n', '  },\n\n'),
    ],
    ['a new item', (i) => void i.files.push('c.ts'), swapped(['"b.ts"]', '"b.ts", "c.ts"]'])],
    ['an item that goes', (i) => void i.files.shift(), swapped(['["a.ts", "b.ts"]', '["b.ts"]'])],
    ['an item that was put in first', (i) => void i.files.unshift('0'), swapped(['["a.ts"', '["0", "a.ts"'])],
    [
      'one item of many',
      (i) => {
        i.compiler.lib[1] = 'x'
      },
      swapped(['"dom"', '"x"']),
    ],
    [
      '__proto__',
      (i) => void Object.defineProperty(i.compiler, '__proto__', { value: 1, enumerable: true }),
      swapped(['2192\n', '2192,\n    "__proto__": 1\n']),
    ],
  ])('%s', ([, change, expected]) => {
    expect(printed(change)).toBe(expected)
    // Line ends are those of the file.
    const windows = settings.replaceAll('\n', '\r\n')
    expect(printed(change, windows)).toBe(expected.replaceAll('\n', '\r\n'))
  })

  plain('an empty object and a list keep their comments', () => {
    expect(
      printed((i) => {
        i.a = 1
      }, '{\n  // c\n}'),
    ).toBe('{\n  // c\n  "a": 1\n}')
    expect(printed((i) => void i.push(1), '[]\n')).toBe('[\n  1\n]\n')
  })
})

/** Whole numbers below `below`, the same in each run. */
function dice(seed: number) {
  return (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((seed / 0x80000000) * below)
  }
}

plain(
  'random texts with comments say after random changes what they are to say, and keep all other lines',
  () => {
    for (let seed = 1; seed <= 150; seed++) {
      const roll = dice(seed * 7919)
      const any = (depth: number): any => {
        const kind = roll(depth > 2 ? 3 : 6)
        if (kind === 0) return roll(100) / 4
        if (kind === 1) return `text ${roll(50)}, "it"`
        if (kind === 2) return [true, null, ''][roll(3)]
        const size = roll(4)
        if (kind === 3) return Array.from({ length: size }, () => any(depth + 1))
        return Object.fromEntries(Array.from({ length: size }, () => [`k${roll(9)}`, any(depth + 1)]))
      }
      /** In a layout of chance. */
      const text = (value: any, indent: string): string => {
        const gap = () =>
          ['', ' ', ` /* ${roll(99)} */ `, `\n${indent}`, `\n${indent}// c${roll(99)}\n${indent}`][roll(5)] ??
          ''
        if (typeof value !== 'object' || value === null) return JSON.stringify(value)
        const items = Array.isArray(value)
          ? value.map((item) => text(item, `${indent}  `))
          : Object.entries(value).map(
              ([key, item]) => `"${key}"${gap()}:${gap()}${text(item, `${indent}  `)}`,
            )
        const inner = items.join(`${gap()},${gap()}`) + (items.length > 0 && roll(2) ? `${gap()},` : '')
        const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
        return open + gap() + inner + gap() + close
      }
      const change = (value: any): any => {
        if (typeof value !== 'object' || value === null) return any(2)
        const keys = Object.keys(value)
        const key = keys[roll(keys.length)]
        if (Array.isArray(value) && roll(3) === 0) value.splice(roll(value.length + 1), roll(2), any(2))
        else if (key === undefined || roll(4) === 0)
          value[Array.isArray(value) ? value.length : 'new'] = any(2)
        else if (!Array.isArray(value) && roll(3) === 0) delete value[key]
        else value[key] = change(value[key])
        return value
      }
      const before = `// head\n${text({ a: any(0), b: [any(0)], last: 1 }, '  ')}\n// foot ${seed}\n`
      const index: any = jsonc.parse(before)
      for (let times = roll(4); times >= 0; times--) change(index)
      const after = jsonc.stringify(index, before)
      expect(jsonc.parse(after), before).toEqual(index)
      // What is printed anew has no comments.
      expect(after).toMatch(new RegExp(`^// head\\n[^]*\\n// foot ${seed}\\n$`))
      // The values that are still there are the same characters.
      const same = jsonc.parse(before) as any
      for (const key of Object.keys(same)) {
        if (!isDeepStrictEqual(same[key], index[key])) continue
        const from = before.indexOf(`"${key}"`, 8)
        expect(after).toContain(
          before.slice(from, before.indexOf(JSON.stringify(same[key]).slice(0, 1), from + 3)),
        )
      }
    }
  },
)

test('a file is updated so, and a new one is plain', async ({ file }) => {
  writeFileSync(file, `\ufeff${settings}`)
  const update = (target: string) =>
    atomicIndexUpdate(
      file,
      (index) => {
        index.compiler.target = target
        return index
      },
      { codec: jsonc, initial: { compiler: {} } as any },
    )
  await update('es2024')
  expect(readFileSync(file, 'utf8')).toBe(`\ufeff${swapped(['"es2022", // not', '"es2024", // not'])}`)
  expect((await readIndex(file, { codec: jsonc })).value).toMatchObject({ compiler: { target: 'es2024' } })
  writeFileSync(file, '{\n  "a": [1,\n')
  const error = await rejection(update('x'))
  expect(error).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX', line: 3, column: 1, offset: 13 })
  expect(error.message).toContain('the codec cannot parse the index: ')
})

plain.for<[string, (index: any) => void, string, string]>([
  [
    'a line comment behind the last item',
    (i) => void i.rulers.push(140),
    '{ "a": 1, // one\n "rulers": [80, 120 // wide\n] }',
    '{ "a": 1, // one\n "rulers": [80, 120, // wide\n  140\n] }',
  ],
  [
    'a line comment in a list that was empty',
    (i) => void i.rulers.push(1),
    '{ "rulers": [ // none\n] }',
    '{ "rulers": [ // none\n  1\n] }',
  ],
  [
    'a number that JSON cannot say again',
    (i) => Object.assign(i, { b: 2 }),
    '{"a":1e400,"b":1}',
    '{"a":1e400,"b":2}',
  ],
  ['equal keys', (i) => Object.assign(i, { a: 3 }), '{"a":1,"a":2,"b":3}', '{"a":1,"a":3,"b":3}'],
  ['comments alone', (i) => Object.assign(i, { a: 1 }), '// None yet\n', '// None yet\n{\n  "a": 1\n}\n'],
])('a change beside %s', ([, change, text, expected]) => {
  expect(printed(change, text)).toBe(expected)
})
