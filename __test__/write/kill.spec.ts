import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'

buildRefuse()

/** A process that writes `file` and `other` in `dir` again and again, each time with one letter throughout. */
const endlessWriter = (dir: string, before?: string) =>
  inProcess(
    async ({ atomicWrite, send }, dir) => {
      for (let i = 0; ; i++) {
        const data = Buffer.alloc(300_000, 97 + (i % 26))
        await Promise.all([atomicWrite(`${dir}/file`, data), atomicWrite(`${dir}/other`, data)])
        if (i === 0) send('started')
      }
    },
    [dir],
    before === undefined ? {} : { before },
  )

/** Whether a file is a whole one of those. */
function isWhole(path: string): boolean {
  const found = readFileSync(path)
  return found.length === 300_000 && found.equals(Buffer.alloc(300_000, found[0]))
}

async function killAgainAndAgain(dir: string, times: number, before?: string): Promise<number> {
  let left = 0
  // A staged file with a name is left by most kills, not by each: without one no sweep is tried.
  for (let i = 0; i < times || (before !== undefined && left === 0 && i < 5 * times); i++) {
    const writer = endlessWriter(dir, before)
    await writer.next()
    await sleep(Math.random() * 25)
    writer.kill('SIGKILL')
    expect((await writer.exit).signal).toBe('SIGKILL')
    const foreign = names(dir).filter((name) => !leftovers(dir).includes(name))
    expect(foreign).toStrictEqual(['file', 'other'])
    expect([isWhole(join(dir, 'file')), isWhole(join(dir, 'other'))]).toStrictEqual([true, true])
    left += leftovers(dir).length
  }
  return left
}

async function nextCallSucceeds(dir: string): Promise<void> {
  const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'after'), [join(dir, 'file')])
  expect(await writer.returned).toMatchObject({ written: true })
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('after')
  expect(names(dir)).toStrictEqual(['file', 'other'])
}

describe('kill -9 at any moment', () => {
  test('leaves whole files, and the next process goes on and sweeps', async ({ dir }) => {
    await killAgainAndAgain(dir, 10)
    await nextCallSucceeds(dir)
  })

  needs('linux', 'a C compiler')('does so where staged files have names, too', async ({ dir }) => {
    const left = await killAgainAndAgain(dir, 8, refusing({ tmpfile: 'EOPNOTSUPP' }))
    expect(left).toBeGreaterThan(0)
    await nextCallSucceeds(dir)
  })
})

describe('readers', () => {
  /** Reads again and again until it is told to stop. */
  const reader = (path: string) =>
    inProcess(
      async ({ require, send, receive }, path) => {
        const fs = require('node:fs') as typeof import('node:fs')
        let isOver = false
        receive().then(() => {
          isOver = true
        })
        send('ready')
        let bad = 0
        const versions = new Set<number | undefined>()
        while (!isOver) {
          for (let i = 0; i < 20; i++) {
            const found = fs.existsSync(path) ? fs.readFileSync(path) : Buffer.alloc(0)
            const isWhole = found.equals(Buffer.alloc(200_000 + (found[0] ?? 0), found[0]))
            if (!isWhole) bad++
            if (!versions.has(found[0]) && versions.add(found[0]).size === 10) send('enough')
          }
          await new Promise(setImmediate)
        }
        return bad
      },
      [path],
    )

  test('in other processes never see a partial, a missing or an empty file', async ({ dir }) => {
    const path = join(dir, 'file')
    const writer = inProcess(
      async ({ atomicWrite, send, receive }, path) => {
        await atomicWrite(path, Buffer.alloc(200_000, 0))
        const go = receive()
        send('ready')
        await go
        let isOver = false
        receive().then(() => {
          isOver = true
        })
        for (let i = 1; !isOver; i = (i + 1) % 250)
          await atomicWrite(path, Buffer.alloc(200_000 + i, i), { flush: i % 10 === 0 })
      },
      [path],
    )
    await writer.next()
    const readers = [reader(path), reader(path)]
    await Promise.all(readers.map((reader) => reader.next()))
    writer.send('go')
    await Promise.all(readers.map((reader) => reader.next()))
    writer.send('stop')
    await writer.returned
    for (const reader of readers) reader.send('stop')
    for (const reader of readers) expect(await reader.returned).toBe(0)
  })

  test('in the same process never see one either', async ({ dir }) => {
    const path = join(dir, 'file')
    await atomicWrite(path, Buffer.alloc(200_000, 0))
    let over = false
    const writing = Promise.all(
      Array.from({ length: 200 }, (_, i) => atomicWrite(path, Buffer.alloc(200_000, i), { flush: false })),
    ).finally(() => {
      over = true
    })
    const bad: string[] = []
    while (!over) {
      const found = readFileSync(path)
      if (found.length !== 200_000 || found[0] !== found[199_999]) bad.push(`${found.length} ${found[0]}`)
      await new Promise(setImmediate)
    }
    await writing
    expect(bad).toStrictEqual([])
  })
})
