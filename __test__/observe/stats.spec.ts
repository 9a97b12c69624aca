// What `stats()` counts, against what the calls say that they have done and what the kernel was asked for.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Histogram } from '@pipeline/atomic'
import { expect } from 'vitest'
import { tempName } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { isDirSync } from '../helpers/steps'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

/** For another process: one of each, some of them together and from another thread, and what they say. */
const doAll = async (remote: Remote, dir: string) => {
  const { addon, require, atomicWrite, atomicWriteAll, atomicIndexUpdate, atomicDirectory, stats } = remote
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const before = stats()
  const writes = await Promise.all(['a', 'b', 'c'].map((name) => atomicWrite(`${dir}/${name}`, name)))
  writes.push(await atomicWrite(`${dir}/a`, 'a', { ifChanged: true }))
  const failed = [
    await atomicWrite(dir, 'x').catch(({ code }) => code),
    await atomicWrite(`${dir}/a`, 'x', { flag: 'wx' }).catch(({ code }) => code),
  ]
  writes.push(...(await atomicWriteAll(['d', 'e'].map((name) => ({ path: `${dir}/${name}`, data: name })))))
  const add = (index: Record<string, number> = {}) => ({ ...index, [Object.keys(index).length]: 1 })
  const updates = await Promise.all(
    Array.from({ length: 5 }, () => atomicIndexUpdate(`${dir}/index.json`, add, { initial: {} })),
  )
  await atomicDirectory(`${dir}/tree`, () => {})
  await remote.atomicTransaction(dir, (tx) => tx.write('f', 'f'))
  const appended = await Promise.all(
    [['1'], ['2', '3']].map((lines) => remote.appendLines(`${dir}/log`, lines)),
  )
  require('node:fs').writeFileSync(`${dir}/broken.json`, '{')
  await remote.recoverIndex(`${dir}/broken.json`, { initial: [] })
  // Counters are those of the process, whatever thread looks.
  const code = `const { atomicWrite } = require(${JSON.stringify(addon)})
    void atomicWrite(${JSON.stringify(`${dir}/g`)}, 'g')`
  await new Promise((resolve) => new Worker(code, { eval: true }).once('exit', resolve))
  return { before, after: stats(), writes, updates, appended, failed }
}

const sumOf = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0)

/** In which bucket a value is. */
const bucketOf = ({ bounds }: Histogram, value: number) => {
  const at = bounds.findIndex((bound) => value <= bound)
  return at < 0 ? bounds.length : at
}

test('stats() counts what the calls of all threads say that they have done', async ({ dir }) => {
  writeFileSync(join(dir, tempName('a')), 'left by a dead process')
  const { before, after, writes, updates, appended, failed } = await inProcess(doAll, [dir]).returned
  expect(existsSync(join(dir, tempName('a')))).toBe(false)
  const { lockWaits, groupSizes, fileFlushes, directoryFlushes, sharedFlushes, ...counters } = after

  // Calls that share a commit say the same of it.
  const commits = Math.round(sumOf(updates.map(({ batchSize }: any) => 1 / batchSize)))
  const indexBytes = Math.round(sumOf(updates.map(({ bytes, batchSize }: any) => bytes / batchSize)))
  const written = writes.filter(({ written }: any) => written)
  // Of the transaction, of the other thread and of the recovery.
  const others = ['f', 'g', '[]']
  const bytes = [...written, ...appended].map(({ bytes }: any) => bytes)
  expect(counters).toStrictEqual({
    writes: written.length + commits + others.length,
    bytes: sumOf(bytes) + indexBytes + others.join('').length,
    unchanged: writes.length - written.length,
    verifyFailures: 0,
    failures: { [failed[0]]: 1, [failed[1]]: 1, ERR_ATOMIC_CORRUPT_INDEX: 1 },
    leftovers: 1,
    recoveries: 1,
    updates: 5,
    lines: 3,
    batches: 1,
    directories: 1,
    transactions: 1,
  })
  expect(failed).toStrictEqual(['EISDIR', 'EEXIST'])
  expect(directoryFlushes).toBeGreaterThan(0)
  expect(fileFlushes).toBeGreaterThan(written.length)
  expect(sharedFlushes).toBeLessThanOrEqual(directoryFlushes)

  // The transaction and the lock of the recovery have waited too.
  expect(lockWaits).toMatchObject({ unit: 'ms', count: updates.length + 2 })
  for (const histogram of [lockWaits, groupSizes]) {
    expect(histogram.counts).toHaveLength(histogram.bounds.length + 1)
    expect(sumOf(histogram.counts)).toBe(histogram.count)
  }
  expect(lockWaits.sum).toBeGreaterThanOrEqual(Math.max(...updates.map(({ lockWaitMs }: any) => lockWaitMs)))
  const appends = Math.round(sumOf(appended.map(({ batchSize }: any) => 1 / batchSize)))
  expect(groupSizes).toMatchObject({
    unit: 'calls',
    count: commits + appends + 1,
    sum: updates.length + appended.length + 1,
  })
  expect(groupSizes.counts[bucketOf(groupSizes, updates[0].batchSize)]).toBeGreaterThan(0)

  expect(before).toMatchObject({ writes: 0, failures: {}, fileFlushes: 0, lockWaits: { count: 0, sum: 0 } })
})

test('failures are those of the files, and not what callers give, throw or withdraw', async ({ dir }) => {
  const failed = async (remote: Remote, dir: string) => {
    const { atomicWrite, atomicIndexUpdate, readIndex, stats, require } = remote
    const { writeFileSync } = require('node:fs') as typeof import('node:fs')
    const codes: unknown[] = []
    const fails = async (call: Promise<unknown>) => void codes.push(await call.catch(({ code }) => code))
    const codec = { parse: JSON.parse, stringify: (value: unknown) => JSON.stringify(value) }
    writeFileSync(`${dir}/broken`, '{')
    await fails(atomicIndexUpdate(`${dir}/broken`, (index) => index, { codec }))
    await fails(readIndex(`${dir}/broken`, { codec }))
    await fails(readIndex(`${dir}/broken`))
    const validate = (value: any) => (value.bad ? { issues: [{ message: 'bad' }] } : { value })
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate } }
    // One of several is found by trying fewer of them.
    const update = (bad: boolean) =>
      atomicIndexUpdate(`${dir}/index`, (index: object) => (bad ? { ...index, bad } : index), {
        schema,
        initial: {},
      })
    const updates = await Promise.allSettled([false, false, true, false].map(update))
    codes.push(updates.map(({ status }) => status))
    writeFileSync(`${dir}/other`, '{"bad":true}')
    await fails(readIndex(`${dir}/other`, { schema }))
    const counted = stats().failures
    const controller = new AbortController()
    const aborted = atomicWrite(`${dir}/big`, Buffer.alloc(64 << 20), { signal: controller.signal })
    setImmediate(() => controller.abort())
    await fails(aborted)
    await fails(atomicWrite(`${dir}/text`, '\ud800'))
    await fails(atomicIndexUpdate(`${dir}/index`, () => new Map()))
    await fails(atomicIndexUpdate(`${dir}/index`, () => ({ toJSON: () => undefined })))
    await fails(atomicIndexUpdate(`${dir}/index`, () => Promise.reject({ code: 'EIO' })))
    return { codes, counted, after: stats().failures }
  }
  const { codes, counted, after } = await inProcess(failed, [dir]).returned
  expect(codes).toStrictEqual([
    'ERR_ATOMIC_CORRUPT_INDEX',
    'ERR_ATOMIC_CORRUPT_INDEX',
    'ERR_ATOMIC_CORRUPT_INDEX',
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    'ERR_ATOMIC_SCHEMA',
    'ABORT_ERR',
    'ERR_INVALID_ARG_VALUE',
    'ERR_INVALID_RETURN_VALUE',
    'ERR_INVALID_RETURN_VALUE',
    'EIO',
  ])
  expect(counted).toStrictEqual({ ERR_ATOMIC_CORRUPT_INDEX: 3, ERR_ATOMIC_SCHEMA: 2 })
  expect(after).toStrictEqual(counted)
})

needs('strace that may attach')(
  'the flushes that stats() counts are those of the kernel, and many calls share one of a directory',
  async ({ dir }) => {
    const { returned, calls } = await systemCalls(
      async ({ atomicWrite, atomicTransaction, stats }: Remote, dir: string) => {
        const files = Array.from({ length: 12 }, (_, at) => `${dir}/${at}`)
        await Promise.all(files.map((file) => atomicWrite(file, 'x')))
        await atomicTransaction(dir, (tx) => tx.write('y', 'y'))
        return stats()
      },
      [dir],
      // Slow enough that a flush of the directory is worth sharing.
      { trace: ['fsync', 'fdatasync'], inject: ['fsync:delay_enter=5000'] },
    )
    const folders = [dir, join(dir, '.atomic')]
    const ofDirectories = calls.filter((call) => folders.some((folder) => isDirSync(call, folder)))
    expect(returned.directoryFlushes).toBe(ofDirectories.length)
    expect(returned.fileFlushes).toBe(calls.length - ofDirectories.length)
    expect(returned.sharedFlushes).toBeGreaterThan(0)
    expect(returned.sharedFlushes).toBeLessThan(returned.directoryFlushes)
  },
)

needs('strace that may attach')(
  'a read-back that finds other bytes counts as a verify failure',
  async ({ file }) => {
    const { returned } = await systemCalls(
      async ({ atomicWrite, stats }: Remote, file: string) => {
        await atomicWrite(file, Buffer.alloc(10 << 20), { flush: false }).catch(() => {})
        return stats()
      },
      [file],
      // In the thread that reads 40 pieces back: loading a program takes fewer such calls.
      { trace: ['pread64'], inject: ['pread64:poke_exit=@arg2=787979:when=30'] },
    )
    expect(returned).toMatchObject({ writes: 0, verifyFailures: 1, failures: { ERR_ATOMIC_VERIFY: 1 } })
  },
)
