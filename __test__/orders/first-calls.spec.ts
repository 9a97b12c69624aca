// The first calls of a process below a root wait for a transaction of another process that is at work there, in their order.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { whileHeld } from '../helpers/held-commit'
import { readJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { interrupt, seed, versions } from '../helpers/transaction'

needs('strace that may attach')(
  'the first calls of a process keep their order while a transaction of another one is at work',
  async ({ dir }) => {
    const times = 20
    const root = seed(dir)
    await interrupt(root, 2)
    await whileHeld(root, async (release) => {
      const calls = inProcess(
        async (
          { acquireIndexLock, appendLines, atomicIndexUpdate, atomicWrite, remove, send },
          dir: string,
          times: number,
        ) => {
          const flush = false
          const locks: number[] = []
          const made = Array.from({ length: times }, (_, i) => [
            atomicWrite(`${dir}/file`, `${i}`, { flush }),
            i % 2 ? remove(`${dir}/removed`, { flush }) : atomicWrite(`${dir}/removed`, `${i}`, { flush }),
            atomicIndexUpdate<number[]>(`${dir}/index`, (all) => [...(all ?? []), i], { flush }),
            acquireIndexLock(`${dir}/locked`).then((lock) => {
              locks.push(i)
              return lock.release()
            }),
            appendLines(`${dir}/lines`, [`${i}`], { flush, signal: new AbortController().signal }),
          ])
          send('called')
          await Promise.all(made.flat())
          return locks
        },
        [root, times],
      )
      expect(await calls.next()).toBe('called')
      // Until they have met it.
      await sleep(50)
      release()
      const order = Array.from({ length: times }, (_, i) => i)
      expect(await calls.returned).toStrictEqual(order)
      expect(readFileSync(join(root, 'file'), 'utf8')).toBe(`${times - 1}`)
      expect(() => readFileSync(join(root, 'removed'))).toThrow('ENOENT')
      expect(versions(root)).toStrictEqual([1, 1, 1, 1])
      expect(readJson(join(root, 'index'))).toStrictEqual(order)
      expect(readFileSync(join(root, 'lines'), 'utf8')).toBe(order.map((i) => `${i}\n`).join(''))
    })
  },
)

needs('strace that may attach')(
  'calls elsewhere do not wait for those that wait for a transaction of another process',
  async ({ dir }) => {
    const root = seed(dir)
    await interrupt(root, 2)
    await whileHeld(root, async () => {
      const calls = inProcess(
        async ({ atomicIndexUpdate, atomicWrite, remove }, dir: string, elsewhere: string) => {
          const flush = false
          const ended: string[] = []
          // It goes on after a second.
          const first = atomicWrite(`${dir}/file`, '', { flush }).then(() => ended.push('first'))
          const others: Promise<unknown>[] = []
          // They may be over before the calls elsewhere are.
          const bear = (call: Promise<unknown>) => others.push(call.catch(() => {}))
          for (const i of [0, 1, 2]) {
            bear(atomicIndexUpdate(`${dir}/index-${i}`, () => ({ i }), { flush, timeout: 1000 }))
            bear(remove(`${dir}/removed-${i}`, { flush }))
            await atomicWrite(`${elsewhere}/${i}`, '', { flush })
            ended.push(`elsewhere ${i}`)
          }
          await first
          await Promise.all(others)
          return ended
        },
        [root, dir],
      )
      expect(await calls.returned).toStrictEqual(['elsewhere 0', 'elsewhere 1', 'elsewhere 2', 'first'])
    })
  },
)
