// Batches and other writes of the same files: all of them run in one order, and none waits for ever.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { times } from '../helpers/group'
import { untilTurnIsTaken } from '../helpers/index-file'
import { inProcess, inThread } from '../helpers/processes'
import { gate } from '../helpers/promises'
import { test } from '../helpers/test'

const entries = (dir: string, numbers: number[], data: string) =>
  numbers.map((at) => ({ path: join(dir, `${at}`), data }))

const contents = (dir: string, howMany: number) =>
  times(howMany, (at) => readFileSync(join(dir, `${at}`), 'utf8'))

describe('a batch', () => {
  test('comes after the writes that were called before it', async ({ dir }) => {
    const before = times(20, (at) => atomicWrite(join(dir, `${at % 5}`), `write ${at}`))
    const batch = atomicWriteAll(entries(dir, [4, 3, 2, 1, 0], 'batch'))
    await Promise.all([...before, batch])
    expect(contents(dir, 5)).toStrictEqual(times(5, () => 'batch'))
  })

  test('comes before the writes that are called while it waits for its turn', async ({ dir }) => {
    writeFileSync(join(dir, '2'), '{}')
    const { open, opened } = gate()
    const { open: enter, opened: entered } = gate()
    const update = atomicIndexUpdate(join(dir, '2'), async () => {
      enter()
      await opened
      return ['updated']
    })
    await entered
    const batch = atomicWriteAll(entries(dir, [0, 1, 2], 'batch'))
    await untilTurnIsTaken(join(dir, '0'))
    const later = [0, 2].map((at) => atomicWrite(join(dir, `${at}`), 'later'))
    open()
    await Promise.all([update, batch, ...later])
    expect(contents(dir, 3)).toStrictEqual(['later', 'batch', 'later'])
  })
})

describe('batches of the same files in different orders', () => {
  const forth = times(30, (at) => at)
  const back = forth.toReversed()

  test('never wait for each other, and all files are of the same one in the end', async ({ dir }) => {
    const batches = times(12, (call) =>
      atomicWriteAll(entries(dir, call % 2 ? forth : back, `call ${call}`), { flush: call % 3 === 0 }),
    )
    expect(await Promise.all(batches)).toHaveLength(12)
    expect(new Set(contents(dir, 30)).size).toBe(1)
    expect(leftovers(dir)).toStrictEqual([])
  })

  test('nor do those of other threads', async ({ dir }) => {
    const threads = times(3, (thread) =>
      inThread(
        async ({ atomicWriteAll }, dir, thread) => {
          for (let call = 0; call < 10; call++) {
            const all = Array.from({ length: 30 }, (_, at) => ({
              path: `${dir}/${at}`,
              data: `${thread} ${call}`,
            }))
            await atomicWriteAll(thread % 2 ? all : all.reverse(), { flush: false })
          }
        },
        [dir, thread],
      ),
    )
    await Promise.all(threads.map(({ returned }) => returned))
    expect(new Set(contents(dir, 30)).size).toBe(1)
  })
})

describe('kill -9 at any moment', () => {
  test('leaves whole files, old or new, and the next process sweeps what is left', async ({ dir }) => {
    const file = (at: number) => join(dir, `${at}`)
    for (let round = 0; round < 6; round++) {
      const writer = inProcess(
        async ({ atomicWriteAll, send }, dir) => {
          for (let call = 0; ; call++) {
            const data = Buffer.alloc(20_000, 97 + (call % 26))
            await atomicWriteAll(Array.from({ length: 60 }, (_, at) => ({ path: `${dir}/${at}`, data })))
            if (call === 0) send('started')
          }
        },
        [dir],
      )
      await writer.next()
      await sleep(Math.random() * 100)
      writer.kill('SIGKILL')
      await writer.exit
      const whole = (at: number) => {
        const found = readFileSync(file(at))
        return found.equals(Buffer.alloc(20_000, found[0]))
      }
      expect(times(60, whole)).not.toContain(false)
      const foreign = names(dir).filter((name) => !leftovers(dir).includes(name))
      expect(foreign).toHaveLength(60)
      // Renames are in the order of the entries: what is new is a beginning.
      const letters = times(60, (at) => readFileSync(file(at))[0] as number)
      expect(letters.filter((letter, at) => at > 0 && letter !== letters[at - 1]).length).toBeLessThanOrEqual(
        1,
      )
    }
    await inProcess(({ atomicWriteAll }, path) => atomicWriteAll([{ path, data: 'after' }]), [file(0)])
      .returned
    expect(names(dir)).toHaveLength(60)
  })
})
