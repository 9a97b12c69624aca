// Calls that wait for something are settled through one mailbox of their environment, together if possible.

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { untilClosed } from '../helpers/descriptors'
import { holderOf, readJson, untilLockIsWaitedFor } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, inThread, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

/** For another process, before it loads the addon: how many mailboxes are made, and how often they are opened. */
function watchMailboxes() {
  const { createHook } = require('node:async_hooks') as typeof import('node:async_hooks')
  const seen = Object.assign(globalThis, { count: 0, turns: 0 })
  const ids = new Set<number>()
  createHook({
    init(id, type) {
      if (type !== 'atomic mailbox') return
      ids.add(id)
      seen.count++
    },
    before(id) {
      if (ids.has(id)) seen.turns++
    },
  }).enable()
}

describe('calls that wait', () => {
  test('share one mailbox, and many that settle at once are delivered together', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const watch = join(dir, 'watch.cjs')
    writeFileSync(watch, `(${watchMailboxes})()`)
    const child = inProcess(
      async ({ atomicIndexUpdate, atomicWrite }, dir, file) => {
        const mailboxes = globalThis as unknown as { count: number; turns: number }
        const controller = new AbortController()
        const { signal } = controller
        const calls = Array.from({ length: 200 }, () => atomicIndexUpdate(file, () => ({}), { signal }))
        const settled = Promise.allSettled(calls)
        // Enqueued after all calls before it.
        await atomicWrite(`${dir}/in-line`, '', { flush: false })
        mailboxes.turns = 0
        controller.abort()
        const codes = new Set((await settled).map((outcome) => 'reason' in outcome && outcome.reason.code))
        await new Promise(setImmediate)
        return { codes: [...codes], mailboxes: mailboxes.count, turns: mailboxes.turns }
      },
      [dir, file],
      { execArgv: ['--require', watch] },
    )
    const { codes, mailboxes, turns } = await child.returned
    holder.send('go on')
    expect(codes).toEqual(['ABORT_ERR'])
    expect(mailboxes).toBe(1)
    // One by one it would be 200. A busy machine delivers some of them by themselves.
    expect(turns).toBeLessThan(150)
  })

  test('keep the process alive, and it ends when they are settled', async ({ file }) => {
    const holder = await holderOf(file)
    const add = ({ atomicIndexUpdate }: Remote, file: string) => {
      let isDone = false
      process.on('beforeExit', () => {
        if (!isDone) console.error('the event loop was empty')
      })
      return atomicIndexUpdate(file, (index: any) => ({ n: index.n + 1 })).then(() => {
        isDone = true
      })
    }
    const child = inProcess(add, [file])
    await untilLockIsWaitedFor(file)
    holder.send('go on')
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('do not retain the async context of their call', async ({ file }) => {
    const holder = await holderOf(file)
    const child = inProcess(
      async ({ atomicIndexUpdate, require, until }, file) => {
        const { AsyncLocalStorage } = require('node:async_hooks') as typeof import('node:async_hooks')
        const storage = new AsyncLocalStorage<object>()
        const ofTheFirst = async () => {
          const store = {}
          await storage.run(store, () => atomicIndexUpdate(file, () => ({})))
          return new WeakRef(store)
        }
        const store = await ofTheFirst()
        await until(() => {
          ;(globalThis as any).gc()
          return store.deref() === undefined
        })
      },
      [file],
      { execArgv: ['--expose-gc'] },
    )
    await untilLockIsWaitedFor(file)
    holder.send('go on')
    await child.returned
  })

  test('in several threads are settled each in its own', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const add = ({ atomicIndexUpdate, send }: Remote, file: string) => {
      const one = (index: any) => ({ n: index.n + 1 })
      const calls = Promise.all(Array.from({ length: 20 }, () => atomicIndexUpdate(file, one)))
      send('called')
      return calls.then((results) => results.length)
    }
    const threads = [1, 2, 3].map(() => inThread(add, [file]))
    const mine = atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }))
    for (const thread of threads) await thread.next()
    holder.send('go on')
    expect(await Promise.all(threads.map((thread) => thread.returned))).toEqual([20, 20, 20])
    await mine
    expect(readJson(file)).toEqual({ n: 62 })
    expect(readdirSync(dir)).toEqual(['index.json'])
  })
})

describe('a thread that is terminated while its calls wait', () => {
  needs('linux')('takes them with it, and what they held', async ({ dir }) => {
    const file = join(dir, 'index.json')
    for (let round = 0; round < 6; round++) {
      const holder = await holderOf(file)
      const thread = inThread(
        ({ atomicIndexUpdate, atomicWrite, send }, dir, file) => {
          const { signal } = new AbortController()
          for (let at = 0; at < 50; at++) {
            atomicIndexUpdate(file, () => ({ lost: true }), { signal }).catch(() => {})
            atomicWrite(file, Buffer.alloc(100_000)).catch(() => {})
          }
          return atomicWrite(`${dir}/in-line`, '', { flush: false }).then(() => send('waiting'))
        },
        [dir, file],
      )
      await thread.next()
      // In some rounds they settle while it ends.
      if (round % 2) holder.send('go on')
      await thread.terminate()
      if (round % 2 === 0) holder.send('go on')
      await atomicIndexUpdate(file, () => ({ n: round }))
      expect(readJson(file)).toEqual({ n: round })
    }
    await untilClosed(dir)
    expect(existsSync(join(dir, '.index.json.lock'))).toBe(false)
  })
})
