// A timeout says who has the index: an earlier call of this process, or another process, and which.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { enqueued, held } from '../helpers/group'
import { holderOf, increment, lockOf, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const testFlock = needs('flock')
const testFuse = needs('root that may mount FUSE')

const now = () => Math.floor(Date.now())

describe('a timeout', () => {
  test('names the other process that has the index', async ({ file }) => {
    const before = now()
    const holder = await holderOf(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 5 }))
    expect(error).toMatchObject({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
      path: file,
      lock: lockOf(file),
      holder: { pid: holder.pid, host: hostname() },
    })
    expect(error.holder.since).toBeInstanceOf(Date)
    expect(error.holder.since.getTime()).toBeGreaterThanOrEqual(before)
    expect(error.holder.since.getTime()).toBeLessThanOrEqual(now())
    expect(error.message).toContain(`process ${holder.pid} on ${hostname()}`)
    expect(error.message).toContain('options.timeout')
    holder.send('go on')
    await holder.returned
  })

  test('of 0 does so too', async ({ file }) => {
    const holder = await holderOf(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))
    expect(error).toMatchObject({ holder: { pid: holder.pid }, lock: lockOf(file) })
  })

  test('says that it is an earlier call of this process', async ({ file }) => {
    writeJson(file, { n: 1 })
    const holder = await held(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 5 }))
    expect(error.message).toContain('an earlier call of this process')
    expect(error).toMatchObject({ holder: { pid: process.pid, host: hostname() }, lock: lockOf(file) })
    holder.release()
  })

  test('behind earlier calls of this process names the process that they wait for', async ({ dir, file }) => {
    const holder = await holderOf(file)
    const first = atomicIndexUpdate(file, increment)
    await enqueued(dir)
    await untilLockIsWaitedFor(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 5, space: 1 }))
    expect(error.holder.pid).toBe(holder.pid)
    expect(error.message).toContain(`process ${holder.pid}`)
    expect(error.message).toContain('after earlier calls of this process')
    holder.send('go on')
    await first
  })

  test('says that the file is changed by others each time', async ({ file }) => {
    writeJson(file, { n: 0 })
    const error = await rejection(
      atomicIndexUpdate(
        file,
        (index: any) => {
          writeJson(file, { n: index.n + 1 })
          return { mine: true }
        },
        { timeout: 5 },
      ),
    )
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', lock: lockOf(file) })
    expect(error).not.toHaveProperty('holder')
    expect(error.message).toContain('other programs to stop changing what is read')
  })

  testFuse('comes in time when the lock file cannot be read', async ({ dir }) => {
    await onPoorFs(dir, { hang: 'hung' }, async (at) => {
      const place = makeDir(dir, 'place')
      const file = join(place, 'index.json')
      writeJson(file, { n: 1 })
      const holder = await held(file)
      const update = rejection(atomicIndexUpdate(file, increment, { timeout: 50, space: 1 }))
      await enqueued(dir)
      renameSync(place, join(dir, 'moved'))
      symlinkSync(join(at, 'hung'), place)
      const error = await update
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', path: file })
      expect(error).not.toHaveProperty('holder')
      rmSync(place)
      renameSync(join(dir, 'moved'), place)
      holder.release()
    })
  })

  testFlock('does not guess about a program that says nothing', async ({ file, lock }) => {
    writeJson(file, { n: 1 })
    writeFileSync(lock, '12 is not a record\n')
    const other = spawn('flock', [lock, '-c', 'echo held; cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
    await once(other.stdout, 'data')
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', lock })
    expect(error).not.toHaveProperty('holder')
    expect(error.message).toContain('another process')
    other.stdin.end()
    await once(other, 'exit')
  })

  test('is not believed: the record of a dead process keeps nobody out', async ({ file, lock }) => {
    writeJson(file, { n: 1 })
    writeFileSync(lock, `1 ${Date.now()} ${hostname()}\n`)
    expect(await atomicIndexUpdate(file, increment, { timeout: 0 })).toMatchObject({ written: true })
  })
})

test('the lock file says in words who has it', async ({ file, lock }) => {
  writeJson(file, { n: 1 })
  const holder = await held(file)
  const [pid, since, host] = readFileSync(lock, 'utf8').trimEnd().split(' ')
  expect([Number(pid), host]).toEqual([process.pid, hostname()])
  expect(Math.abs(Number(since) - Date.now())).toBeLessThan(60_000)
  holder.release()
})

test('two functions that wait for the index of each other end by their timeouts, which say so', async ({
  dir,
}) => {
  const [a, b] = [join(dir, 'a.json'), join(dir, 'b.json')]
  const [inA, inB] = [gate(), gate()]
  const inside = (own: typeof inA, other: typeof inA, index: string) => async () => {
    own.open()
    await other.opened
    await atomicIndexUpdate(index, () => ({}), { timeout: 50 })
    return {}
  }
  const updates = [atomicIndexUpdate(a, inside(inA, inB, b)), atomicIndexUpdate(b, inside(inB, inA, a))]
  const errors = (await Promise.allSettled(updates)).flatMap((end) => ('reason' in end ? [end.reason] : []))
  expect(errors.length).toBeGreaterThan(0)
  for (const error of errors) {
    expect(error.code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    const waiting = error.path === a ? b : a
    expect(error.message).toContain('an earlier call of this process')
    expect(error.message).toContain(`the function of the call for '${waiting}' waits for this one`)
  }
})
