// JavaScript's numbers have about 16 digits: those of an index that has more must not change unnoticed.

import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { batchSizes, inTime, times, together } from '../helpers/group'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const never = () => expect.fail('fn was called')

describe('a number that JavaScript would change is refused', () => {
  const refused: [what: string, literal: string][] = [
    ['an integer that a double does not hold', '9007199254740993'],
    ['an integer that a double holds and JavaScript prints as another', '1161888007138312192'],
    ['a negative one', '-1161888007138312192'],
    ['one with an exponent', '1161888007138312192e3'],
    ['one with a fraction of zeros', '1161888007138312192.0'],
    ['more digits than a double has places', '1'.repeat(400)],
    ['one that is too large', '1e400'],
    ['one that is too small', '-1E+400'],
    ['an exponent beyond all numbers', '1e99999999999999999999'],
  ]
  test.for(refused)('%s', async ([, literal], { dir, file }) => {
    writeFileSync(file, `{\n  "ü": "1161888007138312192",\n  "n": [1, ${literal}]\n}`)
    const before = state(file)
    const error = await rejection(atomicIndexUpdate(file, never))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOSSY_INDEX', path: file, literal, line: 3, column: 12 })
    expect(error.offset).toBe(Buffer.from('{\n  "ü": "1161888007138312192",\n  "n": [1, ').length)
    expect(error.message).toContain(literal.slice(0, 40))
    expect(error.message).toContain("'exact'")
    expect(error.message.length).toBeLessThan(400 + file.length)
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('for each call of a group', async ({ file }) => {
    const text = '[1161888007138312192]'
    writeFileSync(file, '[]')
    const make = () => times(3, () => atomicIndexUpdate(file, never))
    const calls = await together(file, make, () => writeFileSync(file, text))
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOSSY_INDEX' })
    }
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('also when a program brings it in while fn runs', async ({ file }) => {
    writeFileSync(file, '[1]')
    const update = atomicIndexUpdate(file, () => {
      writeFileSync(file, '[1e400]')
      return [2]
    })
    expect(await rejection(update)).toMatchObject({ code: 'ERR_ATOMIC_LOSSY_INDEX', literal: '1e400' })
    expect(readFileSync(file, 'utf8')).toBe('[1e400]')
  })
})

describe('a number that stays what it is, is not', () => {
  const kept: [what: string, literal: string, printed: string][] = [
    ['the largest safe integer', '9007199254740991', '9007199254740991'],
    ['what JavaScript itself writes', '1161888007138312200', '1161888007138312200'],
    ['a power of ten', '1e23', '1e+23'],
    ['the largest number', '1.7976931348623157e308', '1.7976931348623157e+308'],
    ['many zeros', `1${'0'.repeat(30)}`, '1e+30'],
    ['an exponent in a string', '"1e400"', '"1e400"'],
    ['digits in a string', '"1161888007138312192"', '"1161888007138312192"'],
    // As documented.
    ['a decimal, which is rounded', '0.1234567890123456789', '0.12345678901234568'],
    ['a decimal that is too small for a double', '1e-400', '0'],
    ['minus zero, which loses its sign', '-0', '0'],
  ]
  test.for(kept)('%s', async ([, literal, printed], { file }) => {
    writeFileSync(file, `[${literal}]`)
    await atomicIndexUpdate(file, (index) => [...index, 'more'])
    expect(readFileSync(file, 'utf8')).toBe(`[${printed},"more"]`)
  })

  test('a key of digits', async ({ file }) => {
    writeFileSync(file, '{"1161888007138312192":1}')
    await atomicIndexUpdate(file, (index) => ({ ...index, n: 1 }))
    expect(readFileSync(file, 'utf8')).toBe('{"1161888007138312192":1,"n":1}')
  })
})

describe("numbers: 'lossy'", () => {
  test('accepts the change', async ({ file }) => {
    writeFileSync(file, '[1161888007138312192,1e400]')
    await atomicIndexUpdate(file, (index) => [...index, 1], { numbers: 'lossy' })
    expect(readFileSync(file, 'utf8')).toBe('[1161888007138312200,null,1]')
  })

  test('leaves the digits alone if nothing else changes', async ({ file }) => {
    writeFileSync(file, '[1161888007138312192, 1e400]')
    const update = atomicIndexUpdate(file, (index) => index, { numbers: 'lossy' })
    expect(await update).toMatchObject({ written: false })
    expect(readFileSync(file, 'utf8')).toBe('[1161888007138312192, 1e400]')
  })

  test('does not share a commit with calls of another kind', inTime, async ({ file }) => {
    writeFileSync(file, '[]')
    const kinds = ['lossy', 'lossy', 'strict', undefined, 'lossy'] as const
    const calls = await together(file, () =>
      kinds.map((numbers) => atomicIndexUpdate(file, (index) => [...index, 1], { numbers })),
    )
    expect(batchSizes(await Promise.all(calls))).toEqual([2, 2, 2, 2, 1])
  })
})

describe("numbers: 'exact'", () => {
  const flags = 'rawJSON' in JSON ? [] : ['--harmony-json-parse-with-source']

  /** Runs updates where V8 can keep digits, and returns the text after each. */
  const exactly = (file: string, changes: string[]) =>
    inProcess(
      async ({ atomicIndexUpdate, require }, file, changes) => {
        const texts: string[] = []
        for (const change of changes) {
          // biome-ignore lint/security/noGlobalEval: the function is this test's.
          const fn = globalThis.eval(change)
          const error = await atomicIndexUpdate(file, fn, { numbers: 'exact' }).catch((error) => error)
          texts.push(require('node:fs').readFileSync(file, 'utf8'))
          if (error instanceof Error) texts.push(String(error))
        }
        return texts
      },
      [file, changes],
      { execArgv: flags },
    ).returned

  test('keeps the digits of numbers that are not touched', async ({ file }) => {
    const text = '{"id":1161888007138312192,"n":1,"big":[1e400,-0.1234567890123456789]}'
    writeFileSync(file, text)
    const texts = await exactly(file, [
      '(index) => { index.n++; return index }',
      '(index) => ({ ...index, n: index.n + 1 })',
      '(index) => ({ n: index.n, moved: [index.id], read: String(BigInt(index.id.rawJSON) + 1n) })',
      '(index) => ({ n: index.moved })',
    ])
    expect(texts).toEqual([
      text.replace('"n":1', '"n":2'),
      text.replace('"n":1', '"n":3'),
      '{"n":3,"moved":[1161888007138312192],"read":"1161888007138312193"}',
      '{"n":[1161888007138312192]}',
    ])
  })

  test('plain numbers stay plain', async ({ file }) => {
    writeFileSync(file, '[1161888007138312192,1.50,7]')
    expect(await exactly(file, ['(index) => index.map((n) => typeof n)'])).toEqual([
      '["object","number","number"]',
    ])
  })

  test('writes a number of which only the last digit is another', async ({ file }) => {
    writeFileSync(file, '[1161888007138312192]')
    expect(await exactly(file, ["() => [JSON.rawJSON('1161888007138312193')]"])).toEqual([
      '[1161888007138312193]',
    ])
  })

  test('writes nothing if nothing changes', async ({ file }) => {
    writeFileSync(file, '[ 1161888007138312192, 1.50 ]\r\n')
    expect(await exactly(file, ['(index) => index'])).toEqual(['[ 1161888007138312192, 1.50 ]\r\n'])
  })

  test('is refused where V8 cannot keep them', async ({ file }) => {
    const outcome = await inProcess(
      ({ atomicIndexUpdate }, file) => {
        delete (JSON as { rawJSON?: unknown }).rawJSON
        return atomicIndexUpdate(file, () => [], { numbers: 'exact' }).catch(({ name, code, message }) => ({
          ...{ name, code, message },
        }))
      },
      [file],
    ).returned
    expect(outcome).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
    expect(outcome.message).toContain('Node.js')
  })
})

test.for(['', 'exactly', true, 1])('numbers: %j is refused', async (numbers, { file }) => {
  const update = atomicIndexUpdate(file, never, { numbers: numbers as 'strict' })
  expect(await rejection(update)).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
})
