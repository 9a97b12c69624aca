// Faults in the steps of an append: nothing of it is left, or the error says so.

import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AtomicError, appendLines, readLines } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { isDurable, names } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { ext4, mounted, needs, testUnprivileged, tmpfs, withAttribute } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

interface Came {
  code?: string
  committed?: boolean
  offset?: number
  lines?: number
  torn?: { path: string; offset: number; bytes: number }
}

/** In another process: what one append comes to. */
const came = ({ appendLines }: Remote, file: string, lines: string[], options: object): Promise<Came> =>
  appendLines(file, lines, options).then(
    ({ lines }) => ({ lines }),
    ({ code, committed, offset, torn }: AtomicError) => ({ code, committed, offset, torn }),
  )

/** The same, with faults in calls on the file. */
async function faulty(file: string, inject: string[], options = {}): Promise<Came> {
  const trace = ['write', 'fsync', 'ftruncate', 'pread64', 'flock']
  const lines = ['a'.repeat(99), 'b'.repeat(99)]
  const { returned } = await systemCalls(came, [file, lines, options], { trace, paths: [file], inject })
  return returned
}

const traced = needs('strace that may attach')

describe('a fault', () => {
  const old = 'old\n'
  const content = (file: string) => readFileSync(file, 'utf8')

  for (const [fault, expected] of [
    // The lock of the file is what keeps calls out that use another name of it.
    ['flock:error=EIO:when=1', { code: 'EIO' }],
    ['write:error=ENOSPC:when=1', { code: 'ENOSPC' }],
    ['write:error=EIO:when=1', { code: 'EIO' }],
    ['fsync:error=EIO:when=1', { code: 'EIO' }],
    ['write:retval=200:when=1', { code: 'ERR_ATOMIC_VERIFY' }],
    ['write:retval=50:when=1', { code: 'ERR_ATOMIC_VERIFY' }],
    ['pread64:poke_exit=@arg2=7a7a7a:when=2', { code: 'ERR_ATOMIC_VERIFY', offset: 4 }],
  ] as const) {
    traced(`${fault}: nothing of the lines is there`, async ({ file }) => {
      writeFileSync(file, old)
      const outcome = await faulty(file, [fault])
      expect(outcome).toMatchObject(expected)
      expect(outcome.committed).toBeUndefined()
      expect(content(file)).toBe(old)
    })
  }

  traced('of the flush of a new file: there is none', async ({ dir, file }) => {
    expect(await faulty(file, ['fsync:error=EIO:when=1'])).toMatchObject({ code: 'EIO' })
    expect(names(dir)).toEqual([])
  })

  traced('by a kill finds a new file with its mode, or none', async ({ file }) => {
    const trace = ['openat', 'fchmod', 'linkat']
    const { calls } = await systemCalls(came, [file, ['a'], { mode: 0o640 }], { trace })
    const mode = calls.findIndex(({ name, args }) => name === 'fchmod' && args.endsWith('0640'))
    const named = calls.findIndex(({ name, args }) => name === 'linkat' && args.includes('"index.json"'))
    expect(mode).toBeGreaterThanOrEqual(0)
    expect(named).toBeGreaterThan(mode)
    expect(statSync(file).mode & 0o777).toBe(0o640)
  })

  for (const fault of ['write:error=EIO:when=1', 'fsync:error=EIO:when=1']) {
    traced(`${fault}, after a torn line was set aside: the error says where that is`, async ({ file }) => {
      writeFileSync(file, `${old}half`)
      const { code, torn } = await faulty(file, [fault])
      expect({ code, torn }).toMatchObject({ code: 'EIO', torn: { offset: 4, bytes: 4 } })
      expect(content(torn?.path ?? '')).toBe('half')
      expect(content(file)).toBe(old)
    })
  }

  traced('of taking back what was written: committed', async ({ file }) => {
    writeFileSync(file, old)
    const faults = ['fsync:error=EIO:when=1', 'ftruncate:error=EIO:when=1']
    expect(await faulty(file, faults)).toMatchObject({ code: 'EIO', committed: true })
    expect(content(file)).toContain('b\n')
  })

  traced('of taking it back durably: committed', async ({ file }) => {
    writeFileSync(file, old)
    expect(await faulty(file, ['fsync:error=EIO:when=1+'])).toMatchObject({ code: 'EIO', committed: true })
  })
})

describe('a full disk', () => {
  for (const [name, options] of [
    ['in memory', () => tmpfs('256k')],
    ['ext4', (dir: string) => ext4(join(dir, 'disk'))],
  ] as const) {
    needs('root that may mount a disk')(`takes nothing of an append: ${name}`, async ({ dir }) => {
      await mounted(join(dir, 'mnt'), options(dir), async (at) => {
        const file = join(at, 'log')
        await appendLines(file, 'old')
        const lines = Array(200_000).fill('x'.repeat(99))
        await expect(appendLines(file, lines)).rejects.toMatchObject({ code: 'ENOSPC' })
        expect(readFileSync(file, 'utf8')).toBe('old\n')
        await appendLines(file, 'new')
        expect(readFileSync(file, 'utf8')).toBe('old\nnew\n')
      })
    })
  }
})

needs('root that may set immutable')('a file with chattr +a is appended to', async ({ dir, file }) => {
  writeFileSync(file, 'old\n')
  await withAttribute('a', file, async () => {
    expect(await appendLines(file, 'new')).toMatchObject({
      offset: 4,
      durable: isDurable(dir),
    })
  })
  expect(readFileSync(file, 'utf8')).toBe('old\nnew\n')
})

describe('a place where appends are refused', () => {
  testUnprivileged(
    'is a directory that may not be written: the error says what is made there',
    async ({ dir }) => {
      const { chmodSync } = await import('node:fs')
      const place = join(dir, 'place')
      mkdirSync(place)
      const file = join(place, 'log')
      writeFileSync(file, 'old\n')
      chmodSync(file, 0o666)
      chmodSync(place, 0o555)
      chmodSync(dir, 0o755)
      const refused = ({ appendLines }: Remote, file: string) =>
        appendLines(file, 'new').catch(({ code, message }: AtomicError) => ({ code, message }))
      const uid = process.getuid?.() === 0 ? { uid: 65534 } : {}
      expect(await inProcess(refused, [file], uid).returned).toMatchObject({
        code: 'EACCES',
        message: expect.stringContaining('the lock is made there'),
      })
      const read = async ({ readLines }: Remote, file: string) => (await readLines(file).next()).value
      expect(await inProcess(read, [file], uid).returned).toBe('old')
    },
  )

  needs('root that may mount FUSE')('is a file system without locks, and a network', async ({ dir }) => {
    await onPoorFs(join(dir, 'a'), { refuse: { flock: 'ENOSYS' } }, async (at) => {
      const code = 'ERR_ATOMIC_NO_LOCKS'
      await expect(appendLines(join(at, 'log'), 'a')).rejects.toMatchObject({ code })
    })
    await onPoorFs(join(dir, 'b'), { subtype: 'sshfs' }, async (at) => {
      const code = 'ERR_ATOMIC_NETWORK_FS'
      await expect(appendLines(join(at, 'log'), 'a')).rejects.toMatchObject({ code })
      expect(await appendLines(join(at, 'log'), 'a', { network: 'allow' })).toMatchObject({ durable: false })
      for await (const line of readLines(join(at, 'log'))) expect(line).toBe('a')
    })
  })
})
