// Faults in the system calls of a file that is written piece by piece, and kills at each of them.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite, type WriteOptions } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { problemsOfEachFault } from '../helpers/each-fault'
import { leftovers, names, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { buildRefuse, type Refusals, refusing } from '../helpers/refuse'
import { steps } from '../helpers/steps'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { Writer } from '../helpers/trace'

buildRefuse()

const traced = needs('strace that may attach')
const tracedAndRefused = needs('strace that may attach', 'a C compiler')
const refused = needs('linux', 'a C compiler')

const old = 'the old file'
/** Two jobs of more than one write each. */
const pieces = ['a'.repeat(70_000), 'b'.repeat(10), 'c'.repeat(70_000)]
const whole = pieces.join('')

function overwritten(dir: string) {
  writeFileSync(join(dir, 'file'), old)
  return join(dir, 'file')
}

describe('the steps of a commit', () => {
  traced('are those of atomicWrite: flush, read back, close, rename, flush the folder', async ({ dir }) => {
    const writer = await Writer.start()
    await writer.write(join(dir, 'warm'), ['x'])
    const { calls, result } = await writer.traced(overwritten(dir), pieces)
    expect(result).toStrictEqual(written(dir, whole.length))
    const order = steps(calls, dir).filter((step, at, all) => step !== all[at - 1])
    expect(order).toStrictEqual([
      ...['stage without a name', 'write', 'fchmod', 'fsync', 'pread64'],
      ...['flock', 'link to a temp name', 'rename', 'fsync folder'],
    ])
  })

  traced('with ifChanged and another size: the old file is not opened', async ({ dir }) => {
    const writer = await Writer.start()
    const { calls, result } = await writer.traced(overwritten(dir), pieces, { ifChanged: true })
    expect(result).toMatchObject({ written: true })
    expect(calls.filter(({ name, args }) => name === 'openat' && args.includes('"file"'))).toStrictEqual([])
    // Once for the verification, and not once more for the comparison.
    const read = calls
      .filter(({ name }) => name === 'pread64')
      .map(({ result }) => Number.parseInt(result, 10))
    expect(read.reduce((sum, bytes) => sum + bytes, 0)).toBe(whole.length)
  })

  traced('with flush: false flush nothing', async ({ dir }) => {
    const { calls } = await (await Writer.start()).traced(overwritten(dir), pieces, { flush: false })
    expect(calls.filter(({ name }) => name === 'fsync')).toStrictEqual([])
  })
})

describe('a fault', () => {
  const sameWriter = Writer.forAll()

  async function withFault(dir: string, call: string, nth: number, fault: string, options = {}) {
    const writer = await sameWriter()
    const { calls } = await writer.traced(overwritten(dir), pieces)
    // strace counts also what libuv does on the thread: the number of our nth call of that name.
    const when = calls.filter(({ name }) => name === call)[nth - 1]?.nth
    const path = overwritten(dir)
    const answer = await writer.traced(path, pieces, options, `${call}:${fault}:when=${when}`)
    expect(answer.calls.filter(({ result }) => result.includes('INJECTED'))).toHaveLength(1)
    return { ...answer, found: readFileSync(path, 'utf8') }
  }

  for (const [what, call, nth, fault, error] of [
    ['in a write', 'write', 2, 'error=EIO', { code: 'EIO', syscall: 'write' }],
    ['in a write that takes no byte', 'write', 2, 'retval=0', { code: 'EIO', syscall: 'write' }],
    [
      'in a write that did not happen, though the kernel says so,',
      'write',
      1,
      'retval=70000',
      { code: 'ERR_ATOMIC_VERIFY' },
    ],
    [
      'in a write that did not happen, though the kernel says that it did in part,',
      'write',
      1,
      'retval=300',
      { code: 'ERR_ATOMIC_VERIFY' },
    ],
    [
      'in reading back that changes a byte',
      'pread64',
      1,
      'poke_exit=@arg2=787979',
      { code: 'ERR_ATOMIC_VERIFY' },
    ],
    ['in reading back', 'pread64', 1, 'error=EIO', { code: 'EIO', syscall: 'read' }],
    ['in the fsync of the file', 'fsync', 1, 'error=EIO', { code: 'EIO', syscall: 'fsync' }],
    ['in the rename', 'renameat', 1, 'error=EIO', { code: 'EIO', syscall: 'rename' }],
  ] as const) {
    traced(`${what} rejects, and the old file stands`, async ({ dir }) => {
      const answer = await withFault(dir, call, nth, fault)
      expect(answer.error).toMatchObject(error)
      expect(answer.error).not.toHaveProperty('committed')
      expect(answer.found).toBe(old)
      expect(names(dir)).toStrictEqual(['file'])
    })
  }

  traced('of EINTR: the write is repeated', async ({ dir }) => {
    const { result, found } = await withFault(dir, 'write', 2, 'error=EINTR')
    expect(result).toStrictEqual(written(dir, whole.length))
    expect(found === whole).toBe(true)
  })

  traced('in the fsync of the folder rejects as committed', async ({ dir }) => {
    const path = overwritten(dir)
    const { error } = await (await sameWriter()).traced(path, pieces, {}, 'fsync:error=EIO:when=2')
    expect(error).toMatchObject({ code: 'EIO', syscall: 'fsync', committed: true })
    expect(readFileSync(path, 'utf8') === whole).toBe(true)
    expect(names(dir)).toStrictEqual(['file'])
  })

  traced('in the fsync of the folder: the file is committed, and later calls say so', async ({ dir }) => {
    const { returned } = await systemCalls(
      async ({ AtomicFile }, path) => {
        const file = await AtomicFile.open(path)
        const code = (promise: Promise<unknown>) =>
          promise.then(
            () => 'resolved',
            ({ code, committed }) => `${code} ${committed}`,
          )
        return [
          await code(file.commit()),
          await code(file.commit()),
          await code(file.write('x')),
          await code(file.abort()),
          await code(file[Symbol.asyncDispose]()),
        ]
      },
      [overwritten(dir)],
      { trace: ['fsync'], paths: [dir], inject: ['fsync:error=EIO'] },
    )
    const failed = 'EIO true'
    expect(returned).toStrictEqual([failed, failed, failed, 'ERR_INVALID_STATE undefined', 'resolved'])
  })

  for (const call of ['openat', 'linkat'] as const) {
    traced(`that is transient, EMFILE in ${call}, is retried until it has passed`, async ({ dir }) => {
      const path = overwritten(dir)
      const fault = `${call}:error=EMFILE:when=1..5`
      const { result } = await (await Writer.start()).traced(path, pieces, {}, fault)
      expect(result).toMatchObject({ written: true })
      expect(readFileSync(path, 'utf8') === whole).toBe(true)
    })
  }

  traced('by which a file appears meanwhile: it is replaced', async ({ dir }) => {
    const path = join(dir, 'file')
    const writer = await sameWriter()
    const { result } = await writer.traced(path, pieces, {}, 'linkat:error=EEXIST:when=1')
    expect(result).toMatchObject({ written: true })
    const { error } = await writer.traced(
      ...([join(dir, 'wx'), pieces, { flag: 'wx' }, 'linkat:error=EEXIST:when=1'] as const),
    )
    expect(error).toMatchObject({ code: 'EEXIST', syscall: 'open' })
    expect(names(dir)).toStrictEqual(['file'])
  })
})

const named: Refusals = { tmpfile: 'EOPNOTSUPP' }
const scenarios: [string, (dir: string) => [string, WriteOptions], Refusals?][] = [
  ['a new file', (dir) => [join(dir, 'file'), {}]],
  ['a replaced file', (dir) => [overwritten(dir), { mode: 0o640 }]],
  ['a file made exclusively', (dir) => [join(dir, 'file'), { flag: 'wx' }]],
  ['a replaced file, with names only', (dir) => [overwritten(dir), {}], named],
]

describe('a fault in any single call', () => {
  for (const [what, prepare, refusals] of scenarios) {
    const declare = refusals ? tracedAndRefused : traced
    declare(`of ${what}: rejected and nothing changed, or done and whole`, async ({ dir }) => {
      const writer = await Writer.start(refusals && refusing(refusals))
      expect(await problemsOfEachFault(writer, dir, pieces, prepare)).toStrictEqual([])
    })
  }
})

describe('a kill at any single call', () => {
  for (const [what, prepare, refusals] of [scenarios[0], scenarios[1], scenarios[3]] as typeof scenarios) {
    const declare = refusals ? tracedAndRefused : traced
    declare(`of ${what}: the old file or the new, and nothing after the next write`, async ({ dir }) => {
      const start = () => Writer.start(refusals && refusing(refusals))
      const place = (name: string) => {
        mkdirSync(join(dir, name))
        return prepare(join(dir, name))
      }
      const [first, options] = place('dry')
      const { calls } = await (await start()).traced(first, pieces, options)
      expect(calls.length).toBeGreaterThan(12)
      const problems: string[] = []
      for (let at = 0; at < calls.length; at += 4) {
        const four = calls.slice(at, at + 4).map(async ({ name, nth }) => {
          const [path, options] = place(`${name}-${nth}`)
          const before = existsSync(path) ? old : undefined
          const killed = await (await start())
            .traced(path, pieces, options, `${name}:signal=SIGKILL:when=${nth}`)
            .then(
              () => false,
              () => true,
            )
          const after = existsSync(path) ? readFileSync(path, 'utf8') : undefined
          if (!killed) problems.push(`${name} #${nth} did not kill`)
          if (after !== before && after !== whole) problems.push(`${name} #${nth}: ${after?.length}`)
        })
        await Promise.all(four)
      }
      expect(problems).toStrictEqual([])
      // A process sweeps a folder once, which it knows by the inode.
      await inProcess(
        ({ atomicWrite }, paths) => Promise.all(paths.map((path) => atomicWrite(path, 'next'))),
        [names(dir).map((name) => join(dir, name, 'file'))],
      ).returned
      expect(leftovers(dir)).toStrictEqual([])
    })
  }
})

const kernels: [string, Refusals][] = [
  ['files without a name', named],
  ['to link (a sandbox)', { linkat: 'EPERM' }],
  ['hard links (a file system)', { tmpfile: 'EOPNOTSUPP', linkat: 'EPERM' }],
  ['to rename without replacing', { tmpfile: 'EOPNOTSUPP', renameat2: 'EINVAL' }],
]

describe('on a system that refuses', () => {
  for (const [what, refusals] of kernels) {
    refused(`${what}, files are made and replaced, several at once`, async ({ dir }) => {
      writeFileSync(join(dir, 'old'), old, { mode: 0o604 })
      const results = await inProcess(
        async ({ AtomicFile }, dir) => {
          process.umask(0o027)
          const write = async (path: string, options = {}) => {
            const file = await AtomicFile.open(path, options)
            for (const [letter, times] of [
              ['a', 70_000],
              ['b', 10],
              ['c', 70_000],
            ] as const) {
              await file.write(letter.repeat(times))
            }
            return file
          }
          // All are staged before the first finds out that it needs a name.
          const files = await Promise.all([
            ...['new', 'old', 'new'].map((name) => write(`${dir}/${name}`)),
            write(`${dir}/wx`, { flag: 'wx' }),
            write(`${dir}/mode`, { mode: 0o777 }),
          ])
          return Promise.all(files.map((file) => file.commit()))
        },
        [dir],
        { before: refusing(refusals) },
      ).returned
      expect(results).toStrictEqual(Array.from({ length: 5 }, () => written(dir, whole.length)))
      const found = ['mode', 'new', 'old', 'wx']
      expect(names(dir)).toStrictEqual(found)
      for (const name of found) expect(readFileSync(join(dir, name), 'utf8') === whole, name).toBe(true)
      const modes = found.map((name) => (statSync(join(dir, name)).mode & 0o777).toString(8))
      expect(modes).toStrictEqual(['777', '640', '604', '640'])
    })

    refused(`${what}, a file that is aborted leaves nothing`, async ({ dir }) => {
      const left = await inProcess(
        async ({ AtomicFile, require }, path) => {
          const file = await AtomicFile.open(path)
          await file.write('x'.repeat(100_000))
          await file.abort()
          return require('node:fs').readdirSync(require('node:path').dirname(path))
        },
        [join(dir, 'file')],
        { before: refusing(refusals) },
      ).returned
      expect(left).toStrictEqual([])
    })
  }
})

test('a file that is written piece by piece while its folder is swept is not taken for an orphan', async ({
  dir,
}) => {
  const child = inProcess(
    async ({ AtomicFile, send, receive }, path) => {
      const file = await AtomicFile.open(path)
      await file.write('x')
      send('open')
      await receive()
      return file.commit()
    },
    [join(dir, 'file')],
  )
  await child.next()
  await atomicWrite(join(dir, 'other'), 'x')
  child.send('go on')
  expect(await child.returned).toMatchObject({ written: true })
})
