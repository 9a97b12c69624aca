import { getEventListeners, once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { leftovers, names, pattern, state, written } from '../helpers/files'
import { enqueued, held } from '../helpers/group'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { isPending, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const aborted = { name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted' }

describe('a signal that is aborted before the call', () => {
  for (const reason of [new Error('mine'), 'a string', 0, null, { any: 'thing' }]) {
    test(`rejects with an AbortError whose cause is the reason ${String(reason)}`, async ({ dir }) => {
      const error = await rejection(
        atomicWrite(join(dir, 'file'), 'x', { signal: AbortSignal.abort(reason) }),
      )
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject(aborted)
      expect(error.cause).toBe(reason)
      expect(names(dir)).toStrictEqual([])
    })
  }

  test('without a reason has the platform’s own as the cause', async ({ dir }) => {
    const signal = AbortSignal.abort()
    const error = await rejection(atomicWrite(join(dir, 'file'), 'x', { signal }))
    expect(error.cause).toBe(signal.reason)
  })

  test('makes no folder', async ({ dir }) => {
    await rejection(atomicWrite(join(dir, 'a', 'file'), 'x', { signal: AbortSignal.abort() }))
    expect(names(dir)).toStrictEqual([])
  })
})

describe('an abort while the call waits in line', () => {
  test('rejects at once, and the file is what the other calls made it', async ({ dir }) => {
    const path = join(dir, 'file')
    const controller = new AbortController()
    const holder = await held(path)
    const waiting = rejection(atomicWrite(path, 'aborted', { signal: controller.signal }))
    const last = atomicWrite(path, 'last')
    await enqueued(dir)
    controller.abort('enough')
    expect(await waiting).toMatchObject({ ...aborted, cause: 'enough' })
    expect(await isPending(last, 0)).toBe(true)
    holder.release()
    await last
    expect(readFileSync(path, 'utf8')).toBe('last')
    expect(names(dir)).toStrictEqual(['file'])
  })
})

describe('an abort during the write', () => {
  for (const delay of [0, 1, 5, 20, 60]) {
    test(`after ${delay} ms: the old file stands, or the new one was complete`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, 'old')
      const before = state(path)
      const controller = new AbortController()
      const writing = atomicWrite(path, pattern(32 << 20), { signal: controller.signal })
      setTimeout(() => controller.abort('enough'), delay)
      const outcome = await writing.then(
        (result) => ({ result }),
        (error) => ({ error }),
      )
      if ('error' in outcome) {
        expect(outcome.error).toMatchObject({ ...aborted, cause: 'enough' })
        expect(state(path)).toStrictEqual(before)
      } else {
        expect(outcome.result).toStrictEqual(written(dir, 32 << 20))
        expect(readFileSync(path).equals(pattern(32 << 20))).toBe(true)
      }
      expect(names(dir)).toStrictEqual(['file'])
    })
  }

  test('right after the call rejects, and the file stands', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    const controller = new AbortController()
    const writing = rejection(atomicWrite(path, pattern(32 << 20), { signal: controller.signal }))
    controller.abort()
    expect(await writing).toMatchObject(aborted)
    expect(readFileSync(path, 'utf8')).toBe('old')
  })

  needs('linux')('leaves no descriptor open', async ({ dir }) => {
    for (let i = 0; i < 12; i++) {
      const controller = new AbortController()
      const writing = atomicWrite(join(dir, `${i}`), pattern(4 << 20), { signal: controller.signal })
      await sleep(i % 4)
      controller.abort()
      await writing.catch(() => {})
    }
    expect(openBelow(dir)).toStrictEqual([])
    expect(leftovers(dir)).toStrictEqual([])
  })
})

describe('an abort after the write', () => {
  test('changes nothing', async ({ dir }) => {
    const controller = new AbortController()
    expect(await atomicWrite(join(dir, 'file'), 'x', { signal: controller.signal })).toStrictEqual(
      written(dir, 1),
    )
    controller.abort()
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('x')
  })
})

describe('a signal', () => {
  test('has no listener of ours left after success, failure and abort', async ({ dir }) => {
    const controller = new AbortController()
    const { signal } = controller
    await atomicWrite(join(dir, 'file'), 'x', { signal })
    await rejection(atomicWrite(dir, 'x', { signal }))
    await rejection(atomicWrite(join(dir, 'file'), '\ud800', { signal }))
    await rejection(atomicWrite(join(dir, 'file'), 'x', { signal, flag: 'wx' }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    const writing = rejection(atomicWrite(join(dir, 'file'), pattern(8 << 20), { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    controller.abort()
    await writing
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('keeps its own onabort handler', async ({ dir }) => {
    const controller = new AbortController()
    let heard = 0
    controller.signal.onabort = () => {
      heard++
    }
    const writing = rejection(atomicWrite(join(dir, 'file'), pattern(8 << 20), { signal: controller.signal }))
    controller.abort()
    expect(await writing).toMatchObject(aborted)
    expect(heard).toBe(1)
  })

  test('may be of AbortSignal.timeout and AbortSignal.any', async ({ dir }) => {
    const any = (AbortSignal as any).any as ((signals: AbortSignal[]) => AbortSignal) | undefined
    const controller = new AbortController()
    const signals = [AbortSignal.timeout(60_000), any?.([controller.signal]) ?? controller.signal]
    for (const signal of signals) {
      expect(await atomicWrite(join(dir, 'file'), 'x', { signal })).toStrictEqual(written(dir, 1))
    }
    const [timeout, combined] = [AbortSignal.timeout(1), signals[1] as AbortSignal]
    controller.abort('combined')
    if (!timeout.aborted) await once(timeout, 'abort')
    const late = await rejection(atomicWrite(join(dir, 'file'), 'y', { signal: timeout }))
    expect(late).toMatchObject({ ...aborted, cause: { name: 'TimeoutError' } })
    const error = await rejection(atomicWrite(join(dir, 'file'), 'y', { signal: combined }))
    expect(error).toMatchObject({ ...aborted, cause: 'combined' })
  })

  test('serves 2,000 calls at once without a warning, and ends them all', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicWrite }, dir) => {
        const warnings: string[] = []
        process.on('warning', ({ name }) => warnings.push(name))
        const controller = new AbortController()
        const calls = Array.from({ length: 2000 }, (_, i) =>
          atomicWrite(`${dir}/${i % 50}`, 'x', { signal: controller.signal, flush: false }),
        )
        void calls[0]?.then(() => controller.abort())
        const outcomes = await Promise.allSettled(calls)
        const codes = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason.code] : [],
        )
        return { warnings, codes: [...new Set(codes)], settled: outcomes.length }
      },
      [dir],
    )
    expect(await child.returned).toStrictEqual({ warnings: [], codes: ['ABORT_ERR'], settled: 2000 })
    expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
    expect(leftovers(dir)).toStrictEqual([])
  })
})
