/** The words of a text are counted as a regular expression finds them. */

import { expect, test } from 'vitest'
import { countWords } from '../../examples/pipeline/lib/content/count-words'

const found = (text: string) => text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0

test.each([
  ['', 0],
  ["It's a well-known fact", 4],
  ['a--b', 2],
  ["'a' -b- ’c’", 3],
  ["a'", 1],
  ['Žluťoučký kůň 42', 3],
  ['𝒜𝒷 𠀀-𠀀 😀', 2],
  ['\ud835a \udc9c', 1],
  ['e\u0301te', 2],
])('%j has %i words', (text, words) => {
  expect(countWords(text)).toBe(words)
  expect(found(text)).toBe(words)
})

test('any character: by itself, within a word, before and after one that joins', () => {
  const differing: string[] = []
  for (let code = 0; code <= 0x10ffff; code += code < 0x10000 ? 1 : 13) {
    const character = code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code)
    const text = `${character} a${character}a a'${character} ${character}-a`
    if (countWords(text) !== found(text)) differing.push(code.toString(16))
  }
  expect(differing).toEqual([])
})
