// The work of the codecs that keep comments grows with the text, and not with its square. It is counted: a clock would tell of the machine.

import { createRequire } from 'node:module'
import { jsonc } from '@pipeline/atomic/jsonc'
import { expect, onTestFinished, test, vi } from 'vitest'

const { align } = createRequire(import.meta.url)('../../codecs/diff.js')

test('items of two lists are looked through once each, and not once for each pair', () => {
  let looks = 0
  const item = (n: number) => ({
    get n() {
      looks++
      return n
    },
  })
  const before = Array.from({ length: 200 }, (_, n) => item(n))
  const after = Array.from({ length: 200 }, (_, n) => item(n % 2 === 0 ? 1000 + n : n))
  expect(align(before, after).filter(([one, other]: number[]) => one === other)).toHaveLength(200)
  expect(looks).toBeLessThan(2000)
})

test('in a text of one line, changes all over it do not look back to its start', () => {
  const index = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, { n }]))
  const text = JSON.stringify(index)
  for (const value of Object.values(index)) value.n++
  const look = vi.spyOn(String.prototype, 'lastIndexOf')
  onTestFinished(() => look.mockRestore())
  const changed = jsonc.stringify(index, text)
  const looked = look.mock.contexts.map((one, at) =>
    Math.min(look.mock.calls[at]?.[1] ?? Number.POSITIVE_INFINITY, String(one).length),
  )
  expect(changed).toBe(JSON.stringify(index))
  expect(looked.reduce((sum, length) => sum + length, 0)).toBeLessThan(3 * text.length)
})
