// An index whose name becomes a symbolic link after its lock was taken: it is another file by then, with another lock.

import {
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { acquireIndexLock, atomicIndexUpdate, atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { names } from '../helpers/files'
import { increment, readJson, untilLockIsWaitedFor, writeJson } from '../helpers/index-file'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** Makes the name a link to `to`. */
function link(file: string, to: string) {
  rmSync(file, { force: true })
  symlinkSync(to, file)
}

/** Links the name in the first call of the function. */
function linking(file: string, to: string) {
  let calls = 0
  const change = (index: any) => {
    if (calls++ === 0) link(file, to)
    return index === undefined ? { made: true } : increment(index)
  }
  return { change, calls: () => calls }
}

test('is followed, and fn runs again on what the link leads to', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'other.json'), { n: 10 })
  const { change, calls } = linking(file, 'other.json')
  expect(await atomicIndexUpdate(file, change, { backup: true })).toMatchObject({ written: true })
  expect(calls()).toBe(2)
  expect(readJson(join(dir, 'other.json'))).toEqual({ n: 11 })
  expect(names(dir)).toEqual(['index.json', 'index.json.backup', 'other.json'])
})

test('is followed to a file that is not there yet, and where there was none before', async ({
  dir,
  file,
}) => {
  const { change, calls } = linking(file, 'other.json')
  await atomicIndexUpdate(file, change)
  expect(calls()).toBe(2)
  expect(readJson(join(dir, 'other.json'))).toEqual({ made: true })
  expect(names(dir)).toEqual(['index.json', 'other.json'])
})

test('is followed to a name that differs in case only', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'INDEX.json'), { n: 10 })
  // Where the two are one file there is nothing to follow.
  if (names(dir).length === 1) return
  const { change, calls } = linking(file, 'INDEX.json')
  await atomicIndexUpdate(file, change)
  expect(calls()).toBe(2)
  expect(readJson(join(dir, 'INDEX.json'))).toEqual({ n: 11 })
})

test('that leads to itself is the error that a link is which leads nowhere', async ({ file }) => {
  writeJson(file, { n: 1 })
  const { change, calls } = linking(file, 'index.json')
  expect(await rejection(atomicIndexUpdate(file, change))).toMatchObject({ code: 'ELOOP', path: file })
  expect(calls()).toBe(1)
})

test('is followed by a group: all of its functions run again', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'other.json'), { n: 10 })
  const { change } = linking(file, 'other.json')
  await Promise.all([
    atomicIndexUpdate(file, change),
    ...[1, 2, 3].map(() => atomicIndexUpdate(file, increment)),
  ])
  expect(readJson(join(dir, 'other.json'))).toEqual({ n: 14 })
})

test('is followed by a transaction', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'other.json'), { n: 10 })
  const { change, calls } = linking(file, 'other.json')
  await atomicTransaction(dir, (tx) => {
    tx.update('index.json', change)
    tx.write('beside', '')
  })
  expect(calls()).toBe(2)
  expect(readJson(join(dir, 'other.json'))).toEqual({ n: 11 })
})

test('is followed by a transaction that waits for the lock meanwhile', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'other.json'), { n: 10 })
  const holder = inProcess(
    async ({ acquireIndexLock, send, receive }, file) => {
      const lock = await acquireIndexLock(file)
      send('held')
      await receive()
      await lock.release()
    },
    [file],
  )
  await holder.next()
  const transaction = atomicTransaction(dir, (tx) => {
    tx.update('index.json', increment)
    tx.write('beside', '')
  })
  await untilLockIsWaitedFor(file)
  link(file, 'other.json')
  holder.send('go on')
  await transaction
  await holder.returned
  expect(readJson(join(dir, 'other.json'))).toEqual({ n: 11 })
})

test('is not looked at again if it was a link before: what it led to is written', async ({ dir, file }) => {
  for (const name of ['one.json', 'two.json']) writeJson(join(dir, name), { n: 1 })
  symlinkSync('one.json', file)
  const { change, calls } = linking(file, 'two.json')
  await atomicIndexUpdate(file, change)
  expect(calls()).toBe(1)
  expect(['one.json', 'two.json'].map((name) => readJson(join(dir, name)).n)).toEqual([2, 1])
})

test('is refused under a lock that outlives the call, with what to do', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeJson(join(dir, 'other.json'), { n: 10 })
  const lock = await acquireIndexLock(file)
  const { change } = linking(file, 'other.json')
  for (const call of [() => lock.update(change), () => lock.read()]) {
    expect(await rejection(call())).toMatchObject({
      code: 'ELOOP',
      path: file,
      message: expect.stringContaining('release the lock, and take that of the file to which it leads'),
    })
  }
  await lock.release()
  expect(readJson(join(dir, 'other.json'))).toEqual({ n: 10 })
})

test('after a part of a group was written: what was written is not made again', async ({ dir }) => {
  mkdirSync(join(dir, 'elsewhere'))
  // The name changes between the rename and the look at the new version: not in each round.
  for (let round = 0; round < 12; round++) {
    const [file, to] = [join(dir, `${round}.json`), join(dir, 'elsewhere', `${round}.json`)]
    writeFileSync(file, '{"n":0}')
    const { ino } = statSync(file)
    const failing = () => {
      throw new Error('a reason')
    }
    // One that takes long goes on with what the others have written.
    const slow = async (index: any) => {
      await sleep(20)
      return increment(index)
    }
    const made = [increment, increment, increment, failing, slow].map((fn) => atomicIndexUpdate(file, fn))
    let isOver = false
    const all = Promise.allSettled(made).finally(() => {
      isOver = true
    })
    while (!isOver) {
      const now = lstatSync(file, { throwIfNoEntry: false })
      if (now?.isFile() && now.ino !== ino) {
        // At no moment without a file.
        linkSync(file, to)
        symlinkSync(to, `${file}.link`)
        renameSync(`${file}.link`, file)
      }
      await new Promise(setImmediate)
    }
    const counted = (await all).filter(({ status }) => status === 'fulfilled').length
    expect(readJson(file)).toEqual({ n: counted })
    expect(counted).toBe(4)
  }
})
