// A fault in each step of the commit protocol.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { problemsOfEachFault } from '../helpers/each-fault'
import { leftovers, names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { buildRefuse, type Refusals, refusing } from '../helpers/refuse'
import { steps } from '../helpers/steps'
import { type Call, Writer } from '../helpers/trace'

buildRefuse()

const traced = needs('strace that may attach')
const tracedAndRefused = needs('strace that may attach', 'a C compiler')

describe('a fault', () => {
  const sameWriter = Writer.forAll()
  const old = 'the old file'
  const data = 'x'.repeat(1000)

  /** Injects `fault` into a write over an old file; the old one must stand. */
  async function refused(dir: string, fault: string, options: WriteOptions = {}, writing = sameWriter()) {
    const path = join(dir, 'file')
    writeFileSync(path, old)
    const writer = await writing
    const answer = await writer.traced(path, data, options, fault)
    expect(readFileSync(path, 'utf8')).toBe(old)
    expect(leftovers(dir)).toStrictEqual([])
    return answer
  }

  traced('in a write rejects with EIO', async ({ dir }) => {
    const { error } = await refused(dir, 'write:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'write' })
  })

  traced('in a write that takes no byte is an error, not a loop', async ({ dir }) => {
    const { error } = await refused(dir, 'write:retval=0:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'write' })
  })

  traced('in a write that did not happen, though the kernel says so: ERR_ATOMIC_VERIFY', async ({ dir }) => {
    const { error } = await refused(dir, 'write:retval=1000:when=1')
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_VERIFY', offset: 0 })
  })

  traced(
    'in a write that did not happen, though the kernel says that it did in part: ERR_ATOMIC_VERIFY',
    async ({ dir }) => {
      const { error, calls } = await refused(dir, 'write:retval=300:when=1')
      expect(
        calls.filter(({ name }) => name === 'write').map(({ args }) => args.split(', ').at(-1)),
      ).toStrictEqual(['1000', '700'])
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_VERIFY' })
    },
  )

  traced('in reading back that changes a byte: ERR_ATOMIC_VERIFY says which', async ({ dir }) => {
    const { error } = await refused(dir, 'pread64:poke_exit=@arg2=787979:when=1')
    expect(error).toMatchObject({
      ...{ code: 'ERR_ATOMIC_VERIFY', offset: 1, path: join(dir, 'file') },
      message: expect.stringMatching(/^ERR_ATOMIC_VERIFY: .* at offset 1, '/),
    })
  })

  traced('in reading back rejects with EIO', async ({ dir }) => {
    expect((await refused(dir, 'pread64:error=EIO:when=1')).error).toMatchObject({
      code: 'EIO',
      syscall: 'read',
    })
  })

  traced('in the fsync of the file rejects with EIO, and that is not retried', async ({ dir }) => {
    const { error, calls } = await refused(dir, 'fsync:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync' })
    expect(calls.filter(({ name }) => name === 'fsync')).toHaveLength(1)
  })

  // A disk does not get empty by waiting: that is for descriptors.
  for (const code of ['ENOSPC', 'EDQUOT']) {
    traced(`in a write rejects with ${code} at once`, async ({ dir }) => {
      const { error, calls } = await refused(dir, `write:error=${code}:when=1`)
      expect(error).toMatchObject({ code, syscall: 'write' })
      expect(calls.filter(({ name }) => name === 'write')).toHaveLength(1)
    })

    traced(`in the fsync of the file rejects with ${code} at once`, async ({ dir }) => {
      const { error, calls } = await refused(dir, `fsync:error=${code}:when=1`)
      expect(error).toMatchObject({ code, syscall: 'fsync' })
      expect(calls.filter(({ name }) => name === 'fsync')).toHaveLength(1)
    })
  }

  traced('in the rename rejects with both names', async ({ dir }) => {
    const { error } = await refused(dir, 'renameat:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'rename', dest: join(dir, 'file') })
    expect(error?.message).toBe(`EIO: i/o error, rename '${join(dir, 'file')}' -> '${join(dir, 'file')}'`)
  })

  traced('in setting the mode rejects', async ({ dir }) => {
    const { error } = await refused(dir, 'fchmod:error=EIO:when=1')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fchmod' })
  })

  for (const code of ['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT']) {
    traced(`in staging rejects with ${code} at once`, async ({ dir }) => {
      // Each time by a process that has not been in this folder, nor in one whose inode number this has: it opens more for its first write there.
      const { calls: dry } = await refused(dir, 'write:error=EIO:when=1', {}, Writer.start())
      const staging = dry.find(({ args }) => args.includes('O_TMPFILE'))
      const fault = `openat:error=${code}:when=${staging?.nth}`
      const { error, calls } = await refused(dir, fault, {}, Writer.start())
      expect(error).toMatchObject({ code, syscall: 'open' })
      expect(calls.filter(({ result }) => result.includes('INJECTED'))).toHaveLength(1)
    })
  }

  traced('in the fsync of the folder rejects as committed, and the new file is there', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, old)
    const writer = await sameWriter()
    const { error } = await writer.traced(path, data, {}, 'fsync:error=EIO:when=2')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync', committed: true })
    expect(readFileSync(path, 'utf8')).toBe(data)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('by which a file appears meanwhile: it is replaced', async ({ dir }) => {
    const path = join(dir, 'file')
    const { result, calls } = await (await sameWriter()).traced(path, data, {}, 'linkat:error=EEXIST:when=1')
    expect(result).toMatchObject({ written: true, bytes: 1000 })
    // Begun again: there is an owner and a mode to take over.
    expect(steps(calls, dir).filter((step) => step === 'stage without a name')).toHaveLength(2)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('by which a file appears meanwhile: wx is EEXIST', async ({ dir }) => {
    const path = join(dir, 'file')
    const options: WriteOptions = { flag: 'wx' }
    const { error } = await (await sameWriter()).traced(path, data, options, 'linkat:error=EEXIST:when=1')
    expect(error).toMatchObject({
      code: 'EEXIST',
      syscall: 'open',
      message: `EEXIST: file already exists, open '${path}'`,
    })
    expect(names(dir)).toStrictEqual([])
  })

  traced('in the close that reports lost writes rejects, before the commit', async ({ dir }) => {
    const path = join(dir, 'file')
    const [copy] = await closesOfTheStagedFile(dir)
    writeFileSync(path, old)
    const { error } = await (await Writer.start()).traced(path, data, {}, `close:error=EIO:when=${copy?.nth}`)
    expect(error).toMatchObject({ code: 'EIO', syscall: 'close' })
    expect(error).not.toHaveProperty('committed')
    expect(readFileSync(path, 'utf8')).toBe(old)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('in the close after the rename rejects as committed', async ({ dir }) => {
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
    traced(`of EINTR in ${call}: the call is repeated`, async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, old)
      const writer = await (call === 'openat' ? Writer.start() : sameWriter())
      const { result } = await writer.traced(path, data, {}, `${call}:error=EINTR:when=1`)
      expect(result).toMatchObject({ written: true, bytes: 1000 })
      expect(readFileSync(path, 'utf8')).toBe(data)
    })
  }

  for (const code of ['EMFILE', 'ENFILE', 'EAGAIN']) {
    traced(`that is transient, ${code} in opening, is retried until it has passed`, async ({ dir }) => {
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
    const title = `in any single call for ${what}: rejected and nothing changed, or done and whole`
    declare(title, async ({ dir }) => {
      const writer = await Writer.start(refusals && refusing(refusals))
      expect(await problemsOfEachFault(writer, dir, data, prepare)).toStrictEqual([])
    })
  }
})
