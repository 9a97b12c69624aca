import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AtomicFile } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { leftovers, names, pattern, shape, state, written } from '../helpers/files'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const invalidState = (what: string) => ({
  name: 'Error',
  code: 'ERR_INVALID_STATE',
  message: `Invalid state: the file ${what}`,
})

describe('arguments', () => {
  const open = AtomicFile.open as (...args: unknown[]) => Promise<AtomicFile>

  for (const [what, args, code] of [
    ['no path', [], 'ERR_INVALID_ARG_TYPE'],
    ['a number for a path', [1], 'ERR_INVALID_ARG_TYPE'],
    ['a path with a NUL', ['a\0b'], 'ERR_INVALID_ARG_VALUE'],
    ['a number for options', ['a', 1], 'ERR_INVALID_ARG_TYPE'],
    ['an unknown encoding', ['a', 'utf9'], 'ERR_INVALID_ARG_VALUE'],
    ['an unknown flag', ['a', { flag: 'a' }], 'ERR_INVALID_ARG_VALUE'],
    ['a signal that is none', ['a', { signal: {} }], 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    test(`of open are refused by a rejection: ${what}`, async () => {
      expect(await rejection(open(...args))).toMatchObject({ name: 'TypeError', code })
    })
  }

  test('of write are refused by a rejection, and the file stays usable', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    const write = file.write.bind(file) as (...args: unknown[]) => Promise<void>
    await write('a')
    for (const chunk of [undefined, null, 1, {}, [], Symbol('s'), () => {}, new Date()]) {
      expect(await rejection(write(chunk))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    }
    expect(await rejection(write('a', 'utf9'))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    const gone = new ArrayBuffer(8)
    structuredClone(gone, { transfer: [gone] })
    expect(await rejection(write(gone))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await write('b')
    expect(await file.commit()).toStrictEqual(written(dir, 2))
    expect(readFileSync(path, 'utf8')).toBe('ab')
  })

  test('with half of a character are refused, at both sides of the cut', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    for (const half of ['a\ud83d', '\ude00b']) {
      expect(await rejection(file.write(half))).toMatchObject({
        ...{ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' },
        message: expect.stringContaining('lone surrogate at index'),
      })
    }
    await file.write('\ud83d', 'utf16le')
    expect(await file.commit()).toMatchObject({ bytes: 2 })
  })

  test('do not make a file: the class has no public constructor', () => {
    expect(() => new (AtomicFile as any)()).toThrow('constructor')
  })
})

describe('the errors of open', () => {
  test('are those of node:fs, with the path as the caller gave it', async ({ dir }) => {
    const path = join(dir, 'none', 'file')
    const error = await rejection(AtomicFile.open(path, { mkdir: false }))
    expect(error).toBeInstanceOf(Error)
    expect(shape(error)).toStrictEqual(
      shape({
        ...{ name: 'Error', code: 'ENOENT', errno: -2, syscall: 'open', path },
        message: `ENOENT: no such file or directory, open '${path}'`,
      }),
    )
    expect(await rejection(AtomicFile.open(dir))).toMatchObject({ code: 'EISDIR', path: dir })
    expect(await rejection(AtomicFile.open('/dev/null'))).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR' })
  })

  test('have a stack that leads to the caller, as have those of write and commit', async ({ dir }) => {
    async function callerOfOpen() {
      await AtomicFile.open(dir)
    }
    async function callerOfWrite() {
      const file = await AtomicFile.open(join(dir, 'file'))
      await file.write(1 as any)
    }
    async function callerOfCommit() {
      const file = await AtomicFile.open(join(dir, 'sub', 'file'))
      await file.write('x')
      rmSync(join(dir, 'sub'), { recursive: true })
      await file.commit()
    }
    for (const caller of [callerOfOpen, callerOfWrite, callerOfCommit]) {
      expect((await rejection(caller())).stack).toContain(caller.name)
    }
  })
})

describe('a method that comes at the wrong time', () => {
  const methods = {
    write: (file: AtomicFile) => file.write('more'),
    commit: (file: AtomicFile) => file.commit(),
    abort: (file: AtomicFile) => file.abort(),
    dispose: (file: AtomicFile) => file[Symbol.asyncDispose](),
  }
  type Method = keyof typeof methods
  const outcomes = async (file: AtomicFile) => {
    const found: Partial<Record<Method, unknown>> = {}
    for (const [name, method] of Object.entries(methods)) {
      found[name as Method] = await method(file).then(
        () => 'resolved',
        ({ name, code, message }) => ({ name, code, message }),
      )
    }
    return found
  }

  test('after the commit is refused, and dispose does nothing', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    await file.write('x')
    await file.commit()
    const refused = invalidState('was committed')
    expect(await outcomes(file)).toStrictEqual({
      ...{ write: refused, commit: refused, abort: refused, dispose: 'resolved' },
    })
    expect(readFileSync(path, 'utf8')).toBe('x')
  })

  test('after an abort is refused, except another abort and dispose', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    await file.abort()
    const refused = invalidState('was aborted')
    expect(await outcomes(file)).toStrictEqual({
      ...{ write: refused, commit: refused, abort: 'resolved', dispose: 'resolved' },
    })
    expect(names(dir)).toStrictEqual([])
  })

  test('while it is committed is refused, and the commit goes on', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    await file.write(pattern(200_000))
    const committing = file.commit()
    const refused = invalidState('is being committed')
    expect(await rejection(file.write('late'))).toMatchObject(refused)
    expect(await rejection(file.commit())).toMatchObject(refused)
    expect(await committing).toStrictEqual(written(dir, 200_000))
    expect(readFileSync(path).equals(pattern(200_000))).toBe(true)
  })

  test('is no method of another object', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    expect(() => file.write.call({} as any, 'x')).toThrow()
    await file.abort()
  })

  test('may be dispose during a commit: it waits for that', async ({ dir }) => {
    const path = join(dir, 'file')
    const file = await AtomicFile.open(path)
    await file.write(pattern(4 << 20))
    let committed = false
    const committing = file.commit().then(() => {
      committed = true
    })
    await file[Symbol.asyncDispose]()
    await sleep(0)
    expect(committed).toBe(true)
    await committing
    expect(names(dir)).toStrictEqual(['file'])
  })
})

describe('a failed write', () => {
  const limited = <R>(main: (there: any, path: string) => Promise<R>, path: string) =>
    inProcess(main, [path], { before: 'ulimit -f 64' }).returned

  needs('linux')(
    'that was not awaited rejects the commit and all that follows, and ends no process',
    async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, 'old')
      const before = state(path)
      const found = await limited(async ({ AtomicFile, require }, path) => {
        const unhandled: unknown[] = []
        process.on('unhandledRejection', (error) => unhandled.push(error))
        const file: AtomicFile = await AtomicFile.open(path)
        for (let i = 0; i < 40; i++) void file.write(Buffer.alloc(50_000))
        const outcome = (promise: Promise<unknown>) =>
          promise.then(
            () => 'resolved',
            ({ code, errno, syscall, path, message, stack }) => ({
              ...{ code, errno, syscall, path, message, stack: stack.includes('REPL') },
            }),
          )
        const commit = await outcome(file.commit())
        const held = require('node:fs').readdirSync('/proc/self/fd').length > 30
        const more = [await outcome(file.write('x')), await outcome(file.commit())]
        void file.write('x')
        const given = [await outcome(file.abort()), await outcome(file[Symbol.asyncDispose]())]
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
        return { commit, more, given, held, unhandled: unhandled.length }
      }, path)
      const error = {
        ...{ code: 'EFBIG', errno: -27, syscall: 'write', path, stack: false },
        message: `EFBIG: file too large, write '${path}'`,
      }
      expect(found).toStrictEqual({
        ...{ commit: error, more: [error, error], given: ['resolved', 'resolved'], held: false },
        unhandled: 0,
      })
      expect(state(path)).toStrictEqual(before)
      expect(names(dir)).toStrictEqual(['file'])
    },
  )

  needs('linux')('rejects the write that waits for room, and those after it', async ({ dir }) => {
    const found = await limited(
      async ({ AtomicFile }, path) => {
        const file: AtomicFile = await AtomicFile.open(path)
        const codes: string[] = []
        for (let i = 0; i < 60; i++) {
          await file.write(Buffer.alloc(50_000)).catch(({ code }) => codes.push(code))
        }
        return { all: [...new Set(codes)], soon: codes.length > 20 }
      },
      join(dir, 'file'),
    )
    expect(found).toStrictEqual({ all: ['EFBIG'], soon: true })
    expect(names(dir)).toStrictEqual([])
  })

  needs('linux')(
    'that only the commit reports is an unhandled rejection if the commit is not awaited',
    async ({ dir }) => {
      const child = inProcess(
        async ({ AtomicFile, receive }, path) => {
          const file = await AtomicFile.open(path)
          void file.write(Buffer.alloc(100_000))
          void file.commit()
          await receive()
        },
        [join(dir, 'file')],
        { before: 'ulimit -f 64' },
      )
      expect(await child.exit).toMatchObject({ code: 1, stderr: expect.stringContaining('EFBIG') })
    },
  )

  needs('root that may mount')(
    'on a full disk is ENOSPC: the old file stands, and the room is free again at once',
    async ({ dir }) => {
      await mounted(join(dir, 'disk'), tmpfs('2m'), async (disk) => {
        const path = join(disk, 'file')
        writeFileSync(path, 'old')
        const before = state(path)
        const file = await AtomicFile.open(path)
        const pouring = async () => {
          for (;;) await file.write(pattern(100_000))
        }
        expect(await rejection(pouring())).toMatchObject({ code: 'ENOSPC', syscall: 'write', path })
        expect(openBelow(disk)).toStrictEqual([])
        writeFileSync(join(disk, 'other'), Buffer.alloc(1_800_000))
        expect(await rejection(file.commit())).toMatchObject({ code: 'ENOSPC', syscall: 'write', path })
        expect(state(path)).toStrictEqual(before)
        expect(names(disk)).toStrictEqual(['file', 'other'])
      })
    },
  )
})

describe('a failed commit', () => {
  test('in a folder that is gone is ENOENT', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'sub', 'file'))
    await file.write('x')
    rmSync(join(dir, 'sub'), { recursive: true })
    expect(await rejection(file.commit())).toMatchObject({ code: 'ENOENT', path: join(dir, 'sub', 'file') })
    expect(names(dir)).toStrictEqual([])
    await file.abort()
  })

  needs('linux')('over what has become a folder is EISDIR, and nothing is left open', async ({ dir }) => {
    const file = await AtomicFile.open(join(dir, 'file'))
    await file.write('x')
    mkdirSync(join(dir, 'file'))
    expect(await rejection(file.commit())).toMatchObject({ code: 'EISDIR' })
    expect(openBelow(dir)).toStrictEqual([])
    expect(await rejection(file.write('x'))).toMatchObject({ code: 'EISDIR' })
    expect(leftovers(dir)).toStrictEqual([])
  })

  needs('linux')('finds what was changed on the disk before', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    for (const [what, change] of [
      ['a byte', (fd: string) => writeFileSync(fd, 'y', { flag: 'r+' })],
      ['the length', (fd: string) => writeFileSync(fd, 'x', { flag: 'a' })],
    ] as const) {
      const file = await AtomicFile.open(path)
      await file.write(pattern(100_000))
      change(await descriptorOf(dir, 100_000))
      const error = await rejection(file.commit())
      expect(error, what).toMatchObject({ code: 'ERR_ATOMIC_VERIFY', path })
      expect(readFileSync(path, 'utf8')).toBe('old')
      expect(openBelow(dir)).toStrictEqual([])
    }
  })

  /** The path in /proc of the one open file without a name, once it has that many bytes. */
  async function descriptorOf(dir: string, size: number): Promise<string> {
    const { readdirSync, readlinkSync, statSync } = await import('node:fs')
    for (;;) {
      for (const fd of readdirSync('/proc/self/fd')) {
        const path = `/proc/self/fd/${fd}`
        try {
          if (readlinkSync(path).startsWith(`${dir}/`) && statSync(path).size === size) return path
        } catch {
          // The descriptor that the listing was read through.
        }
      }
      await sleep(5)
    }
  }
})
