// Calls that wait for something come back through one mailbox of their environment, together if they can.

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, inThread, type There } from '../helpers/elsewhere'
import { openBelow } from '../helpers/files'
import { eventually, holderOf, readJson, test } from '../helpers/index-file'
import { needs } from '../helpers/needs'

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
  test('share one way back, and many that come at once come in one go', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const watch = join(dir, 'watch.cjs')
    writeFileSync(watch, `(${watchMailboxes})()`)
    const child = inProcess(
      async ({ atomicIndexUpdate, atomicWrite }, dir, file) => {
        const ways = globalThis as unknown as { count: number; turns: number }
        const controller = new AbortController()
        const { signal } = controller
        const calls = Array.from({ length: 200 }, () => atomicIndexUpdate(file, () => ({}), { signal }))
        const settled = Promise.allSettled(calls)
        // Has its place only when all before it have theirs.
        await atomicWrite(`${dir}/in-line`, '', { flush: false })
        ways.turns = 0
        controller.abort()
        const codes = new Set((await settled).map((outcome) => 'reason' in outcome && outcome.reason.code))
        await new Promise(setImmediate)
        return { codes: [...codes], ways: ways.count, turns: ways.turns }
      },
      [dir, file],
      { execArgv: ['--require', watch] },
    )
    const { codes, ways, turns } = await child.returned
    holder.say('go on')
    expect(codes).toEqual(['ABORT_ERR'])
    expect(ways).toBe(1)
    expect(turns).toBeLessThan(50)
  })

  test('keep the process alive, and it ends when they have come back', async ({ file }) => {
    const holder = await holderOf(file)
    const add = ({ atomicIndexUpdate }: There, file: string) =>
      atomicIndexUpdate(file, (index: any) => ({ n: index.n + 1 })).then(() => 'done')
    const child = inProcess(add, [file])
    await sleep(300)
    holder.say('go on')
    expect(await child.returned).toBe('done')
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('leave nothing behind of the async context that they were made in', async ({ file }) => {
    const holder = await holderOf(file)
    const child = inProcess(
      async ({ atomicIndexUpdate, require, tell }, file) => {
        const { AsyncLocalStorage } = require('node:async_hooks') as typeof import('node:async_hooks')
        const storage = new AsyncLocalStorage<object>()
        const ofTheFirst = async () => {
          const store = {}
          await storage.run(store, () => atomicIndexUpdate(file, () => ({})))
          return new WeakRef(store)
        }
        setTimeout(tell, 100, 'waits')
        const store = await ofTheFirst()
        for (let look = 0; look < 100 && store.deref(); look++) {
          await new Promise((resolve) => setTimeout(resolve, 10))
          ;(globalThis as any).gc()
        }
        return store.deref() === undefined
      },
      [file],
      { execArgv: ['--expose-gc'] },
    )
    await child.next()
    holder.say('go on')
    expect(await child.returned).toBe(true)
  })

  test('in several threads come back each to its own', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const add = ({ atomicIndexUpdate, tell }: There, file: string) => {
      const one = (index: any) => ({ n: index.n + 1 })
      const calls = Promise.all(Array.from({ length: 20 }, () => atomicIndexUpdate(file, one)))
      tell('called')
      return calls.then((results) => results.length)
    }
    const threads = [1, 2, 3].map(() => inThread(add, [file]))
    const mine = atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }))
    for (const thread of threads) await thread.next()
    holder.say('go on')
    expect(await Promise.all(threads.map((thread) => thread.returned))).toEqual([20, 20, 20])
    await mine
    expect(readJson(file)).toEqual({ n: 62 })
    expect(readdirSync(dir)).toEqual(['index.json'])
  })
})

describe('a thread that is terminated while its calls wait', () => {
  needs('linux')('takes them along, and what they had', async ({ dir }) => {
    const file = join(dir, 'index.json')
    for (let round = 0; round < 10; round++) {
      const holder = await holderOf(file)
      const thread = inThread(
        ({ atomicIndexUpdate, atomicWrite, tell }, dir, file) => {
          const { signal } = new AbortController()
          for (let at = 0; at < 50; at++) {
            atomicIndexUpdate(file, () => ({ lost: true }), { signal }).catch(() => {})
            atomicWrite(file, Buffer.alloc(100_000)).catch(() => {})
          }
          return atomicWrite(`${dir}/in-line`, '', { flush: false }).then(() => tell('waiting'))
        },
        [dir, file],
      )
      await thread.next()
      // Some come back while it ends.
      if (round % 2) holder.say('go on')
      await thread.terminate()
      if (round % 2 === 0) holder.say('go on')
      await atomicIndexUpdate(file, () => ({ n: round }))
      expect(readJson(file)).toEqual({ n: round })
    }
    expect(await eventually(() => openBelow(dir).length === 0), openBelow(dir).join()).toBe(true)
    expect(existsSync(join(dir, '.index.json.lock'))).toBe(false)
  })
})
