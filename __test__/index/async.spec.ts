import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { enqueued } from '../helpers/group'
import { holderOf, increment, readJson, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { gate, isPending, rejection, turns } from '../helpers/promises'
import { test } from '../helpers/test'

describe('an async fn', () => {
  test('is awaited, and what it resolves to is written', async ({ file }) => {
    await atomicIndexUpdate(file, async () => {
      await turns()
      return { n: 1 }
    })
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('may change the index in place', async ({ file }) => {
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, async (index) => {
      await turns()
      return increment(index)
    })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('blocks only its own index', async ({ dir, file }) => {
    const { open, opened } = gate<object>()
    const waiting = atomicIndexUpdate(file, () => opened)
    await atomicIndexUpdate(join(dir, 'other.json'), () => ({}))
    expect(await isPending(waiting, 0)).toBe(true)
    open({ n: 1 })
    await waiting
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('leaves the file alone until it has resolved', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const before = state(file)
    const { open, opened } = gate<object>()
    const { open: enter, opened: entered } = gate()
    const update = atomicIndexUpdate(file, () => {
      enter()
      return opened
    })
    await entered
    await atomicIndexUpdate(join(dir, 'other.json'), () => ({}))
    expect(state(file)).toEqual(before)
    open({ n: 2 })
    await update
  })

  test('may update another index meanwhile', async ({ dir, file }) => {
    const other = join(dir, 'other.json')
    await atomicIndexUpdate(file, async () => {
      const { bytes } = await atomicIndexUpdate(other, () => ({ inner: true }))
      return { bytes }
    })
    expect(readJson(file)).toEqual({ bytes: readFileSync(other).length })
    expect(names(dir)).toEqual(['index.json', 'other.json'])
  })

  test('that waits for its own index is told so, and nothing is lost', async ({ file }) => {
    writeJson(file, { n: 1 })
    let inner: any
    await atomicIndexUpdate(file, async (index) => {
      inner = await rejection(atomicIndexUpdate(file, increment))
      return increment(index)
    })
    expect(inner).toMatchObject({ code: 'ERR_ATOMIC_REENTRANT', path: file })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('can resolve to any thenable', async ({ file }) => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: a promise of another implementation is what this is about.
      then(resolve: (value: object) => void) {
        setImmediate(resolve, { n: 1 })
      },
    }
    await atomicIndexUpdate(file, () => thenable as unknown as Promise<object>)
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('can resolve to a promise of a promise', async ({ file }) => {
    await atomicIndexUpdate(file, async () => nextTurn(nextTurn({ n: 1 })))
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('an index with a then that is no function is an index', async ({ file }) => {
    // biome-ignore lint/suspicious/noThenProperty: that it is no promise is what this is about.
    await atomicIndexUpdate(file, () => ({ then: 'and now' }))
    // biome-ignore lint/suspicious/noThenProperty: as above.
    expect(readJson(file)).toEqual({ then: 'and now' })
  })

  test('a then that throws when it is looked at is the reason that the caller catches', async ({
    dir,
    file,
  }) => {
    const reason = new Error('no')
    const result = {
      // biome-ignore lint/suspicious/noThenProperty: as above.
      get then() {
        throw reason
      },
    }
    expect(await rejection(atomicIndexUpdate(file, () => result))).toBe(reason)
    expect(names(dir)).toEqual([])
  })
})

describe('calls for one index', () => {
  test('run one after the other, in the order of the calls', async ({ file }) => {
    const order: number[] = []
    let inside = 0
    await Promise.all(
      Array.from({ length: 20 }, (_, call) =>
        atomicIndexUpdate<{ n: number }>(
          file,
          async (index) => {
            expect(++inside).toBe(1)
            await turns(call % 3)
            order.push(call)
            inside--
            return increment(index)
          },
          { initial: { n: 0 } },
        ),
      ),
    )
    expect(order).toEqual(Array.from({ length: 20 }, (_, call) => call))
    expect(readJson(file)).toEqual({ n: 20 })
  })

  test('share one queue under every name of the index', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    const byName = [
      file,
      link,
      join(dir, '.', 'index.json'),
      join(dir, 'x', '..', 'index.json'),
      Buffer.from(file),
    ]
    const order: number[] = []
    await Promise.all(
      byName.map((name, call) =>
        atomicIndexUpdate(
          name,
          async (index) => {
            await turns(byName.length - call)
            order.push(call)
            return increment(index)
          },
          { initial: { n: 0 } },
        ),
      ),
    )
    expect(order).toEqual([0, 1, 2, 3, 4])
    expect(readJson(file)).toEqual({ n: 5 })
  })

  test('and writes of the same file run in the order of the calls', async ({ file }) => {
    const append = (what: string) => (index: any) => [...index, what]
    await Promise.all([
      atomicWrite(file, '["write 1"]'),
      atomicIndexUpdate(file, append('update 1')),
      atomicIndexUpdate(file, append('update 2')),
    ])
    expect(readJson(file)).toEqual(['write 1', 'update 1', 'update 2'])
    const updates = [atomicIndexUpdate(file, append('lost')), atomicWrite(file, '["write 2"]')]
    await Promise.all([...updates, atomicIndexUpdate(file, append('update 3'))])
    expect(readJson(file)).toEqual(['write 2', 'update 3'])
  })

  test('a write waits for an async update before it', async ({ dir, file }) => {
    const { open, opened } = gate<object>()
    const update = atomicIndexUpdate(file, () => opened)
    const write = atomicWrite(file, '"last"')
    await enqueued(dir)
    expect(await isPending(write, 0)).toBe(true)
    open({ n: 1 })
    await Promise.all([update, write])
    expect(readJson(file)).toBe('last')
  })

  test('say how long they waited', async ({ dir, file }) => {
    const { open, opened } = gate<object>()
    const first = atomicIndexUpdate(file, () => opened)
    const second = atomicIndexUpdate(file, increment)
    await enqueued(dir)
    await sleep(50)
    open({ n: 1 })
    // It has had its place since before that pause.
    expect((await second).lockWaitMs).toBeGreaterThan(45)
    await first
  })
})

describe('fn runs in the async context of its call', () => {
  const context = new AsyncLocalStorage<string>()

  function updateIn(name: string, file: string, seen: (string | undefined)[]) {
    return context.run(name, () =>
      atomicIndexUpdate(
        file,
        (index) => {
          seen.push(context.getStore())
          return increment(index)
        },
        { initial: { n: 0 } },
      ),
    )
  }

  test('at once', async ({ file }) => {
    const seen: (string | undefined)[] = []
    await updateIn('one', file, seen)
    expect(seen).toEqual(['one'])
  })

  test('after waiting in the queue', async ({ file }) => {
    const seen: (string | undefined)[] = []
    await Promise.all(['one', 'two', 'three'].map((name) => updateIn(name, file, seen)))
    expect(seen).toEqual(['one', 'two', 'three'])
  })

  test('after waiting for another process', async ({ file }) => {
    const seen: (string | undefined)[] = []
    const holder = await holderOf(file)
    const update = updateIn('one', file, seen)
    await untilLockIsWaitedFor(file)
    holder.send('go on')
    await update
    expect(seen).toEqual(['one'])
  })

  test('when it runs again', async ({ file }) => {
    const seen: (string | undefined)[] = []
    writeJson(file, { n: 0 })
    await context.run('one', () =>
      atomicIndexUpdate(file, (index) => {
        seen.push(context.getStore())
        if (seen.length === 1) writeJson(file, { n: 5 })
        return increment(index)
      }),
    )
    expect(seen).toEqual(['one', 'one'])
  })

  test('and the caller goes on in its own', async ({ file }) => {
    await context.run('one', async () => {
      await atomicIndexUpdate(file, () => context.run('inner', () => ({})))
      expect(context.getStore()).toBe('one')
    })
  })
})
