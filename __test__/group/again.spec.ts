// Functions of a group that run again: on what is there then, and each in the async context of its own call.

import { AsyncLocalStorage } from 'node:async_hooks'
import { rmSync } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { append, batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { test } from '../helpers/test'

const nextTurn = () => new Promise(setImmediate)

describe(
  'when a program changes the file without the lock while the functions of a group run',
  inTime,
  () => {
    for (const place of [0, 2, 4]) {
      for (const [kind, wait] of [
        ['sync', () => undefined],
        ['async', nextTurn],
      ] as const) {
        test(`all run again, and nothing is lost (${kind}, at the function ${place})`, async ({
          dir,
          file,
        }) => {
          writeJson(file, ['old'])
          const runs = times(5, () => 0)
          const fn = (at: number) => (index: any) => {
            runs[at]!++
            if (at === place && runs[at] === 1) writeJson(file, ['theirs', 'old'])
            const waited = wait()
            return waited ? waited.then(() => append(at)(index)) : append(at)(index)
          }
          const calls = await together(file, () => times(5, (at) => atomicIndexUpdate(file, fn(at))))
          expect(batchSizes(await Promise.all(calls))).toEqual([5, 5, 5, 5, 5])
          expect(readJson(file)).toEqual(['theirs', 'old', 0, 1, 2, 3, 4])
          expect(runs).toEqual([2, 2, 2, 2, 2])
          expect(names(dir)).toEqual(['index.json'])
        })
      }
    }

    test('that deletes it: the first function is given its own initial index', async ({ file }) => {
      writeJson(file, ['old'])
      let deleted = false
      const remove = (index: unknown[]) => {
        if (!deleted) rmSync(file)
        deleted = true
        return append(1)(index)
      }
      const calls = await together(file, () => [
        atomicIndexUpdate(file, append(0), { initial: ['one'] }),
        atomicIndexUpdate(file, remove, { initial: ['two'] }),
      ])
      await Promise.all(calls)
      expect(readJson(file)).toEqual(['one', 0, 1])
    })

    test('and all change nothing: its change is kept', async ({ file }) => {
      writeJson(file, ['old'])
      let changed = false
      const meddle = (index: any) => {
        if (!changed) writeJson(file, ['theirs'])
        changed = true
        return index
      }
      const calls = await together(file, () => times(3, () => atomicIndexUpdate(file, meddle)))
      await Promise.all(calls)
      expect(readJson(file)).toEqual(['theirs'])
    })
  },
)

describe('each function of a group runs in the async context of its own call', inTime, () => {
  const context = new AsyncLocalStorage<number>()

  function updatesIn(file: string, seen: unknown[]) {
    return times(3, (at) =>
      context.run(at, () =>
        atomicIndexUpdate(file, async (index) => {
          seen.push(context.getStore())
          await nextTurn()
          seen.push(context.getStore())
          return append(at)(index)
        }),
      ),
    )
  }

  test('at once', async ({ file }) => {
    writeJson(file, [])
    const seen: unknown[] = []
    await Promise.all(await together(file, () => updatesIn(file, seen)))
    expect(seen).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('when it runs again, because another has failed', async ({ file }) => {
    writeJson(file, [])
    const seen: [call: number, store: unknown][] = []
    const note = (at: number) => (index: any) => {
      seen.push([at, context.getStore()])
      if (at === 2) throw new Error('no')
      return append(at)(index)
    }
    const calls = await together(file, () =>
      times(4, (at) => context.run(at, () => atomicIndexUpdate(file, note(at)))),
    )
    await Promise.allSettled(calls)
    expect(seen.length).toBeGreaterThan(4)
    for (const [call, store] of seen) expect(store).toBe(call)
    expect(readJson(file)).toEqual([0, 1, 3])
  })

  test('when it runs again, because the file was changed', async ({ file }) => {
    writeJson(file, [])
    const seen: [call: number, store: unknown][] = []
    const note = (at: number) => (index: any) => {
      seen.push([at, context.getStore()])
      if (seen.length === 3) writeJson(file, ['theirs'])
      return append(at)(index)
    }
    const calls = await together(file, () =>
      times(3, (at) => context.run(at, () => atomicIndexUpdate(file, note(at)))),
    )
    await Promise.all(calls)
    expect(seen).toEqual([0, 1, 2, 0, 1, 2].map((at) => [at, at]))
  })

  test('and each caller goes on in its own', async ({ file }) => {
    writeJson(file, [])
    const after: unknown[] = []
    const calls = await together(file, () =>
      times(3, (at) =>
        context.run(at, async () => {
          await atomicIndexUpdate(file, append(at))
          after.push(context.getStore())
        }),
      ),
    )
    await Promise.all(calls)
    expect(after).toEqual([0, 1, 2])
  })
})
