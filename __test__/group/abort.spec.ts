// The signal of a call in a group: it takes its own call out, and no other.

import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { names, state } from '../helpers/files'
import { append, batchSizes, inTime, times, together } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const reason = new Error('enough')

function expectAborted(error: any, because: unknown = reason) {
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
  expect(error.cause).toBe(because)
}

const places: [where: string, at: number][] = [
  ['the first', 0],
  ['one in the middle', 1],
  ['the last', 3],
]

/** Four updates of which one can be aborted. */
function fourCalls(file: string, aborted: number, fn: (at: number) => (index: any) => unknown[] = append) {
  const controller = new AbortController()
  const make = () =>
    times(4, (at) => atomicIndexUpdate(file, fn(at), at === aborted ? { signal: controller.signal } : {}))
  return { make, abort: () => controller.abort(reason) }
}

const without = (aborted: number) => [0, 1, 2, 3].filter((at) => at !== aborted)

describe('a call that is aborted while it waits for its group', inTime, () => {
  test.for(places)(
    'as %s: is rejected at once, and the others go on without it',
    async ([, at], { file }) => {
      writeJson(file, [])
      const { make, abort } = fourCalls(file, at)
      const calls = await together(file, make, async (calls) => {
        abort()
        expectAborted(await rejection(calls[at]!))
      })
      const others = await Promise.all(calls.filter((_, other) => other !== at))
      expect(batchSizes(others)).toEqual([3, 3, 3])
      expect(readJson(file)).toEqual(without(at))
    },
  )

  test.for(places)('as %s: its function is never called', async ([, at], { file }) => {
    writeJson(file, [])
    const called: number[] = []
    const { make, abort } = fourCalls(file, at, (at) => (index) => {
      called.push(at)
      return index
    })
    await Promise.allSettled(await together(file, make, abort))
    expect(called).toEqual(without(at))
  })

  test('leaves the others going also when it was to lead them', async ({ file }) => {
    writeJson(file, [])
    const controller = new AbortController()
    const { signal } = controller
    const calls = await together(
      file,
      () => [
        ...times(2, () => atomicIndexUpdate(file, append('lost'), { signal, flush: false })),
        ...times(2, (at) => atomicIndexUpdate(file, append(at))),
      ],
      () => controller.abort(reason),
    )
    for (const error of await Promise.all(calls.slice(0, 2).map(rejection))) expectAborted(error)
    expect(batchSizes(await Promise.all(calls.slice(2)))).toEqual([2, 2])
    expect(readJson(file)).toEqual([0, 1])
  })

  test('before it is made: is rejected, and no member of the group', async ({ file }) => {
    writeJson(file, [])
    const signal = AbortSignal.abort(reason)
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, append('lost'), { signal }),
      atomicIndexUpdate(file, append(1)),
    ])
    expectAborted(await rejection(calls[1]!))
    expect(batchSizes(await Promise.all([calls[0]!, calls[2]!]))).toEqual([2, 2])
    expect(readJson(file)).toEqual([0, 1])
  })
})

describe('a call that is aborted after its function has run, and before the commit', inTime, () => {
  test.for(places)('as %s: is left out, and the others run again', async ([, at], { dir, file }) => {
    writeJson(file, [])
    const runs = times(4, () => 0)
    const calls: { make: () => any; abort: () => void } = fourCalls(file, at, (call) => (index) => {
      runs[call]!++
      if (call === 3) calls.abort()
      return append(call)(index)
    })
    const settled = await together<any>(file, calls.make)
    expectAborted(await rejection(settled[at]!))
    const others = await Promise.all(settled.filter((_, other) => other !== at))
    expect(batchSizes(others)).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual(without(at))
    expect(runs[at]).toBe(1)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while a later one is awaited: is left out', async ({ file }) => {
    writeJson(file, [])
    const { make, abort } = fourCalls(file, 1, (at) =>
      at < 3
        ? append(at)
        : ((async (index: any) => {
            await new Promise(setImmediate)
            abort()
            await new Promise(setImmediate)
            return append(at)(index)
          }) as never),
    )
    const calls = await together(file, make)
    expectAborted(await rejection(calls[1]!))
    await Promise.all(calls.filter((_, at) => at !== 1))
    expect(readJson(file)).toEqual(without(1))
  })

  test('while it is awaited itself: is not waited for, and the others go on', async ({ file }) => {
    writeJson(file, [])
    const controller = new AbortController()
    const { open: enter, opened: entered } = gate()
    const never = () => {
      enter()
      return new Promise<never>(() => {})
    }
    const calls = await together(file, () => [
      atomicIndexUpdate(file, append(0)),
      atomicIndexUpdate(file, never, { signal: controller.signal }),
      atomicIndexUpdate(file, append(2)),
    ])
    await entered
    controller.abort(reason)
    expectAborted(await rejection(calls[1]!))
    await Promise.all([calls[0], calls[2]])
    expect(readJson(file)).toEqual([0, 2])
  })

  test('by its own function: only it is left out', async ({ file }) => {
    writeJson(file, [])
    const { make, abort } = fourCalls(file, 1, (at) => (index) => {
      if (at === 1) abort()
      return append(at)(index)
    })
    const calls = await together(file, make)
    expectAborted(await rejection(calls[1]!))
    await Promise.all(calls.filter((_, at) => at !== 1))
    expect(readJson(file)).toEqual(without(1))
  })

  test('as every call of the group: the file is untouched, and the lock is free', async ({ dir, file }) => {
    writeJson(file, [])
    const before = state(file)
    const controller = new AbortController()
    const { signal } = controller
    const last = (index: any) => {
      controller.abort(reason)
      return append('last')(index)
    }
    const calls = await together(file, () =>
      [append(0), append(1), last].map((fn) => atomicIndexUpdate(file, fn, { signal })),
    )
    for (const error of await Promise.all(calls.map(rejection))) expectAborted(error)
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })
})

describe('once the commit of several has begun', inTime, () => {
  for (const [where, at] of places) {
    needs('linux')(`an abort of ${where} comes too late`, async ({ dir }) => {
      const file = `${dir}/index.json`
      writeJson(file, [])
      // Long enough in the writing that there is a while between the start and the rename.
      const pad = 'x'.repeat(50_000_000)
      const { make, abort } = fourCalls(file, at, (call) => append(call === 2 ? pad : call))
      const calls = await together(file, make)
      const isStaged = () => openBelow(dir).some((path) => / \(deleted\)$|\.atomic-tmp$/.test(path))
      // A busy machine may give this thread no time between them.
      let isOver = false
      Promise.allSettled(calls).then(() => {
        isOver = true
      })
      while (!isOver && !isStaged()) await new Promise(setImmediate)
      abort()
      await Promise.all(calls)
      expect(readJson(file).map((what: unknown) => (what === pad ? 2 : what))).toEqual([0, 1, 2, 3])
    })
  }
})

describe('a signal that several calls share', inTime, () => {
  test('takes all of them out, and leaves the others in', async ({ file }) => {
    writeJson(file, [])
    const controller = new AbortController()
    const { signal } = controller
    const calls = await together(
      file,
      () => times(6, (at) => atomicIndexUpdate(file, append(at), at % 2 ? { signal } : {})),
      () => controller.abort(reason),
    )
    for (const at of [1, 3, 5]) expectAborted(await rejection(calls[at]!))
    expect(batchSizes(await Promise.all([calls[0]!, calls[2]!, calls[4]!]))).toEqual([3, 3, 3])
    expect(readJson(file)).toEqual([0, 2, 4])
  })

  test('has no listener left when the group is over', async ({ file }) => {
    writeJson(file, [])
    const { signal } = new AbortController()
    let listeners = 0
    for (const [method, by] of [
      ['addEventListener', 1],
      ['removeEventListener', -1],
    ] as const) {
      const original = signal[method]
      signal[method] = (...args: unknown[]) => {
        listeners += by
        return Reflect.apply(original, signal, args)
      }
    }
    const fail = () => {
      throw reason
    }
    const fns = [append(0), fail, async (index: any) => append(2)(index), () => 1 as never]
    const calls = await together(file, () => fns.map((fn) => atomicIndexUpdate(file, fn, { signal })))
    await Promise.allSettled(calls)
    expect(listeners).toBe(0)
  })
})
