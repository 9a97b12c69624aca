import { getEventListeners } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AtomicFile, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow, untilClosed } from '../helpers/descriptors'
import { names, pattern, state, written } from '../helpers/files'
import { enqueued, held } from '../helpers/group'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const aborted = { name: 'AbortError', code: 'ABORT_ERR', message: 'The operation was aborted' }

function withOld(dir: string) {
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  return { path, before: state(path) }
}

describe('abort', () => {
  needs('linux')('leaves the old file and nothing else when it resolves', async ({ dir }) => {
    const { path, before } = withOld(dir)
    for (const size of [0, 10, 100_000, 5 << 20]) {
      const file = await AtomicFile.open(path)
      void file.write(pattern(size))
      await file.abort()
      expect(openBelow(dir)).toStrictEqual([])
    }
    expect(state(path)).toStrictEqual(before)
    expect(names(dir)).toStrictEqual(['file'])
  })

  needs('linux')(
    'and dispose may be called at once and twice: each waits until all is gone',
    async ({ dir }) => {
      const { path } = withOld(dir)
      const file = await AtomicFile.open(path)
      // So large that freeing it takes a while.
      await file.write(pattern(64 << 20))
      void file.abort()
      await file.abort()
      expect(openBelow(dir)).toStrictEqual([])
      const other = await AtomicFile.open(path)
      void other.abort()
      await other[Symbol.asyncDispose]()
      expect(openBelow(dir)).toStrictEqual([])
    },
  )

  test('rejects writes that wait for room', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    const waiting = Array.from({ length: 5 }, () => rejection(file.write(pattern(3 << 20))))
    await file.abort()
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(aborted)
    expect(names(dir)).toStrictEqual([])
  })

  test('stops a commit that waits for its turn, which rejects, and the others go on', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, '{}')
    const file = await AtomicFile.open(path)
    await file.write('aborted')
    const holder = await held(path)
    const committing = rejection(file.commit())
    const after = atomicWrite(path, 'after')
    await enqueued(dir)
    await file.abort()
    expect(await committing).toMatchObject(aborted)
    holder.release()
    await after
    expect(readFileSync(path, 'utf8')).toBe('after')
    expect(names(dir)).toStrictEqual(['file'])
    expect(await rejection(file.commit())).toMatchObject(aborted)
  })

  test('during a commit that still writes stops it, and the error has no cause', async ({ dir }) => {
    const reasonOf = (call: Promise<unknown>) =>
      call.then(
        () => undefined,
        (reason) => reason,
      )
    // On a busy machine all may be written before this thread comes to abort it. That says nothing.
    for (let tries = 0; ; tries++) {
      expect(tries).toBeLessThan(100)
      const { path, before } = withOld(dir)
      const file = await AtomicFile.open(path, { signal: new AbortController().signal })
      const calls = [file.write(pattern(48 << 20)), file.commit()].map(reasonOf)
      const refused = await reasonOf(file.abort())
      const [waiting, committing] = await Promise.all(calls)
      if (waiting === undefined) continue
      expect(refused).toBe(undefined)
      for (const error of [waiting, committing, await rejection(file.write('x'))]) {
        expect(error).toMatchObject(aborted)
        expect(error).not.toHaveProperty('cause')
      }
      expect(state(path)).toStrictEqual(before)
      expect(names(dir)).toStrictEqual(['file'])
      break
    }
  })

  for (const delay of [0, 1, 5, 20, 50]) {
    test(`${delay} ms into a commit stops it, or rejects because it is done`, async ({ dir }) => {
      const { path, before } = withOld(dir)
      const file = await AtomicFile.open(path)
      await file.write(pattern(24 << 20))
      const committing = file.commit().then(
        (result) => ({ result }),
        (error) => ({ error }),
      )
      if (delay > 0) await sleep(delay)
      const aborting = file.abort().then(
        () => 'aborted',
        ({ code }) => code,
      )
      const outcome = await committing
      if ('error' in outcome) {
        expect(outcome.error).toMatchObject(aborted)
        expect(await aborting).toBe('aborted')
        expect(state(path)).toStrictEqual(before)
      } else {
        expect(outcome.result).toStrictEqual(written(dir, 24 << 20))
        expect(await aborting).toBe('ERR_INVALID_STATE')
        expect(readFileSync(path).equals(pattern(24 << 20))).toBe(true)
      }
      expect(names(dir)).toStrictEqual(['file'])
    })
  }
})

describe('a signal', () => {
  test('that is aborted already opens nothing', async ({ dir }) => {
    const error = await rejection(AtomicFile.open(join(dir, 'a', 'b'), { signal: AbortSignal.abort('mine') }))
    expect(error).toMatchObject({ ...aborted, cause: 'mine' })
    expect(names(dir)).toStrictEqual([])
  })

  needs('linux')('that is aborted while the file is opened rejects the opening', async ({ dir }) => {
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController()
      const opening = AtomicFile.open(join(dir, 'file'), { signal: controller.signal })
      if (i % 2) for (const end = performance.now() + 5; performance.now() < end; );
      controller.abort('mine')
      expect(await rejection(opening)).toMatchObject({ ...aborted, cause: 'mine' })
      expect(openBelow(dir)).toStrictEqual([])
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    }
  })

  needs('linux')('discards an open file: every method rejects with its reason', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const controller = new AbortController()
    const reason = new Error('mine')
    const file = await AtomicFile.open(path, { signal: controller.signal })
    await file.write(pattern(100_000))
    controller.abort(reason)
    for (const attempt of [() => file.write('x'), () => file.commit()]) {
      const error = await rejection(attempt())
      expect(error).toMatchObject(aborted)
      expect(error.cause).toBe(reason)
    }
    await file.abort()
    await file[Symbol.asyncDispose]()
    expect(openBelow(dir)).toStrictEqual([])
    expect(state(path)).toStrictEqual(before)
    expect(names(dir)).toStrictEqual(['file'])
  })

  needs('linux')('discards it although no method is called', async ({ dir }) => {
    const controller = new AbortController()
    const file = await AtomicFile.open(join(dir, 'file'), { signal: controller.signal })
    controller.abort()
    await untilClosed(dir)
    expect(await rejection(file.write('x'))).toMatchObject(aborted)
  })

  test('rejects writes that wait for room', async ({ dir }) => {
    const controller = new AbortController()
    const file = await AtomicFile.open(join(dir, 'file'), { signal: controller.signal })
    const waiting = rejection(file.write(pattern(8 << 20)))
    controller.abort('mine')
    expect(await waiting).toMatchObject({ ...aborted, cause: 'mine' })
  })

  test('stops a commit until the rename', async ({ dir }) => {
    const { path, before } = withOld(dir)
    const controller = new AbortController()
    const file = await AtomicFile.open(path, { signal: controller.signal })
    await file.write(pattern(24 << 20))
    const committing = rejection(file.commit())
    controller.abort('mine')
    expect(await committing).toMatchObject({ ...aborted, cause: 'mine' })
    expect(state(path)).toStrictEqual(before)
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('has no listener left after commit, abort and failure', async ({ dir }) => {
    const { signal } = new AbortController()
    const listeners = () => getEventListeners(signal, 'abort').length
    const file = await AtomicFile.open(join(dir, 'file'), { signal })
    const other = await AtomicFile.open(join(dir, 'file'), { signal })
    expect(listeners()).toBe(1)
    await file.commit()
    expect(listeners()).toBe(1)
    await other.abort()
    expect(listeners()).toBe(0)
    await rejection(AtomicFile.open(dir, { signal }))
    expect(listeners()).toBe(0)
    const wx = await AtomicFile.open(join(dir, 'wx'), { signal, flag: 'wx' })
    writeFileSync(join(dir, 'wx'), '')
    expect(await rejection(wx.commit())).toMatchObject({ code: 'EEXIST' })
    expect(listeners()).toBe(0)
  })

  test('shared by 200 open files discards them all', async ({ dir }) => {
    const controller = new AbortController()
    const files = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        AtomicFile.open(join(dir, `${i}`), { signal: controller.signal }),
      ),
    )
    controller.abort('mine')
    const errors = await Promise.all(files.map((file) => rejection(file.commit())))
    expect(new Set(errors.map(({ cause }) => cause))).toStrictEqual(new Set(['mine']))
    await Promise.all(files.map((file) => file.abort()))
    expect(names(dir)).toStrictEqual([])
  })

  test('changes nothing after the commit', async ({ dir }) => {
    const controller = new AbortController()
    const file = await AtomicFile.open(join(dir, 'file'), { signal: controller.signal })
    await file.write('x')
    await file.commit()
    controller.abort()
    expect(await rejection(file.write('y'))).toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('x')
  })
})
