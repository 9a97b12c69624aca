import { once } from 'node:events'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { enqueued } from '../helpers/group'
import { holderOf, increment, readJson, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { gate, rejection, turns } from '../helpers/promises'
import { test } from '../helpers/test'

const reason = new Error('enough')

function expectAborted(error: any) {
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
  expect(error.cause).toBe(reason)
}

describe('a signal that is aborted', () => {
  test('before the call: fn is not called', async ({ dir, file }) => {
    let called = false
    const fn = () => {
      called = true
      return {}
    }
    expectAborted(await rejection(atomicIndexUpdate(file, fn, { signal: AbortSignal.abort(reason) })))
    expect(called).toBe(false)
    expect(names(dir)).toEqual([])
  })

  test('right after the call: the file is untouched', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const before = state(file)
    const controller = new AbortController()
    const update = rejection(atomicIndexUpdate(file, increment, { signal: controller.signal }))
    controller.abort(reason)
    expectAborted(await update)
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('while the call waits in the queue: it is rejected at once and never runs', async ({ dir, file }) => {
    const { open, opened } = gate<object>()
    const first = atomicIndexUpdate(file, () => opened)
    const controller = new AbortController()
    const second = rejection(atomicIndexUpdate(file, increment, { signal: controller.signal }))
    const third = atomicIndexUpdate(file, increment)
    await enqueued(dir)
    controller.abort(reason)
    expectAborted(await second)
    open({ n: 1 })
    await Promise.all([first, third])
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('while the call waits for another process: it is rejected at once and never runs', async ({
    file,
  }) => {
    const holder = await holderOf(file)
    const controller = new AbortController()
    const update = rejection(atomicIndexUpdate(file, increment, { signal: controller.signal }))
    await untilLockIsWaitedFor(file)
    controller.abort(reason)
    expectAborted(await update)
    holder.send('go on')
    await holder.returned
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('while an async fn runs: it is not waited for, and what it returns is not written', async ({
    dir,
    file,
  }) => {
    writeJson(file, { n: 1 })
    const controller = new AbortController()
    const { open, opened } = gate<object>()
    const { open: enter, opened: entered } = gate()
    const fn = () => {
      enter()
      return opened
    }
    const update = rejection(atomicIndexUpdate(file, fn, { signal: controller.signal }))
    await entered
    controller.abort(reason)
    expectAborted(await update)
    expect(names(dir)).toEqual(['index.json'])
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    open({ n: 100 })
    await turns()
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 3 })
  })

  test('while an async fn runs that rejects later: that is no unhandled rejection', async ({ file }) => {
    const child = inProcess(
      async ({ atomicIndexUpdate }, file) => {
        const controller = new AbortController()
        let fail = () => {}
        const failing = () => {
          setImmediate(() => controller.abort())
          return new Promise<object>((_, reject) => {
            fail = () => reject(new Error('too late'))
          })
        }
        const update = atomicIndexUpdate(file, failing, { signal: controller.signal })
        const { code } = await update.catch((error) => error)
        fail()
        // An unhandled rejection would end the process.
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
        return code
      },
      [file],
    )
    expect(await child.returned).toBe('ABORT_ERR')
    expect(await child.exit).toMatchObject({ code: 0, stderr: '' })
  })

  test('by fn itself: nothing is written', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const before = state(file)
    const controller = new AbortController()
    const fn = (index: any) => {
      controller.abort(reason)
      return increment(index)
    }
    expectAborted(await rejection(atomicIndexUpdate(file, fn, { signal: controller.signal })))
    expect(state(file)).toEqual(before)
    expect(names(dir)).toEqual(['index.json'])
  })

  test('by an fn that never ends: it is not waited for', async ({ dir, file }) => {
    const controller = new AbortController()
    const fn = () => {
      controller.abort(reason)
      return new Promise<never>(() => {})
    }
    expectAborted(await rejection(atomicIndexUpdate(file, fn, { signal: controller.signal })))
    expect(names(dir)).toEqual([])
  })

  test('at any moment before fn is called: fn is not called', async ({ dir, file }) => {
    for (let round = 0; round < 40; round++) {
      const controller = new AbortController()
      let called = 0
      const fn = () => {
        if (controller.signal.aborted) called++
        return new Promise<never>(() => {})
      }
      const update = rejection(atomicIndexUpdate(file, fn, { signal: controller.signal }))
      for (let turn = 0; turn < round % 8; turn++) await new Promise(setImmediate)
      controller.abort(reason)
      expectAborted(await update)
      expect(called).toBe(0)
    }
    expect(names(dir)).toEqual([])
  })

  test('after the update: it does not matter', async ({ file }) => {
    const controller = new AbortController()
    await atomicIndexUpdate(file, () => ({ n: 1 }), { signal: controller.signal })
    controller.abort(reason)
    await turns()
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('without a reason: the cause is the one that the platform gives', async ({ file }) => {
    const signal = AbortSignal.abort()
    const error = await rejection(atomicIndexUpdate(file, () => ({}), { signal }))
    expect(error.cause).toBe(signal.reason)
  })

  test('after fn has failed: the error is that of fn', async ({ file }) => {
    const controller = new AbortController()
    const mine = new Error('mine')
    const fn = async () => {
      throw mine
    }
    const update = rejection(atomicIndexUpdate(file, fn, { signal: controller.signal }))
    expect(await update).toBe(mine)
    controller.abort(reason)
  })

  test('by AbortSignal.timeout ends the wait', async ({ file }) => {
    await holderOf(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { signal: AbortSignal.timeout(50) }))
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: { name: 'TimeoutError' } })
  })
})

describe('a signal that serves many calls', () => {
  test('aborts all that are still in flight', async ({ dir, file }) => {
    await atomicIndexUpdate(file, () => ({ n: 0 }))
    const controller = new AbortController()
    const { signal } = controller
    const { opened } = gate<object>()
    const stuck = atomicIndexUpdate(file, () => opened, { signal })
    const waiting = Array.from({ length: 8 }, () => atomicIndexUpdate(file, increment, { signal }))
    const errors = Promise.all([stuck, ...waiting].map(rejection))
    await enqueued(dir)
    controller.abort(reason)
    for (const error of await errors) expectAborted(error)
    expect(readJson(file)).toEqual({ n: 0 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('keeps no listener of a call that is settled', async ({ file }) => {
    const controller = new AbortController()
    const { signal } = controller
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: unknown[]) => {
      listeners++
      return Reflect.apply(addEventListener, signal, args)
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--
      return Reflect.apply(removeEventListener, signal, args)
    }
    const fns: ((index: any) => any)[] = [
      () => ({ n: 1 }),
      async () => ({ n: 1 }),
      () => 1,
      async () => 1,
      () => {
        throw reason
      },
      () => Promise.reject(reason),
    ]
    for (const fn of fns) {
      await atomicIndexUpdate(file, fn, { signal }).catch(() => {})
      expect(listeners).toBe(0)
    }
  })

  test('leaves the handler of the caller alone', async ({ file }) => {
    const controller = new AbortController()
    let heard = 0
    controller.signal.onabort = () => {
      heard++
    }
    await atomicIndexUpdate(file, () => ({}), { signal: controller.signal })
    const event = once(controller.signal, 'abort')
    controller.abort()
    await event
    expect(heard).toBe(1)
  })
})
