// `fallback: 'in-place'`: a file that cannot be replaced is overwritten, for callers who ask for that.

import {
  chmodSync,
  chownSync,
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { makeDir, names, state, written } from '../helpers/files'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { bound, mounted, needs, OTHER_USER, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { Writer } from '../helpers/trace'
import { NOBODY } from '../helpers/users'

const inPlace = { fallback: 'in-place' } as const

describe('a single file that is mounted', () => {
  const mountable = needs('linux', 'root that may mount')
  /** Makes a file of the host, and mounts it as a container sees it. */
  const inContainer = async (
    dir: string,
    old: string,
    body: (file: string, host: string) => Promise<unknown>,
  ) => {
    const [host, file] = [join(makeDir(dir, 'host'), 'file'), join(makeDir(dir, 'container'), 'file')]
    writeFileSync(host, old)
    writeFileSync(file, '')
    await bound(host, file, () => body(file, host))
    expect(names(join(dir, 'host'))).toStrictEqual(['file'])
  }

  mountable('is overwritten: longer, shorter and empty', ({ dir }) =>
    inContainer(dir, 'old', async (file, host) => {
      const { ino } = statSync(host)
      for (const content of ['a longer content', 'x', '', 'y'.repeat(3_000_000)]) {
        expect(await atomicWrite(file, content, inPlace)).toStrictEqual(
          written(dir, content.length, { atomic: false }),
        )
        expect(readFileSync(host, 'utf8')).toBe(content)
      }
      expect(statSync(host).ino).toBe(ino)
      expect(names(join(file, '..'))).toStrictEqual(['file'])
    }),
  )

  mountable('is left alone if it has the content already', ({ dir }) =>
    inContainer(dir, 'old', async (file, host) => {
      const before = state(host)
      const result = await atomicWrite(file, 'old', { ...inPlace, ifChanged: true })
      expect(result).toMatchObject({ written: false, atomic: true })
      expect(state(host)).toStrictEqual(before)
    }),
  )

  mountable('is an error without the option, and with wx', ({ dir }) =>
    inContainer(dir, 'old', async (file, host) => {
      expect(await rejection(atomicWrite(file, 'new'))).toMatchObject({ code: 'EBUSY' })
      expect(await rejection(atomicWrite(file, 'new', { ...inPlace, flag: 'wx' }))).toMatchObject({
        code: 'EEXIST',
      })
      expect(readFileSync(host, 'utf8')).toBe('old')
    }),
  )

  mountable('has the content of the last of many calls', ({ dir }) =>
    inContainer(dir, 'old', async (file, host) => {
      await Promise.all([...Array(50).keys()].map((n) => atomicWrite(file, `${n}`.repeat(n + 1), inPlace)))
      expect(readFileSync(host, 'utf8')).toBe('49'.repeat(50))
    }),
  )

  mountable('as an index loses no update of several containers', async ({ dir }) => {
    const host = join(makeDir(dir, 'host'), 'index.json')
    writeJson(host, { n: 0 })
    const count = async ({ atomicIndexUpdate }: Remote, file: string) => {
      const add = ({ n }: { n: number }) => ({ n: n + 1 })
      const options = { fallback: 'in-place', flush: false } as const
      const results: unknown[] = []
      for (let round = 0; round < 25; round++) {
        results.push((await atomicIndexUpdate(file, add as never, options)).atomic)
      }
      return results
    }
    const containers = [1, 2, 3].map((n) => join(makeDir(dir, `container-${n}`), 'index.json'))
    for (const file of containers) writeFileSync(file, '')
    const [one, two, three] = containers as [string, string, string]
    await bound(host, one, () =>
      bound(host, two, () =>
        bound(host, three, async () => {
          const results = await Promise.all(containers.map((file) => inProcess(count, [file]).returned))
          expect(new Set(results.flat())).toStrictEqual(new Set([false]))
          expect(readJson(host)).toEqual({ n: 75 })
        }),
      ),
    )
  })

  mountable('as an index may have a backup whose name differs in case only', ({ dir }) =>
    inContainer(dir, '{"n":1}', async (file) => {
      const backup = join(file, '..', 'FILE')
      await atomicIndexUpdate(file, increment, { ...inPlace, backup })
      expect([readJson(file), readJson(backup)]).toEqual([{ n: 2 }, { n: 1 }])
      const error = await rejection(atomicIndexUpdate(file, increment, { ...inPlace, backup: file }))
      expect(error).toMatchObject({ code: 'EINVAL' })
    }),
  )

  mountable('as an index keeps its backup', ({ dir }) =>
    inContainer(dir, '{"n":1}', async (file, host) => {
      const result = await atomicIndexUpdate(file, increment, { ...inPlace, backup: true })
      expect(result).toMatchObject({ written: true, atomic: false, durable: written(dir, 0).durable })
      expect([readJson(host), readJson(`${file}.backup`)]).toEqual([{ n: 2 }, { n: 1 }])
      expect(names(join(file, '..'))).toStrictEqual(['file', 'file.backup'])
    }),
  )

  // A kernel before 4.11, and the sandboxes of containers for years. Between 4.11 and 5.8 it answers, without this fact.
  for (const reason of ['ENOSYS', 'EPERM']) {
    needs(
      'linux',
      'root that may mount',
      'strace that may attach',
    )(`is overwritten where statx(2) says ${reason} instead of that it is mounted`, ({ dir }) =>
      inContainer(dir, '{"n":1}', async (file) => {
        const backup = join(dir, 'backup')
        const change = async ({ atomicIndexUpdate, atomicWrite }: Remote, file: string, backup: string) => {
          const inPlace = { fallback: 'in-place' } as const
          const add = ({ n }: any) => ({ n: n + 1 })
          return [
            await atomicIndexUpdate(file, add).catch(({ code, message }) => ({ code, message })),
            await atomicIndexUpdate(file, add, inPlace),
            await atomicIndexUpdate(file, add, { ...inPlace, backup }),
            await atomicWrite(file, '{"n":9}', inPlace),
          ]
        }
        const inject = [`statx:error=${reason}`]
        const { returned } = await systemCalls(change, [file, backup], { trace: ['statx'], inject })
        const overwritten = expect.objectContaining({ written: true, atomic: false })
        expect(returned).toEqual([
          { code: 'EBUSY', message: expect.stringContaining('it is a mount point') },
          ...Array(3).fill(overwritten),
        ])
        expect([readJson(file), readJson(backup)]).toEqual([{ n: 9 }, { n: 2 }])
        expect(names(join(file, '..'))).toStrictEqual(['file'])
      }),
    )
  }

  mountable('on a full disk keeps its content', ({ dir }) =>
    mounted(join(dir, 'full'), tmpfs('64k'), async (full) => {
      const [host, file] = [join(full, 'file'), join(makeDir(dir, 'container'), 'file')]
      writeFileSync(host, 'old')
      writeFileSync(file, '')
      await bound(host, file, async () => {
        const error = await rejection(atomicWrite(file, 'x'.repeat(100_000), inPlace))
        expect(error).toMatchObject({ code: 'ENOSPC', path: file })
        expect(error).not.toHaveProperty('committed')
        expect(readFileSync(host, 'utf8')).toBe('old')

        const backup = join(dir, 'backup')
        writeFileSync(backup, 'older')
        await atomicWrite(file, '{}', inPlace)
        const large = () => ({ text: 'x'.repeat(100_000) })
        expect(await rejection(atomicIndexUpdate(file, large, { ...inPlace, backup }))).toMatchObject({
          code: 'ENOSPC',
        })
        expect([readFileSync(host, 'utf8'), readFileSync(backup, 'utf8')]).toStrictEqual(['{}', 'older'])
      })
    }),
  )

  needs(
    'linux',
    'root that may mount',
    'strace that may attach',
  )(
    'is what it was after an error in any of the calls that change it, or the error says otherwise',
    ({ dir }) =>
      inContainer(dir, '', async (file, host) => {
        const writer = await Writer.start()
        const attempt = async (fault?: string) => {
          writeFileSync(host, 'the old content')
          const answer = await writer.traced(file, 'new', inPlace, fault)
          return { ...answer, after: readFileSync(host, 'utf8') }
        }
        const { calls, result } = await attempt()
        expect(result).toMatchObject({ written: true, atomic: false })
        expect(calls.map(({ name }) => name)).toEqual(
          expect.arrayContaining(['fallocate', 'write', 'ftruncate', 'fsync']),
        )
        const problems: string[] = []
        const changing = ['fallocate', 'lseek', 'write', 'ftruncate', 'fsync', 'pread64']
        const reported = ['write', 'ftruncate', 'fsync', 'fallocate', 'flock', 'close']
        // The lock is taken and given back; the file is closed by a copy, and then again.
        const first = (name: string) => calls.find((call) => call.name === name && call.args.includes(file))
        const faulty = calls.filter(
          (call) => changing.includes(call.name) || call === first('flock') || call === first('close'),
        )
        expect(faulty.map(({ name }) => name)).toEqual(expect.arrayContaining(reported))
        for (const { name, nth } of faulty) {
          for (const code of ['EIO', 'ENOSPC']) {
            const { result, error, after } = await attempt(`${name}:error=${code}:when=${nth}`)
            const isLost = result && reported.includes(name) && code === 'EIO'
            const isWrong = result ? after !== 'new' : !error?.committed && after !== 'the old content'
            if (isLost || isWrong)
              problems.push(`${name} #${nth} ${code}: ${error?.message ?? 'resolved'}, ${after}`)
          }
        }
        expect(problems).toStrictEqual([])
      }),
  )

  needs(
    'linux',
    'root that may mount',
    'strace that may attach',
  )('may hold a part of the new content after an error, and the error says so', ({ dir }) =>
    inContainer(dir, 'old', async (file) => {
      const write = ({ atomicWrite }: Remote, file: string) =>
        atomicWrite(file, 'new', { fallback: 'in-place' }).catch(({ code, committed, message }) => ({
          ...{ code, committed, message },
        }))
      const { returned } = await systemCalls(write, [file], {
        trace: ['fsync'],
        inject: ['fsync:error=EIO'],
      })
      expect(returned).toMatchObject({ code: 'EIO', committed: true })
      expect(returned).toHaveProperty(
        'message',
        expect.stringContaining('may hold a part of the new content'),
      )
    }),
  )
})

describe('a file that may be written, in a folder that may not', () => {
  const write = ({ atomicWrite }: Remote, path: string) =>
    atomicWrite(path, 'new', { fallback: 'in-place' }).catch(({ code }) => code)
  const update = ({ atomicIndexUpdate }: Remote, path: string) =>
    atomicIndexUpdate(path, ({ n }: any) => ({ n: n + 1 }), { fallback: 'in-place' }).catch(
      ({ code }) => code,
    )

  for (const mode of [0o755, 0o1777]) {
    needs('linux', ...OTHER_USER)(`is overwritten: ${mode.toString(8)}`, async ({ dir }) => {
      const [file, index] = [join(dir, 'file'), join(dir, 'index.json')]
      writeFileSync(file, 'old')
      writeJson(index, { n: 1 })
      for (const path of [file, index]) chmodSync(path, 0o666)
      chmodSync(dir, mode)
      expect(await inProcess(write, [file], { uid: NOBODY }).returned).toMatchObject({ atomic: false })
      expect(await inProcess(update, [index], { uid: NOBODY }).returned).toMatchObject({ atomic: false })
      expect([readFileSync(file, 'utf8'), readJson(index)]).toEqual(['new', { n: 2 }])
      expect(names(dir)).toStrictEqual(['file', 'index.json'])
    })
  }

  needs('linux', ...OTHER_USER)(
    'is an error if it may not be written either, or is not there',
    async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old')
      chmodSync(dir, 0o755)
      for (const name of ['file', 'new', 'index.json']) {
        const main = name === 'index.json' ? update : write
        expect(await inProcess(main, [join(dir, name)], { uid: NOBODY }).returned).toBe('EACCES')
      }
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
      expect(names(dir)).toStrictEqual(['file'])
    },
  )

  needs('linux', 'root that may mount')('because it is on a read-only file system', async ({ dir }) => {
    const [host, folder] = [join(makeDir(dir, 'host'), 'index.json'), makeDir(dir, 'folder')]
    const file = join(folder, 'index.json')
    writeJson(host, { n: 1 })
    writeFileSync(file, '')
    await mounted(folder, ['--bind', '-o', 'ro', folder], () =>
      bound(host, file, async () => {
        expect(await atomicIndexUpdate(file, increment, inPlace)).toMatchObject({ atomic: false })
        expect(await atomicWrite(file, '{"n":3}', inPlace)).toMatchObject({ atomic: false })
        const error = await rejection(atomicWrite(join(folder, 'new'), '', inPlace))
        expect(error.message).toContain('its directory is on a read-only file system')
      }),
    )
    expect(readJson(host)).toEqual({ n: 3 })
  })
})

needs('linux', ...OTHER_USER)(
  'an index that another program replaces meanwhile is read again',
  async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    chmodSync(file, 0o666)
    chmodSync(dir, 0o755)
    const update = ({ atomicIndexUpdate, send, receive }: Remote, file: string) =>
      atomicIndexUpdate(
        file,
        async ({ n }: any) => {
          send(n)
          await receive()
          return { n: n + 1 }
        },
        { fallback: 'in-place' },
      )
    const running = inProcess(update, [file], { uid: NOBODY })
    expect(await running.next()).toBe(1)
    writeJson(join(dir, 'new.json'), { n: 10 })
    chmodSync(join(dir, 'new.json'), 0o666)
    renameSync(join(dir, 'new.json'), file)
    running.send('go on')
    expect(await running.next()).toBe(10)
    running.send('go on')
    expect(await running.returned).toMatchObject({ atomic: false })
    expect(readJson(file)).toEqual({ n: 11 })
  },
)

needs('linux', ...OTHER_USER)(
  'a backup that cannot be replaced does not have the index overwritten',
  async ({ dir }) => {
    const [own, sticky] = [makeDir(dir, 'own'), makeDir(dir, 'sticky')]
    chmodSync(dir, 0o755)
    chownSync(own, NOBODY, NOBODY)
    chmodSync(sticky, 0o1777)
    const [file, backup] = [join(own, 'index.json'), join(sticky, 'backup')]
    writeJson(file, { n: 1 })
    writeJson(backup, { older: true })
    for (const path of [file, backup]) chmodSync(path, 0o666)
    const before = [state(file), state(backup)]
    const update = ({ atomicIndexUpdate }: Remote, file: string, backup: string) =>
      atomicIndexUpdate(file, () => ({ n: 2 }), { fallback: 'in-place', backup }).catch(({ code }) => code)
    expect(await inProcess(update, [file, backup], { uid: NOBODY }).returned).toBe('EPERM')
    expect([state(file), state(backup)]).toStrictEqual(before)
  },
)

test('a file that can be replaced is replaced', async ({ dir, file }) => {
  const path = join(dir, 'file')
  for (const content of ['new', 'replaced']) {
    expect(await atomicWrite(path, content, inPlace)).toStrictEqual(written(dir, content.length))
  }
  writeJson(file, { n: 1 })
  chmodSync(file, 0o444)
  const { ino } = statSync(file)
  // While it is open, none of the files that replace it gets its inode number.
  const old = openSync(file, 'r')
  onTestFinished(() => closeSync(old))
  for (let n = 2; n < 5; n++) {
    expect(await atomicIndexUpdate(file, increment, inPlace)).toMatchObject({ atomic: true })
    expect(readJson(file)).toEqual({ n })
  }
  expect(statSync(file).ino).not.toBe(ino)
  await atomicIndexUpdate(join(dir, 'made.json'), () => ({}), inPlace)
  expect(names(dir)).toStrictEqual(['file', 'index.json', 'made.json'])
})

test('it is refused where there is no such thing', async ({ dir }) => {
  const path = join(dir, 'file')
  for (const call of [
    () => atomicWrite(path, '', { fallback: 'rename' as never }),
    () => atomicIndexUpdate(path, () => ({}), { fallback: true as never }),
    () => AtomicFile.open(path, inPlace as never),
    () => atomicWriteAll([{ path, data: '' }], inPlace as never),
    () => atomicWriteAll([{ path, data: '', ...inPlace } as never]),
  ]) {
    const error = await rejection(call())
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(error.message).toContain('options.fallback')
  }
  expect(names(dir)).toStrictEqual([])
})
