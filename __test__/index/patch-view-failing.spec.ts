// A function of a patch that fails has only looked into the text: it costs the others of its group nothing.

import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexPatch, atomicTransaction, type IndexPatch, type IndexView } from '@pipeline/atomic'
import { expect } from 'vitest'
import { inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const fail = () => {
  throw new RangeError('mine')
}

const ways: Record<string, () => unknown> = {
  throws: fail,
  'makes a patch that fails half done': () => ({ set: { '/count': -1, '/none/n': 1 } }),
  'returns what is no patch': () => 5,
  'promises to fail': async () => fail(),
}

for (const [way, failing] of Object.entries(ways)) {
  test(`functions run once each, and share one write, beside one that ${way}`, inTime, async ({ file }) => {
    writeJson(file, { count: 0 })
    const runs = times(30, () => 0)
    const fails = (at: number) => at % 3 === 1
    const change = (at: number) => (view: IndexView) => {
      runs[at] = (runs[at] ?? 0) + 1
      if (fails(at)) return failing() as IndexPatch
      return { set: { '/count': (view.at('/count') as number) + 1 } }
    }
    const calls = await together(file, () => times(30, (at) => atomicIndexPatch(file, change(at))))
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status === 'rejected')).toEqual(times(30, fails))
    expect(runs).toEqual(times(30, () => 1))
    const sizes = settled.map((call) => (call.status === 'fulfilled' ? call.value.batchSize : 20))
    expect(sizes).toEqual(times(30, () => 20))
    expect(readJson(file)).toEqual({ count: 20 })
  })
}

test('a function that makes nothing of what is no index fails at once', async ({ dir, file }) => {
  for (const text of ['5', '"x"', 'null']) {
    writeFileSync(file, text)
    let runs = 0
    const nothing = () => {
      runs++
      return undefined
    }
    expect(await rejection(atomicIndexPatch(file, nothing, { timeout: 1000 }))).toMatchObject({
      code: 'ERR_ATOMIC_PATCH',
      message: expect.stringContaining('would be'),
    })
    expect([runs, readFileSync(file, 'utf8')]).toEqual([1, text])
    // In transactions as well: by the text, and by the value where an option needs that.
    for (const options of [{}, { space: 2 }]) {
      const failure = rejection(atomicTransaction(dir, (tx) => tx.patch(file, () => undefined, options)))
      expect(await failure).toMatchObject({ code: 'ERR_ATOMIC_PATCH' })
      expect(readFileSync(file, 'utf8')).toBe(text)
    }
  }
})
