// The flushes of a transaction: which, when, and how many.

import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { isDurable } from '../helpers/files'
import { ext4, mounted, needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { buildRefuse, refusing } from '../helpers/refuse'
import { systemCalls } from '../helpers/system-calls'
import { raise, seed } from '../helpers/transaction'

buildRefuse()

const testStrace = needs('strace that may attach')

const isFlush = (name: string) => name === 'fsync' || name === 'fdatasync'

// Where files are not known again, what is replaced is flushed as well.
needs('strace that may attach', 'a temporary folder on ext4, xfs or btrfs')(
  'seven for four files in two folders: files and record, then names, then folders',
  async ({ dir }) => {
    const root = seed(dir)
    const { calls } = await systemCalls(
      async ({ atomicTransaction, require }, root) => {
        const { statSync } = require('node:fs') as typeof import('node:fs')
        const publish = (n: number) =>
          atomicTransaction(root, (tx) => {
            for (const file of ['one/a.txt', 'one/b.txt']) tx.write(file, `version ${n}`)
            for (const file of ['two/index.json', 'two/topics.json']) tx.update(file, () => ({ n }))
          })
        // The first makes and flushes what there is only once.
        await publish(1)
        await publish(2)
        try {
          statSync('/a mark')
        } catch {
          await publish(3)
        }
      },
      [root],
      { trace: ['fsync', 'fdatasync', 'renameat', 'renameat2', 'statx', 'stat'] },
    )
    const mark = calls.findIndex(({ args }) => args.includes('/a mark'))
    expect(mark).toBeGreaterThan(0)
    const after = calls.slice(mark + 1)
    const flushes = after.filter(({ name }) => isFlush(name))
    const renames = after.filter(
      ({ name, args }) => name.startsWith('renameat') && args.includes('atomic-txn'),
    )
    expect(renames).toHaveLength(4)
    const [firstName, lastName] = [
      Math.min(...renames.map(({ began }) => began)),
      Math.max(...renames.map(({ ended }) => ended)),
    ]
    const before = flushes.filter(({ ended }) => ended < firstName).map(({ args }) => args)
    const behind = flushes.filter(({ began }) => began > lastName).map(({ args }) => args)
    expect(before.filter((args) => args.includes('.atomic-txn'))).toHaveLength(4)
    expect(before.filter((args) => args.includes('/.atomic/journal'))).toHaveLength(1)
    expect(before).toHaveLength(5)
    expect(behind.map((args) => args.slice(args.indexOf('<')))).toEqual(
      expect.arrayContaining([`<${join(root, 'one')}>`, `<${join(root, 'two')}>`]),
    )
    expect(behind).toHaveLength(2)
  },
)

testStrace('what is replaced and may not be on disk is flushed before the record', async ({ dir }) => {
  const root = seed(dir)
  mkdirSync(join(root, 'three'))
  writeFileSync(join(root, 'three', 'c.txt'), 'unflushed')
  const { calls } = await systemCalls(
    async ({ atomicTransaction }, root) => {
      await atomicTransaction(root, [
        { write: 'one/new.txt', data: '' },
        { write: 'three/c.txt', data: 'new' },
      ])
    },
    [root],
    { trace: ['fsync', 'fdatasync', 'pwrite64', 'write'] },
  )
  const record = calls.find(({ name, args }) => name.includes('write') && args.includes('ATOMTXN1'))
  expect(record).toBeDefined()
  const early = calls
    .filter(({ name, ended }) => isFlush(name) && ended < (record?.began ?? 0))
    .map(({ args }) => args)
  for (const path of ['three/c.txt', 'three', 'one']) {
    expect(early.some((args) => args.endsWith(`<${join(root, path)}>`))).toBe(true)
  }
})

needs('root that may mount a disk', 'strace that may attach')(
  'what a transaction has written is flushed before it is replaced where times are whole seconds',
  async ({ dir }) => {
    await mounted(join(dir, 'disk'), ext4(join(dir, 'image'), '-I', '128'), async (root) => {
      const { calls } = await systemCalls(
        async ({ atomicTransaction }, root) => {
          for (const data of ['first', 'second']) {
            await atomicTransaction(root, [
              { write: 'a', data },
              { write: 'b', data },
            ])
          }
        },
        [root],
        { trace: ['fsync', 'pwrite64', 'write'] },
      )
      const records = calls.filter(({ name, args }) => name.includes('write') && args.includes('ATOMTXN1'))
      const [, second] = records
      const early = calls.filter(({ name, ended }) => name === 'fsync' && ended < (second?.began ?? 0))
      const flushed = early.filter(({ args }) => args.endsWith(`<${join(root, 'a')}>`))
      expect([records.length, flushed.length]).toEqual([2, 1])
    })
  },
)

testStrace(
  'a folder that is there already is flushed into the one above, in which nothing else changes',
  async ({ dir }) => {
    mkdirSync(join(dir, 'made', 'by', 'others'), { recursive: true })
    const { calls, returned } = await systemCalls(
      ({ atomicTransaction }, root) => atomicTransaction(root, [{ mkdir: 'made/by/others' }]),
      [dir],
      { trace: ['fsync'] },
    )
    expect(returned).toMatchObject({ transaction: null, durable: isDurable(dir), files: [] })
    expect(calls.filter(({ args }) => args.endsWith(`<${join(dir, 'made', 'by')}>`))).toHaveLength(1)
  },
)

needs('a C compiler')('a folder that cannot be flushed is not reported as durable', async ({ dir }) => {
  const make = ({ atomicTransaction }: Remote, root: string, mkdir: string) =>
    atomicTransaction(root, [{ mkdir }]).then(({ durable }) => durable)
  mkdirSync(join(dir, 'there'))
  for (const folder of ['there', 'new']) {
    const maker = inProcess(make, [dir, folder], { before: refusing({ fsync: 'EINVAL' }) })
    expect(await maker.returned).toBe(false)
  }
})

needs('linux')(
  'a journal is 64 KiB that are written, so that a record changes no metadata',
  async ({ dir }) => {
    const root = seed(dir)
    const journal = () => {
      const { size, blocks } = statSync(join(root, '.atomic', 'journal'))
      return { size, isWritten: blocks * 512 >= size }
    }
    for (const n of [1, 2]) {
      await raise({ atomicTransaction }, root, n)
      expect(journal()).toEqual({ size: 65_536, isWritten: true })
    }
  },
)
