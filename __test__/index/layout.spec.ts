import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { test } from '../helpers/test'

const next = { a: 1, list: [{ b: 2, ' c\n': '\r\n  ' }] }

const crlf = (value: unknown, space: number | string) =>
  JSON.stringify(value, null, space).replaceAll('\n', '\r\n')

const wide = ' '.repeat(12)

/** JSON with an indent that `JSON.stringify` does not have. */
const wider = (value: unknown, indent: string) =>
  JSON.stringify(value, null, '\t').replace(/^\t+/gm, (tabs) => indent.repeat(tabs.length))

async function rewritten(file: string, text: string, options?: UpdateOptions): Promise<string> {
  writeFileSync(file, text)
  await atomicIndexUpdate(file, () => next, options)
  return readFileSync(file, 'utf8')
}

describe('the next version is laid out as the last', () => {
  const indents: [what: string, indent: string][] = [
    ['1 space', ' '],
    ['2 spaces', '  '],
    ['4 spaces', '    '],
    ['a tab', '\t'],
    ['2 tabs', '\t\t'],
    ['a tab and 3 spaces', '\t   '],
    ['nothing, on one line', ''],
  ]
  for (const [what, indent] of indents) {
    for (const [ending, newline] of [
      ['a final newline', '\n'],
      ['no final newline', ''],
    ]) {
      test(`${what}, with ${ending}`, async ({ file }) => {
        const text = JSON.stringify({ old: [1] }, null, indent) + newline
        expect(await rewritten(file, text)).toBe(JSON.stringify(next, null, indent) + newline)
      })
    }
  }

  const odd: [what: string, text: string, layout: string][] = [
    ['an array', '[\n\t{}\n]', JSON.stringify(next, null, '\t')],
    ['one line with spaces in it', '{ "old": 1 }\n', `${JSON.stringify(next)}\n`],
    ['lines that end in CR and LF', '{\r\n    "old": 1\r\n}\r\n', `${crlf(next, 4)}\r\n`],
    ['lines that end in CR and LF, but the last', '{\r\n\t"old": 1\r\n}', crlf(next, '\t')],
    ['lines that end in CR', '[\r 1\r]\r', `${JSON.stringify(next, null, 1).replaceAll('\n', '\r')}\r`],
    ['a byte order mark', '\ufeff{\n "old": 1\n}\n', `\ufeff${JSON.stringify(next, null, 1)}\n`],
    ['a byte order mark and one line', '\ufeff{"old":"ü"}', `\ufeff${JSON.stringify(next)}`],
    ['a byte order mark, CR and LF', '\ufeff[\r\n  1\r\n]\r\n', `\ufeff${crlf(next, 2)}\r\n`],
    ['12 spaces', `{\n${wide}"old": 1\n}\n`, `${wider(next, wide)}\n`],
    ['12 spaces, CR and LF', `[\r\n${wide}1\r\n]`, wider(next, wide).replaceAll('\n', '\r\n')],
    ['lines without an indent', '{\n"old": 1\n}', wider(next, '')],
    ['an empty object', '{}', JSON.stringify(next, null, 2)],
    ['an empty object on two lines', '{\n}', JSON.stringify(next, null, 2)],
    ['an empty array and a newline', '[]\n', `${JSON.stringify(next, null, 2)}\n`],
    ['an empty array, CR and LF', '[]\r\n', `${crlf(next, 2)}\r\n`],
    ['several final newlines', '{\n  "old": 1\n}\n\n\n', `${JSON.stringify(next, null, 2)}\n\n\n`],
    ['space around it', '\n  {\n   "old": 1\n  }\n\n', `\n  ${JSON.stringify(next, null, 3)}\n\n`],
    ['a blank line at the start', '{\n\n  "old": 1\n}\n', `${JSON.stringify(next, null, 2)}\n`],
  ]
  test.for(odd)('%s', async ([, text, layout], { file }) => {
    expect(await rewritten(file, text)).toBe(layout)
  })

  test('a new index has two spaces and no final newline', async ({ file }) => {
    await atomicIndexUpdate(file, () => next)
    expect(readFileSync(file, 'utf8')).toBe(JSON.stringify(next, null, 2))
  })

  test('a new index is laid out as any other when it has an initial', async ({ file }) => {
    await atomicIndexUpdate(file, (index) => index, { initial: next })
    expect(readFileSync(file, 'utf8')).toBe(JSON.stringify(next, null, 2))
  })
})

describe('space', () => {
  test.for([0, 1, 4, 10, 20, 2.5, '', '\t', '   '])(
    '%j lays out as in JSON.stringify',
    async (space, { file }) => {
      expect(await rewritten(file, '{"old":1}', { space })).toBe(JSON.stringify(next, null, space))
    },
  )

  test('goes before the indent of the file, whose final newline stays', async ({ file }) => {
    expect(await rewritten(file, '{\n    "old": 1\n}\n', { space: '\t' })).toBe(
      `${JSON.stringify(next, null, '\t')}\n`,
    )
  })

  test('goes before an indent that JSON.stringify does not have', async ({ file }) => {
    expect(await rewritten(file, `[\r\n${wide}1\r\n]\r\n`, { space: 1 })).toBe(`${crlf(next, 1)}\r\n`)
  })

  test('applies to a new index too', async ({ file }) => {
    await atomicIndexUpdate(file, () => next, { space: 1 })
    expect(readFileSync(file, 'utf8')).toBe(JSON.stringify(next, null, 1))
  })

  test('that would not be JSON any more leaves the file as it is', async ({ file }) => {
    await expect(rewritten(file, '{"old":1}', { space: 'xx' })).rejects.toThrow(TypeError)
    expect(readFileSync(file, 'utf8')).toBe('{"old":1}')
  })
})
