// A batch that does not succeed leaves what was there before.

import { getEventListeners } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicWriteAll, type WriteEntry, type WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { leftovers, names, state } from '../helpers/files'
import { times } from '../helpers/group'
import { untilTurnIsTaken } from '../helpers/index-file'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inThread } from '../helpers/processes'
import { gate, rejection, until } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

const aborted = { name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' }

const file = (dir: string, at: number, data = 'new'): WriteEntry => ({ path: join(dir, `${at}`), data })

/** Every third of `howMany` files is there before the batch. */
function someOld(dir: string, howMany: number): string[] {
  const paths = times(Math.ceil(howMany / 3), (at) => join(dir, `${at * 3}`))
  for (const path of paths) writeFileSync(path, 'old')
  return paths
}

/** Nothing in `dir` has changed since it held `old` alone. */
function expectAsBefore(dir: string, old: string[], more: string[] = []) {
  expect(names(dir)).toStrictEqual([...old.map((path) => path.slice(dir.length + 1)), ...more].sort())
  expect(old.filter((path) => readFileSync(path, 'utf8') !== 'old')).toStrictEqual([])
  expect(openBelow(dir)).toStrictEqual([])
}

describe('a failure', () => {
  for (const [at, flush] of [
    [0, true],
    [7, true],
    [270, true],
    [299, false],
  ] as const) {
    test(`of entry ${at} of 300 leaves every file as it was, flush: ${flush}`, async ({ dir }) => {
      const old = someOld(dir, 300).filter((path) => path !== join(dir, `${at}`))
      rmSync(join(dir, `${at}`), { force: true })
      mkdirSync(join(dir, `${at}`))
      const entries = times(300, (at) => file(dir, at))
      const error = await rejection(atomicWriteAll(entries, { flush }))
      expect(error).toMatchObject({ code: 'EISDIR', syscall: 'open', path: join(dir, `${at}`), entry: at })
      expect(error.committed).toBeUndefined()
      expectAsBefore(dir, old, [`${at}`])
    })
  }

  needs('root that may mount')('for lack of space is ENOSPC: all is as before', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('4m'), async (disk) => {
      const old = someOld(disk, 9)
      const entries = times(100, (at) => ({ path: join(disk, `${at}`), data: Buffer.alloc(100_000) }))
      const error = await rejection(atomicWriteAll(entries))
      expect(error).toMatchObject({ code: 'ENOSPC', errno: -28, syscall: 'write' })
      expect(error.path).toBe(join(disk, `${error.entry}`))
      expectAsBefore(disk, old)
    })
  })
})

describe('between the staging and the renames', () => {
  /** A batch of `entries` and one more; `meanwhile` happens when the former are staged. */
  async function batch(
    dir: string,
    entries: WriteEntry[],
    meanwhile: () => unknown,
    options: WriteOptions = {},
  ) {
    const { open, opened } = gate()
    async function* all() {
      yield* entries
      await opened
      await meanwhile()
      yield { path: join(dir, 'last'), data: 'new' }
    }
    const onProgress = (done: number) => {
      if (done === entries.length) open()
    }
    return atomicWriteAll(all(), { ...options, onProgress })
  }

  test('no file of the batch is visible', async ({ dir }) => {
    const old = someOld(dir, 9)
    await batch(
      dir,
      times(9, (at) => file(dir, at)),
      () => {
        expect(names(dir).filter((name) => !leftovers(dir).includes(name))).toHaveLength(old.length)
        expect(old.map((path) => readFileSync(path, 'utf8'))).toStrictEqual(['old', 'old', 'old'])
      },
    )
    expect(readFileSync(old[0]!, 'utf8')).toBe('new')
  })

  test('a file that wx was to make appears: EEXIST, and none is renamed', async ({ dir }) => {
    const made = batch(
      dir,
      times(9, (at) => file(dir, at)),
      () => writeFileSync(join(dir, '4'), 'old'),
      { flag: 'wx' },
    )
    expect(await rejection(made)).toMatchObject({ code: 'EEXIST', entry: 4, path: join(dir, '4') })
    expectAsBefore(dir, [join(dir, '4')])
  })

  test('a folder takes the place of a file: EISDIR, and none is renamed', async ({ dir }) => {
    const made = batch(
      dir,
      times(9, (at) => file(dir, at)),
      () => mkdirSync(join(dir, '4')),
    )
    expect(await rejection(made)).toMatchObject({ code: 'EISDIR', entry: 4 })
    expectAsBefore(dir, [], ['4'])
  })

  test('the folder is replaced by another: ENOENT, and nothing is in the new one', async ({ dir }) => {
    const folder = join(dir, 'folder')
    mkdirSync(folder)
    const made = batch(
      dir,
      times(9, (at) => file(folder, at)),
      () => {
        rmSync(folder, { recursive: true })
        mkdirSync(folder)
      },
    )
    expect(await rejection(made)).toMatchObject({ code: 'ENOENT' })
    expect(names(folder)).toStrictEqual([])
    expect(names(dir)).toStrictEqual(['folder'])
  })

  test('an old file gets another mode, or appears: that mode is kept', async ({ dir }) => {
    writeFileSync(join(dir, '0'), 'old', { mode: 0o644 })
    await batch(dir, [file(dir, 0), file(dir, 1)], () => {
      chmodSync(join(dir, '0'), 0o600)
      writeFileSync(join(dir, '1'), 'old', { mode: 0o640 })
    })
    expect([0, 1].map((at) => statSync(join(dir, `${at}`)).mode & 0o777)).toStrictEqual([0o600, 0o640])
    expect(readFileSync(join(dir, '1'), 'utf8')).toBe('new')
  })

  for (const flush of [true, false]) {
    test(`a file that ifChanged left alone is changed: none is renamed, flush: ${flush}`, async ({ dir }) => {
      writeFileSync(join(dir, '0'), 'new')
      const change = () => writeFileSync(join(dir, '0'), 'old')
      const made = batch(dir, [file(dir, 0), file(dir, 1)], change, { ifChanged: true, flush })
      expect(await rejection(made)).toMatchObject({
        ...{ code: 'ERR_ATOMIC_CHANGED', entry: 0, path: join(dir, '0') },
      })
      expectAsBefore(dir, [join(dir, '0')])
    })

    test(`a file that ifChanged left alone is removed: none is renamed, flush: ${flush}`, async ({ dir }) => {
      writeFileSync(join(dir, '0'), 'new')
      const made = batch(dir, [file(dir, 0), file(dir, 1)], () => rmSync(join(dir, '0')), {
        ifChanged: true,
        flush,
      })
      expect(await rejection(made)).toMatchObject({ code: 'ERR_ATOMIC_CHANGED', entry: 0 })
      expect(names(dir)).toStrictEqual([])
    })

    test(`the folder of a file that ifChanged left alone is removed: ENOENT, flush: ${flush}`, async ({
      dir,
    }) => {
      const folder = join(dir, 'folder')
      mkdirSync(folder)
      writeFileSync(join(folder, '0'), 'new')
      const made = batch(dir, [file(folder, 0), file(dir, 1)], () => rmSync(folder, { recursive: true }), {
        ifChanged: true,
        flush,
      })
      expect(await rejection(made)).toMatchObject({ code: 'ENOENT' })
      expect(names(dir)).toStrictEqual([])
    })
  }
})

describe('an abort', () => {
  const entries = (dir: string, howMany: number) => times(howMany, (at) => file(dir, at))

  test('before the call rejects, and no entry is taken', async ({ dir }) => {
    let taken = 0
    function* generator() {
      taken++
      yield file(dir, 0)
    }
    const error = await rejection(atomicWriteAll(generator(), { signal: AbortSignal.abort('enough') }))
    expect(error).toMatchObject(aborted)
    expect(taken).toBe(0)
  })

  test('while the iterator never comes to its next value rejects at once', async ({ dir }) => {
    const old = someOld(dir, 3)
    const controller = new AbortController()
    async function* generator() {
      yield file(dir, 0)
      await new Promise(() => {})
    }
    const onProgress = () => void setImmediate(() => controller.abort('enough'))
    const error = await rejection(atomicWriteAll(generator(), { signal: controller.signal, onProgress }))
    expect(error).toMatchObject(aborted)
    expectAsBefore(dir, old)
    expect(getEventListeners(controller.signal, 'abort')).toStrictEqual([])
  })

  test('by the iterator itself rejects, and closes it', async ({ dir }) => {
    const controller = new AbortController()
    let closed = false
    function* generator() {
      try {
        for (let at = 0; ; at++) {
          if (at === 300) controller.abort('enough')
          yield file(dir, at)
        }
      } finally {
        closed = true
      }
    }
    const error = await rejection(atomicWriteAll(generator(), { signal: controller.signal }))
    expect(error).toMatchObject(aborted)
    expect(closed).toBe(true)
    expectAsBefore(dir, [])
  })

  for (const wave of [1, 2, 3]) {
    test(`after wave ${wave} of 3 leaves every file as it was`, async ({ dir }) => {
      const old = someOld(dir, 768)
      const controller = new AbortController()
      let calls = 0
      const onProgress = () => {
        if (++calls === wave) controller.abort('enough')
      }
      const options = { signal: controller.signal, onProgress, flush: false }
      expect(await rejection(atomicWriteAll(entries(dir, 768), options))).toMatchObject(aborted)
      expectAsBefore(dir, old)
    })
  }

  test('while another call has the turn for one of the files rejects, and lets that finish', async ({
    dir,
  }) => {
    writeFileSync(join(dir, '1'), '{}')
    const controller = new AbortController()
    const { open, opened } = gate()
    const { open: enter, opened: entered } = gate()
    const update = atomicIndexUpdate(join(dir, '1'), async (index: any) => {
      enter()
      await opened
      return { ...index, updated: true }
    })
    await entered
    const writing = rejection(atomicWriteAll(entries(dir, 3), { signal: controller.signal }))
    await untilTurnIsTaken(join(dir, '0'))
    controller.abort('enough')
    expect(await writing).toMatchObject(aborted)
    open()
    await update
    expect(names(dir)).toStrictEqual(['1'])
    expect(JSON.parse(readFileSync(join(dir, '1'), 'utf8'))).toStrictEqual({ updated: true })
  })

  for (const delay of [0, 5, 15, 40]) {
    test(`after ${delay} ms leaves all files old or makes all new`, async ({ dir }) => {
      const old = someOld(dir, 300)
      const controller = new AbortController()
      setTimeout(() => controller.abort('enough'), delay)
      const outcome = await atomicWriteAll(entries(dir, 300), { signal: controller.signal }).catch(
        (error) => error,
      )
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject(aborted)
        expectAsBefore(dir, old)
      } else {
        expect(new Set(names(dir).map((name) => readFileSync(join(dir, name), 'utf8')))).toStrictEqual(
          new Set(['new']),
        )
      }
      expect(leftovers(dir)).toStrictEqual([])
    })
  }

  test('after the end changes nothing, and no listener is left', async ({ dir }) => {
    const controller = new AbortController()
    await atomicWriteAll(entries(dir, 3), { signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort')).toStrictEqual([])
    controller.abort()
  })
})

describe('a fault', () => {
  const traced = needs('strace that may attach')

  /** A batch of nine files, of which every third is there, in a process with that fault. */
  const withFault = (dir: string, fault: string, paths: string[] = []) =>
    systemCalls(
      async ({ atomicWriteAll }, dir) =>
        atomicWriteAll(Array.from({ length: 9 }, (_, at) => ({ path: `${dir}/${at}`, data: 'new' }))).then(
          () => 'written',
          ({ code, syscall, entry, path, committed, replaced }) => ({
            code,
            syscall,
            entry,
            path,
            committed,
            replaced,
          }),
        ),
      [dir],
      { trace: ['renameat', 'renameat2', 'fsync'], paths, inject: [fault] },
    )

  traced('in a flush: none is renamed', async ({ dir }) => {
    const old = someOld(dir, 9)
    const { returned } = await withFault(dir, 'fsync:error=EIO:when=1')
    expect(returned).toMatchObject({ code: 'EIO', syscall: 'fsync' })
    expect(returned).not.toHaveProperty('committed', true)
    expectAsBefore(dir, old)
  })

  traced('in the first rename: none is renamed', async ({ dir }) => {
    const old = someOld(dir, 9)
    const { returned } = await withFault(dir, 'renameat:error=EIO:when=1')
    expect(returned).toStrictEqual({ code: 'EIO', syscall: 'rename', entry: 0, path: join(dir, '0') })
    expectAsBefore(dir, old)
  })

  traced('in a later rename: those before it have their names, flushed, and no others', async ({ dir }) => {
    someOld(dir, 9)
    const before = state(join(dir, '6'))
    const { returned, calls } = await withFault(dir, 'renameat:error=EIO:when=2')
    const path = join(dir, '3')
    expect(returned).toStrictEqual({
      code: 'EIO',
      syscall: 'rename',
      entry: 3,
      path,
      committed: true,
      replaced: 3,
    })
    expect(names(dir)).toStrictEqual(['0', '1', '2', '3', '6'])
    expect(['0', '1', '2', '3'].map((name) => readFileSync(join(dir, name), 'utf8'))).toStrictEqual([
      ...['new', 'new', 'new', 'old'],
    ])
    expect(state(join(dir, '6'))).toStrictEqual(before)
    expect(calls.at(-1)).toMatchObject({ name: 'fsync', result: '0' })
    expect(calls.at(-1)?.args).toContain(`<${dir}>`)
  })

  traced('in the flush of the folder: all have their names, and the batch rejects', async ({ dir }) => {
    someOld(dir, 9)
    const { returned } = await withFault(dir, 'fsync:error=EIO', [dir])
    expect(returned).toMatchObject({ code: 'EIO', syscall: 'fsync', entry: 0, committed: true, replaced: 9 })
    expect(names(dir).map((name) => readFileSync(join(dir, name), 'utf8'))).toStrictEqual(
      times(9, () => 'new'),
    )
  })
})

describe('a worker thread that is terminated', () => {
  test('in the middle leaves every file as it was, and nothing open', async ({ dir }) => {
    const old = someOld(dir, 9)
    for (const delay of [0, 3, 20]) {
      const thread = inThread(
        ({ atomicWriteAll, send }, dir) => {
          function* entries() {
            for (let at = 0; ; at++) yield { path: `${dir}/${at}`, data: 'new' }
          }
          send('started')
          return atomicWriteAll(entries(), { flush: false })
        },
        [dir],
      )
      await thread.next()
      await new Promise((resolve) => setTimeout(resolve, delay))
      await thread.terminate()
    }
    await until(() => names(dir).length === old.length && openBelow(dir).length === 0)
    expectAsBefore(dir, old)
  })
})
