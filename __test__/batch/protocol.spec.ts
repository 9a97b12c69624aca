// A batch as the kernel sees it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WriteAllOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { times } from '../helpers/group'
import { needs } from '../helpers/needs'
import { type SystemCall, systemCalls } from '../helpers/system-calls'

const traced = needs('strace that may attach')

const trace = ['openat', 'write', 'pread64', 'fsync', 'fdatasync', 'sync_file_range', 'fadvise64']
const naming = ['linkat', 'renameat', 'renameat2']

/** Forty files in each of two folders, of which one in four is there, written in a process of its own. */
async function batch(dir: string, options: Omit<WriteAllOptions, 'signal'> = {}, inject: string[] = []) {
  const folders = ['a', 'b'].map((name) => join(dir, name))
  for (const folder of folders) {
    mkdirSync(folder)
    for (let at = 0; at < 40; at += 4) writeFileSync(join(folder, `${at}`), 'old')
  }
  const { returned, calls } = await systemCalls(
    ({ atomicWriteAll }, folders, options) =>
      atomicWriteAll(
        Array.from({ length: 80 }, (_, at) => ({
          path: `${folders[at % 2]}/${at >> 1}`,
          data: 'x'.repeat(1000 + at),
        })),
        options,
      ),
    [folders, options],
    { trace: [...trace, ...naming], inject },
  )
  const ours = calls.filter(({ args }) => args.includes(dir))
  return {
    returned,
    folders,
    calls: ours,
    of: (...wanted: string[]) => ours.filter(({ name }) => wanted.includes(name)),
  }
}

const isRename = ({ name, args }: SystemCall) => name.startsWith('renameat') && args.includes('atomic-tmp')
const isOfFolder = ({ args }: SystemCall, folders: string[]) =>
  folders.some((folder) => args.endsWith(`<${folder}>`))
const last = (calls: SystemCall[]) => Math.max(...calls.map(({ ended }) => ended))
const first = (calls: SystemCall[]) => Math.min(...calls.map(({ began }) => began))

describe('the steps of a batch', () => {
  traced(
    'all are written and read back, then flushed, then renamed, then each folder is flushed once',
    async ({ dir }) => {
      const { returned, folders, calls, of } = await batch(dir)
      expect(returned).toHaveLength(80)
      const renames = calls.filter(isRename)
      const flushes = of('fsync').filter((call) => !isOfFolder(call, folders))
      const folderFlushes = of('fsync').filter((call) => isOfFolder(call, folders))
      const read = of('pread64').filter(({ result }) => Number(result) >= 1000)
      expect([of('write').length, read.length, flushes.length, renames.length]).toStrictEqual([
        80, 80, 80, 80,
      ])
      expect(last([...of('write'), ...read])).toBeLessThan(first(flushes))
      expect(last(of('sync_file_range'))).toBeLessThan(first(flushes))
      expect(last(flushes)).toBeLessThan(first(renames))
      expect(folderFlushes.map(({ args }) => args.match(/<(.*)>/)?.[1]).sort()).toStrictEqual(folders)
      expect(last(renames)).toBeLessThan(first(folderFlushes))
    },
  )

  traced(
    'all have temp names before the first rename, and are renamed in the order of the entries',
    async ({ dir }) => {
      const { folders, calls, of } = await batch(dir)
      const renames = calls.filter(isRename)
      expect(last(of('linkat'))).toBeLessThan(first(renames))
      const to = renames.map(({ args }) => {
        const [, folder, name] = /<([^>]*)>, "([^"]*)"(?:, \w+)?$/.exec(args) ?? []
        return `${folder}/${name}`
      })
      expect(to).toStrictEqual(times(80, (at) => join(folders[at % 2] as string, `${at >> 1}`)))
    },
  )

  traced('many flushes run at once', async ({ dir }) => {
    const { folders, of } = await batch(dir, {}, ['fsync:delay_enter=20000'])
    const flushes = of('fsync').filter((call) => !isOfFolder(call, folders))
    const atOnce = flushes.map(
      ({ began }) => flushes.filter((other) => other.began <= began && other.ended > began).length,
    )
    expect(Math.max(...atOnce)).toBeGreaterThan(8)
    expect(Math.max(...atOnce)).toBeLessThanOrEqual(32)
  })

  traced('with flush: false nothing is flushed', async ({ dir }) => {
    const { returned, of } = await batch(dir, { flush: false })
    expect(returned).toHaveLength(80)
    expect(of('fsync', 'fdatasync', 'sync_file_range')).toStrictEqual([])
  })

  traced('with verify: false nothing is read back', async ({ dir }) => {
    const { of } = await batch(dir, { verify: false })
    expect(of('pread64').filter(({ result }) => Number(result) >= 1000)).toStrictEqual([])
  })

  traced(
    "with verify: 'device' each is read back after its flush, before the first rename",
    async ({ dir }) => {
      const { calls, folders, of } = await batch(dir, { verify: 'device' })
      const read = of('pread64').filter(({ result }) => Number(result) >= 1000)
      const flushes = of('fsync').filter((call) => !isOfFolder(call, folders))
      expect(read).toHaveLength(80)
      expect(of('fadvise64')).toHaveLength(80)
      const flushedBefore = read.map(({ began }) => flushes.filter(({ ended }) => ended < began).length)
      expect(flushedBefore.every((flushed, at) => flushed > at)).toBe(true)
      expect(last(read)).toBeLessThan(first(calls.filter(isRename)))
    },
  )

  traced('what ifChanged leaves alone is flushed, with its folder, and not renamed', async ({ dir }) => {
    for (const name of ['0', '1', '2']) writeFileSync(join(dir, name), 'same')
    const { returned, calls } = await systemCalls(
      ({ atomicWriteAll }, dir) =>
        atomicWriteAll(
          Array.from({ length: 3 }, (_, at) => ({ path: `${dir}/${at}`, data: 'same' })),
          { ifChanged: true },
        ),
      [dir],
      { trace: ['fsync', 'write', ...naming] },
    )
    expect(returned.map(({ written }) => written)).toStrictEqual([false, false, false])
    const ours = calls.filter(({ args }) => args.includes(dir))
    expect(ours.map(({ name }) => name)).toStrictEqual(['fsync', 'fsync', 'fsync', 'fsync'])
    expect(ours.at(-1)?.args).toContain(`<${dir}>`)
  })

  traced('a file of the wrong size is not read for ifChanged', async ({ dir }) => {
    writeFileSync(join(dir, '0'), 'another size')
    const { calls } = await systemCalls(
      ({ atomicWriteAll }, dir) =>
        atomicWriteAll([{ path: `${dir}/0`, data: 'same' }], { ifChanged: true, verify: false }),
      [dir],
      { trace: ['pread64', 'read'] },
    )
    expect(calls.filter(({ args }) => args.includes(`${dir}/0`))).toStrictEqual([])
    expect(names(dir)).toStrictEqual(['0'])
  })
})
