// The commit protocol as the kernel sees it.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names, pattern } from '../helpers/files'
import { needs } from '../helpers/needs'
import { buildRefuse, refusing } from '../helpers/refuse'
import { steps } from '../helpers/steps'
import { type Call, Writer } from '../helpers/trace'

buildRefuse()

const traced = needs('strace that may attach')
const tracedAndRefused = needs('strace that may attach', 'a C compiler')

describe('the steps of a write', () => {
  traced('of a new file: written, flushed, read back, given its name, folder flushed', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x')
    const expected = ['stage without a name', 'write', 'fsync', 'pread64', 'link', 'fsync folder']
    expect(steps(calls, dir)).toStrictEqual(expected)
  })

  traced(
    'of a replaced file: its mode is set before the flush, the lock taken before it has a name',
    async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old')
      const writer = await Writer.start()
      const { calls } = await writer.traced(join(dir, 'file'), 'x')
      expect(steps(calls, dir)).toStrictEqual([
        ...['stage without a name', 'write', 'fchmod', 'fsync', 'pread64', 'flock'],
        ...['link to a temp name', 'rename', 'fsync folder'],
      ])
    },
  )

  tracedAndRefused('of a replaced file with names only', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    const writer = await Writer.start(refusing({ tmpfile: 'EOPNOTSUPP' }))
    const { calls } = await writer.traced(join(dir, 'file'), 'x')
    expect(steps(calls, dir)).toStrictEqual([
      ...['stage without a name', 'stage with a name', 'flock', 'write', 'fchmod', 'fsync', 'pread64'],
      ...['rename', 'fsync folder'],
    ])
  })

  tracedAndRefused('of wx with names only: the rename itself refuses a taken name', async ({ dir }) => {
    const writer = await Writer.start(refusing({ tmpfile: 'EOPNOTSUPP' }))
    const { calls } = await writer.traced(join(dir, 'file'), 'x', { flag: 'wx' })
    expect(steps(calls, dir)).toContain('rename to a free name')
    expect(steps(calls, dir)).not.toContain('rename')
  })

  traced('with flush: false: no fsync at all', async ({ dir }) => {
    const writer = await Writer.start()
    for (const path of [join(dir, 'file'), join(dir, 'file')]) {
      const { calls, result } = await writer.traced(path, 'x', { flush: false })
      expect(result).toMatchObject({ durable: false })
      expect(calls.filter(({ name }) => /sync/.test(name))).toStrictEqual([])
    }
  })

  traced('with verify: false: nothing is read back', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x', { verify: false })
    expect(calls.filter(({ name }) => name === 'pread64')).toStrictEqual([])
  })

  traced(
    "with verify: 'device': the pages are dropped after the flush and before the reading",
    async ({ dir }) => {
      const writer = await Writer.start()
      const { calls } = await writer.traced(join(dir, 'file'), 'x', { verify: 'device' })
      expect(steps(calls, dir).slice(1, 5)).toStrictEqual(['write', 'fsync', 'fadvise64', 'pread64'])
    },
  )

  traced('read back every byte of a large file', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x'.repeat(1_000_001))
    const read = calls.filter(({ name }) => name === 'pread64').map(({ result }) => Number(result))
    expect(read.reduce((a, b) => a + b)).toBe(1_000_001)
  })

  traced('that ifChanged skips: file and folder are flushed, nothing is staged', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'x')
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x', { ifChanged: true })
    expect(steps(calls, dir)).toStrictEqual(['pread64', 'fsync', 'fsync folder'])
  })

  traced(
    'never open a path twice: all after the folder is relative to it, until it is looked at once more',
    async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old')
      const writer = await Writer.start()
      const { calls } = await writer.traced(join(dir, 'file'), 'x')
      const absolute = calls.filter(({ args }) => args.includes(`"${dir}`))
      // Opened, asked where it is (and once in a process whether a transaction was interrupted there), and looked at when
      // the file has its name.
      const names = ['openat', 'readlink', 'readlink', 'statx', 'newfstatat']
      expect(absolute.map(({ name }) => name)).toStrictEqual(names)
    },
  )
})

describe('new folders', () => {
  /** The folders that were flushed. */
  const flushed = (calls: Call[]) =>
    calls.filter(({ name }) => name === 'fsync').map(({ args }) => /<(.*)>$/.exec(args)?.[1])

  traced('are flushed, with the one above them, before the call resolves', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'a', 'b', 'c', 'file'), 'x')
    expect(flushed(calls)).toEqual(expect.arrayContaining([dir, `${dir}/a`, `${dir}/a/b`, `${dir}/a/b/c`]))
  })

  traced('that a failing call made are flushed by it', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls, error } = await writer.traced(join(dir, 'a', 'b', 'file'), '\ud800')
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(flushed(calls)).toStrictEqual([dir, `${dir}/a`])
  })

  traced('whose flush failed are not called durable by the next call', async ({ dir }) => {
    const writer = await Writer.start()
    const path = join(dir, 'a', 'file')
    const { error } = await writer.traced(path, 'x', {}, 'fsync:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync' })
    expect(await writer.write(path, 'x')).toMatchObject({ result: { written: true, durable: false } })
  })

  traced('that a call with flush: false made are flushed, and nothing else', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'a', 'b', 'one'), 'x', { flush: false })
    expect(flushed(calls)).toStrictEqual([dir, `${dir}/a`])
  })
})

describe('a file of many blocks', () => {
  traced('is not written any further once the call is aborted', async ({ dir }) => {
    const writer = await Writer.start()
    const [path, size] = [join(dir, 'file'), 32 << 20]
    const options = { encoding: 'latin1', abort: true } as const
    const slowly = 'write:delay_enter=50000'
    const { calls, error } = await writer.traced(path, 'x'.repeat(size), options, slowly)
    expect(error).toMatchObject({ code: 'ABORT_ERR' })
    const taken = calls
      .filter(({ name }) => name === 'write')
      .map(({ result }) => Number.parseInt(result, 10))
    expect(taken.length).toBeGreaterThan(0)
    expect(taken.reduce((a, b) => a + b, 0)).toBeLessThan(size)
    expect(names(dir)).toStrictEqual([])
  })

  traced('is written in order and whole', async ({ dir }) => {
    const writer = await Writer.start()
    const text = pattern(9 << 20).toString('latin1')
    const { result } = await writer.traced(join(dir, 'file'), text)
    expect(result).toMatchObject({ bytes: Buffer.byteLength(text) })
    expect(readFileSync(join(dir, 'file'), 'utf8') === text).toBe(true)
  })
})
