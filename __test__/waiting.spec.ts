// Calls that wait for something come back through one mailbox of their environment, together if they can.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, inThread, type There } from './helpers/elsewhere'
import { openBelow } from './helpers/files'
import { eventually, holderOf, readJson, test } from './helpers/index-file'
import { needs } from './helpers/needs'

describe('calls that wait', () => {
  test('share one way back, and many that come at once come in one go', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const child = inProcess(
      async ({ atomicIndexUpdate, atomicWrite, require }, dir, file) => {
        const { createHook } = require('node:async_hooks') as typeof import('node:async_hooks')
        const ways = new Set<number>()
        let turns = 0
        createHook({
          init: (id, type) => type === 'atomic mailbox' && ways.add(id),
          before: (id) => {
            if (ways.has(id)) turns++
          },
        }).enable()
        const controller = new AbortController()
        const { signal } = controller
        const calls = Array.from({ length: 200 }, () => atomicIndexUpdate(file, () => ({}), { signal }))
        const settled = Promise.allSettled(calls)
        // Has its place only when all before it have theirs.
        await atomicWrite(`${dir}/in-line`, '', { flush: false })
        turns = 0
        controller.abort()
        const codes = new Set((await settled).map((outcome) => 'reason' in outcome && outcome.reason.code))
        await new Promise(setImmediate)
        return { codes: [...codes], ways: ways.size, turns }
      },
      [dir, file],
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
      atomicIndexUpdate(file, (index: { n: number }) => ({ n: index.n + 1 })).then(() => 'done')
    const child = inProcess(add, [file])
    await sleep(300)
    holder.say('go on')
    expect(await child.returned).toBe('done')
    expect(await child.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('in several threads come back each to its own', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const add = ({ atomicIndexUpdate, tell }: There, file: string) => {
      const one = (index: { n: number }) => ({ n: index.n + 1 })
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
