// A call made inside the function of a call for the same file would wait for itself: it is refused at once.

import { EventEmitter, once } from 'node:events'
import { renameSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names } from '../helpers/files'
import { enqueued, held, times, together } from '../helpers/group'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const calls: [what: string, call: (file: string) => Promise<unknown>][] = [
  ['atomicIndexUpdate', (file) => atomicIndexUpdate(file, increment)],
  ['atomicWrite', (file) => atomicWrite(file, '{}')],
  [
    'atomicWriteAll',
    (file) =>
      atomicWriteAll([
        { path: `${file}.other`, data: '' },
        { path: file, data: '{}' },
      ]),
  ],
  [
    'AtomicFile.commit',
    async (file) => {
      await using open = await AtomicFile.open(file)
      await open.write('{}')
      return await open.commit()
    },
  ],
]

const reentrant = (path: string) => ({ name: 'Error', code: 'ERR_ATOMIC_REENTRANT', path })

describe.each(calls)('%s inside the function of an update of the same file', (_, call) => {
  test('is refused when it is awaited', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const error = await rejection(
      atomicIndexUpdate(file, async (index) => {
        await call(file)
        return index
      }),
    )
    expect(error).toMatchObject(reentrant(file))
    expect(error.message).toContain('make this call after it')
    expect(readJson(file)).toEqual({ n: 1 })
    expect(names(dir)).toEqual(['index.json'])
  })

  const ways: [way: string, wait: () => Promise<unknown>][] = [
    ['promises', async () => await await null],
    ['a timer', () => sleep(1)],
    ['an immediate', () => new Promise(setImmediate)],
    ['a file', () => readFile(import.meta.filename)],
    ['a callback', () => new Promise((resolve) => process.nextTick(resolve))],
    [
      'an event',
      async () => {
        const emitter = new EventEmitter()
        setImmediate(() => emitter.emit('event'))
        await once(emitter, 'event')
      },
    ],
  ]
  test.for(ways)('is refused after it has waited for %s', async ([, wait], { file }) => {
    writeJson(file, { n: 1 })
    let inner: unknown
    await atomicIndexUpdate(file, async (index) => {
      await wait()
      inner = await rejection(call(file))
      return increment(index)
    })
    expect(inner).toMatchObject(reentrant(file))
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('is refused in a plain function that returns a promise', async ({ file }) => {
    writeJson(file, { n: 1 })
    const helper = async (index: any) => {
      await sleep(1)
      await call(file)
      return index
    }
    expect(await rejection(atomicIndexUpdate(file, (index) => helper(index)))).toMatchObject(reentrant(file))
  })

  test('is refused by another name of the file', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    const update = atomicIndexUpdate(file, async (index) => {
      await call(link)
      return index
    })
    expect(await rejection(update)).toMatchObject(reentrant(link))
  })

  test('is refused inside the function of an update of another one in between', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const between = join(dir, 'between.json')
    const update = atomicIndexUpdate(file, async (index) => {
      await sleep(1)
      await atomicIndexUpdate(between, async () => {
        await sleep(1)
        await call(file)
        return {}
      })
      return index
    })
    expect(await rejection(update)).toMatchObject(reentrant(file))
    expect(names(dir)).not.toContain('between.json')
  })

  test('is refused in a function of a group, and the others are written', async ({ file }) => {
    writeJson(file, [])
    const updates = await together(file, () =>
      times(5, (at) =>
        atomicIndexUpdate(file, async (index) => {
          if (at === 2) await call(file)
          return [...index, at]
        }),
      ),
    )
    expect(await rejection(updates[2]!)).toMatchObject(reentrant(file))
    await Promise.all(updates.filter((_, at) => at !== 2))
    expect(readJson(file)).toEqual([0, 1, 3, 4])
  })

  test('is refused in a plain function that has not waited before', async ({ file }) => {
    writeJson(file, { n: 1 })
    let waits = false
    const helper = (index: any) => (waits ? call(file).then(() => index) : increment(index))
    const update = () => atomicIndexUpdate(file, async (index) => helper(index))
    await update()
    waits = true
    expect(await rejection(update())).toMatchObject(reentrant(file))
  })

  // None of these waits for itself.
  test('made by a function that waits for nothing is done after it', async ({ file }) => {
    writeJson(file, { n: 1 })
    let later: Promise<unknown> | undefined
    await atomicIndexUpdate(file, (index) => {
      later ??= call(file)
      return increment(index)
    })
    await later
  })

  test('made when the function is over is done', async ({ file }) => {
    writeJson(file, { n: 1 })
    const { open, opened } = gate()
    let later: Promise<unknown> | undefined
    await atomicIndexUpdate(file, async (index) => {
      later ??= opened.then(() => call(file))
      return increment(index)
    })
    open()
    await later
  })

  test('made elsewhere meanwhile waits its turn', async ({ file }) => {
    writeJson(file, { n: 1 })
    const inside = gate()
    const over = gate()
    const update = atomicIndexUpdate(file, async (index) => {
      inside.open()
      await over.opened
      return increment(index)
    })
    await inside.opened
    const other = call(file)
    await sleep(5)
    over.open()
    await Promise.all([update, other])
  })

  test('is refused when a swap of directories makes it one for the same file', async ({ dir }) => {
    const [there, own] = [makeDir(dir, 'there'), makeDir(dir, 'own')].map((at) => join(at, 'index.json'))
    for (const file of [there, own]) writeJson(file!, { n: 1 })
    const holder = await held(there!)
    const update = atomicIndexUpdate(own!, async (index) => {
      const inner = call(there!)
      // Looked at below.
      inner.catch(() => {})
      await enqueued(dir)
      renameSync(join(dir, 'there'), join(dir, 'moved'))
      renameSync(join(dir, 'own'), join(dir, 'there'))
      holder.release()
      await inner
      return index
    })
    expect(['ERR_ATOMIC_REENTRANT', 'ENOENT']).toContain((await rejection(update)).code)
  })

  test('for another file is done', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const other = join(dir, 'other.json')
    writeJson(other, { n: 1 })
    await atomicIndexUpdate(file, async (index) => {
      await call(other)
      return increment(index)
    })
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

// Before Node.js 24 a function is followed for as long as it takes only if its source has not been one that returns
// plain values; until it returns, always. The call of a file that is open already comes after that.
test.for(calls.filter(([what]) => what !== 'AtomicFile.commit'))(
  '%s inside a function whose source has only returned plain values is refused',
  async ([what, call], { file }) => {
    writeJson(file, { n: 1 })
    // A source of its own for each test.
    const wrap = new Function('fn', `return (index) => fn(index, '${what}')`)
    const wrapped = (fn: (index: any) => unknown) => atomicIndexUpdate(file, wrap(fn))
    await wrapped(increment)
    await wrapped(increment)
    const waiting = wrapped(async (index) => {
      await call(file)
      return index
    })
    expect(await rejection(waiting)).toMatchObject(reentrant(file))
    const doneAfterwards: Promise<unknown>[] = []
    await wrapped((index) => {
      doneAfterwards.push(call(file))
      return increment(index)
    })
    await Promise.all(doneAfterwards)
  },
)
