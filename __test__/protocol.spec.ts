// The commit protocol as the kernel sees it, and what becomes of a fault in each of its steps.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, pattern } from './helpers/files'
import { names } from './helpers/index-file'
import { needs } from './helpers/needs'
import { buildRefuse, type Refusals, refusing } from './helpers/refuse'
import { type Call, Writer, type Written } from './helpers/trace'

buildRefuse()

const traced = needs('strace that may attach')
const tracedAndRefused = needs('strace that may attach', 'a C compiler')

const isDirSync = (call: Call, dir: string) => call.name === 'fsync' && call.args.endsWith(`<${dir}>`)

/** The steps among the calls, in order, each as one word. */
function steps(calls: Call[], dir: string): string[] {
  return calls.flatMap((call) => {
    const { name, args } = call
    if (isDirSync(call, dir)) return ['fsync folder']
    if (name === 'openat' && args.includes('O_TMPFILE')) return ['stage without a name']
    if (name === 'openat' && args.includes('O_EXCL')) return ['stage with a name']
    if (name === 'linkat') return [args.includes('atomic-tmp') ? 'link to a temp name' : 'link']
    if (name === 'renameat') return ['rename']
    if (name === 'renameat2') return [args.includes('RENAME_NOREPLACE') ? 'rename to a free name' : 'rename']
    if (['write', 'fsync', 'pread64', 'fchmod', 'fadvise64', 'flock'].includes(name)) return [name]
    return []
  })
}

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

  traced('never open a path twice: all after the folder is relative to it', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    const writer = await Writer.start()
    const { calls } = await writer.traced(join(dir, 'file'), 'x')
    const absolute = calls.filter(({ args }) => args.includes(`"${dir}`))
    expect(absolute.map(({ name }) => name)).toStrictEqual(['openat'])
  })
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

describe('a fault', () => {
  const old = 'the old file'
  const data = 'x'.repeat(1000)

  /** Injects `fault` into a write over an old file; the old one must stand. */
  async function refused(dir: string, fault: string, options: WriteOptions = {}) {
    const path = join(dir, 'file')
    writeFileSync(path, old)
    const writer = await Writer.start()
    const answer = await writer.traced(path, data, options, fault)
    expect(readFileSync(path, 'utf8')).toBe(old)
    expect(leftovers(dir)).toStrictEqual([])
    expect(answer.open).toStrictEqual([])
    return answer
  }

  traced('in a write: EIO is told', async ({ dir }) => {
    const { error } = await refused(dir, 'write:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'write' })
  })

  traced('in a write of which nothing is taken: an error, not a loop', async ({ dir }) => {
    const { error } = await refused(dir, 'write:retval=0:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'write' })
  })

  traced('in a write that claims to have written: ERR_ATOMIC_VERIFY', async ({ dir }) => {
    const { error } = await refused(dir, 'write:retval=1000:when=1')
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_VERIFY', offset: 0 })
  })

  traced(
    'in a write that claims a part of it: goes on behind that, and ERR_ATOMIC_VERIFY',
    async ({ dir }) => {
      const { error, calls } = await refused(dir, 'write:retval=300:when=1')
      expect(
        calls.filter(({ name }) => name === 'write').map(({ args }) => args.split(', ').at(-1)),
      ).toStrictEqual(['1000', '700'])
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_VERIFY' })
    },
  )

  traced('in reading back, one byte being another: ERR_ATOMIC_VERIFY tells which', async ({ dir }) => {
    const { error } = await refused(dir, 'pread64:poke_exit=@arg2=787979:when=1')
    expect(error).toMatchObject({
      ...{ code: 'ERR_ATOMIC_VERIFY', offset: 1, path: join(dir, 'file') },
      message: expect.stringMatching(/^ERR_ATOMIC_VERIFY: .* at offset 1, '/),
    })
  })

  traced('in reading back: EIO is told', async ({ dir }) => {
    expect((await refused(dir, 'pread64:error=EIO:when=1')).error).toMatchObject({
      code: 'EIO',
      syscall: 'read',
    })
  })

  traced('in the fsync of the file: EIO is told, and it is not tried again', async ({ dir }) => {
    const { error, calls } = await refused(dir, 'fsync:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync' })
    expect(calls.filter(({ name }) => name === 'fsync')).toHaveLength(1)
  })

  for (const code of ['ENOSPC', 'EDQUOT']) {
    traced(`in the fsync of the file: ${code} is told at once`, async ({ dir }) => {
      const { error, calls } = await refused(dir, `fsync:error=${code}:when=1`)
      expect(error).toMatchObject({ code, syscall: 'fsync' })
      expect(calls.filter(({ name }) => name === 'fsync')).toHaveLength(1)
    })
  }

  traced('in the rename: told with both names', async ({ dir }) => {
    const { error } = await refused(dir, 'renameat:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'rename', dest: join(dir, 'file') })
    expect(error?.message).toBe(`EIO: i/o error, rename '${join(dir, 'file')}' -> '${join(dir, 'file')}'`)
  })

  traced('in setting the mode: told', async ({ dir }) => {
    const { error } = await refused(dir, 'fchmod:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fchmod' })
  })

  for (const code of ['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT']) {
    traced(`in staging: ${code} is told at once`, async ({ dir }) => {
      const { calls: dry } = await refused(dir, 'write:error=EIO:when=1')
      const staging = dry.find(({ args }) => args.includes('O_TMPFILE'))
      const { error, calls } = await refused(dir, `openat:error=${code}:when=${staging?.nth}`)
      expect(error).toMatchObject({ code, syscall: 'open' })
      expect(calls.filter(({ result }) => result.includes('INJECTED'))).toHaveLength(1)
    })
  }

  traced('in the fsync of the folder: told as committed, and the new file is there', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, old)
    const writer = await Writer.start()
    const { error } = await writer.traced(path, data, {}, 'fsync:error=EIO:when=2')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync', committed: true })
    expect(readFileSync(path, 'utf8')).toBe(data)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('that is a file which appears meanwhile: it is replaced', async ({ dir }) => {
    const path = join(dir, 'file')
    const { result, calls } = await (await Writer.start()).traced(
      path,
      data,
      {},
      'linkat:error=EEXIST:when=1',
    )
    expect(result).toMatchObject({ written: true, bytes: 1000 })
    // Begun again: there is an owner and a mode to take over.
    expect(steps(calls, dir).filter((step) => step === 'stage without a name')).toHaveLength(2)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('that is a file which appears meanwhile: wx is EEXIST', async ({ dir }) => {
    const path = join(dir, 'file')
    const options: WriteOptions = { flag: 'wx' }
    const { error } = await (await Writer.start()).traced(path, data, options, 'linkat:error=EEXIST:when=1')
    expect(error).toMatchObject({
      code: 'EEXIST',
      syscall: 'open',
      message: `EEXIST: file already exists, open '${path}'`,
    })
    expect(names(dir)).toStrictEqual([])
  })

  traced('in the close that tells of lost writes: told, before the commit', async ({ dir }) => {
    const path = join(dir, 'file')
    const [copy] = await closesOfTheStagedFile(dir)
    writeFileSync(path, old)
    const { error } = await (await Writer.start()).traced(path, data, {}, `close:error=EIO:when=${copy?.nth}`)
    expect(error).toMatchObject({ code: 'EIO', syscall: 'close' })
    expect(error).not.toHaveProperty('committed')
    expect(readFileSync(path, 'utf8')).toBe(old)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('in the close after the rename: told as committed', async ({ dir }) => {
    const path = join(dir, 'file')
    const last = (await closesOfTheStagedFile(dir)).at(-1)
    writeFileSync(path, old)
    const { error } = await (await Writer.start()).traced(path, data, {}, `close:error=EIO:when=${last?.nth}`)
    expect(error).toMatchObject({ code: 'EIO', syscall: 'close', committed: true })
    expect(readFileSync(path, 'utf8')).toBe(data)
  })

  /** Learnt from a write over an old file without a fault. */
  async function closesOfTheStagedFile(dir: string): Promise<Call[]> {
    writeFileSync(join(dir, 'file'), old)
    const { calls } = await (await Writer.start()).traced(join(dir, 'file'), data)
    const closes = calls.filter(({ name, args }) => name === 'close' && !args.endsWith(`<${dir}>`))
    expect(closes).toHaveLength(2)
    return closes
  }

  traced('before the commit has no committed property', async ({ dir }) => {
    const { error } = await refused(dir, 'fsync:error=EIO:when=1')
    expect(error).not.toHaveProperty('committed')
  })

  for (const call of ['write', 'pread64', 'fsync', 'openat']) {
    traced(`that is only a signal, in ${call}: the call is repeated`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, old)
      const writer = await Writer.start()
      const { result } = await writer.traced(path, data, {}, `${call}:error=EINTR:when=1`)
      expect(result).toMatchObject({ written: true, bytes: 1000 })
      expect(readFileSync(path, 'utf8')).toBe(data)
    })
  }

  for (const code of ['EMFILE', 'ENFILE', 'EAGAIN']) {
    traced(`that passes by itself, ${code} in opening: tried again until it has`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, old)
      const writer = await Writer.start()
      const { result } = await writer.traced(path, data, {}, `openat:error=${code}:when=1..5`)
      expect(result).toMatchObject({ written: true })
    })
  }

  const scenarios: [string, (dir: string) => [string, WriteOptions], Refusals?][] = [
    ['a new file', (dir) => [join(dir, 'file'), {}]],
    ['a replaced file', (dir) => [overwritten(dir), { mode: 0o640, verify: 'device' }]],
    ['a file made exclusively', (dir) => [join(dir, 'file'), { flag: 'wx' }]],
    ['new folders', (dir) => [join(dir, 'a', 'b', 'file'), {}]],
    ['a new file, with names only', (dir) => [join(dir, 'file'), {}], { tmpfile: 'EOPNOTSUPP' }],
    ['a replaced file, with names only', (dir) => [overwritten(dir), {}], { tmpfile: 'EOPNOTSUPP' }],
    [
      'a file made exclusively, with names only',
      (dir) => [join(dir, 'file'), { flag: 'wx' }],
      { tmpfile: 'EOPNOTSUPP' },
    ],
  ]
  function overwritten(dir: string) {
    writeFileSync(join(dir, 'file'), old)
    return join(dir, 'file')
  }
  for (const [what, prepare, refusals] of scenarios) {
    const declare = refusals ? tracedAndRefused : traced
    const title = `in any one call at all of ${what}: rejected and nothing changed, or done and whole`
    declare(title, async ({ dir }) => {
      const writer = await Writer.start(refusals && refusing(refusals))
      const attempt = async (name: string, fault?: string) => {
        const place = join(dir, name)
        mkdirSync(place)
        const [path, options] = prepare(place)
        const before = contentOf(path)
        const answer = await writer.traced(path, data, options, fault)
        return { ...answer, before, after: contentOf(path), left: leftovers(place) }
      }
      // What happens only the first time is not to be counted.
      await attempt('warm')
      const { calls, result } = await attempt('dry')
      expect(result).toMatchObject({ written: true })
      expect(calls.length).toBeGreaterThan(12)
      const problems: string[] = []
      for (const { name, nth } of calls) {
        const problem = verdict(name, await attempt(`${name}-${nth}`, `${name}:error=EIO:when=${nth}`))
        if (problem) problems.push(`${name} #${nth}: ${problem}`)
      }
      expect(problems).toStrictEqual([])
    })
  }

  const contentOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)

  type Attempt = Written & { before: string | undefined; after: string | undefined; left: string[] }

  function verdict(call: string, { result, error, open, before, after, left }: Attempt): string | undefined {
    if (after !== (error && !error.committed ? before : data))
      return `${error?.code ?? 'resolved'}, and ${after}`
    if (call === 'fsync' && result) return 'a failed flush, and yet it resolved'
    if (call === 'write' && result) return 'a failed write, and yet it resolved'
    // The injected failure of unlink is that of the clean-up itself; one of close leaves the descriptor open.
    if (call !== 'unlinkat' && left.length > 0) return `left ${left}`
    if (call !== 'close' && open.length > 0) return `still open: ${open}`
    return undefined
  }
})

describe('a file of many blocks', () => {
  traced('is not written any further once the call is aborted', async ({ dir }) => {
    const writer = await Writer.start()
    const [path, size] = [join(dir, 'file'), 64 << 20]
    const slow = 'write:delay_enter=50000'
    const { calls, error } = await writer.traced(
      path,
      'x'.repeat(size),
      { encoding: 'latin1', abortAfter: 300 },
      slow,
    )
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
