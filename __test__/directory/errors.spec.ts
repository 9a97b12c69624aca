import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { leftovers, names, shape } from '../helpers/files'
import { enqueued } from '../helpers/group'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { gate, isPending, rejection, turns } from '../helpers/promises'
import { socketAt } from '../helpers/socket'
import { test } from '../helpers/test'
import { plant, treeOf } from '../helpers/trees'

const loosely = atomicDirectory as (...args: unknown[]) => Promise<unknown>

const never = () => {
  throw new Error('build was called')
}

describe('arguments', () => {
  for (const [title, code, args] of [
    ['path is no path', 'ERR_INVALID_ARG_TYPE', [7, () => {}]],
    ['path has a null byte', 'ERR_INVALID_ARG_VALUE', ['a\0b', () => {}]],
    ['build is missing', 'ERR_INVALID_ARG_TYPE', ['a']],
    ['build is no function', 'ERR_INVALID_ARG_TYPE', ['a', {}]],
    ['options is no object', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, 'utf8']],
    ['mode is no mode', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, { mode: true }]],
    ['mode is not octal', 'ERR_INVALID_ARG_VALUE', ['a', () => {}, { mode: '9' }]],
    ['flush is no boolean', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, { flush: 1 }]],
    ['mkdir is no boolean', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, { mkdir: 'yes' }]],
    ['signal is no signal', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, { signal: {} }]],
    ['keepPrevious is no path', 'ERR_INVALID_ARG_TYPE', ['a', () => {}, { keepPrevious: 1 }]],
    ['fallback is another word', 'ERR_INVALID_ARG_VALUE', ['a', () => {}, { fallback: 'copy' }]],
    ['fallback is a boolean', 'ERR_INVALID_ARG_VALUE', ['a', () => {}, { fallback: true }]],
  ] as const) {
    test(`are refused by a rejection when ${title}`, async ({ dir }) => {
      const [path, ...rest] = args
      const error = await rejection(loosely(path === 'a' ? join(dir, path) : path, ...rest))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe(code)
      expect(names(dir)).toStrictEqual([])
    })
  }

  for (const none of [undefined, null, {}]) {
    test(`options may be ${JSON.stringify(none)}`, async ({ dir }) => {
      expect(await atomicDirectory(join(dir, 'a'), () => 1, none)).toMatchObject({ value: 1 })
    })
  }

  test('options are read once each, at the call', async ({ dir }) => {
    const reads: string[] = []
    const options = new Proxy({ mode: 0o700, flush: false, fallback: 'rename' } as Record<string, unknown>, {
      get(target, name) {
        if (typeof name === 'string' && name in target) reads.push(name)
        return Reflect.get(target, name)
      },
    })
    await loosely(join(dir, 'a'), () => {}, options)
    expect(reads.sort()).toStrictEqual(['fallback', 'flush', 'mode'])
  })
})

describe('a path', () => {
  for (const path of ['/', '.', '..', './', 'a/.', 'a/..']) {
    test(`${path} is EBUSY: it cannot be renamed`, async ({ dir }) => {
      mkdirSync(join(dir, 'a'))
      const given = path.startsWith('a') ? `${dir}/${path}` : path
      expect(shape(await rejection(atomicDirectory(given, never)))).toStrictEqual({
        ...{ name: 'Error', code: 'EBUSY', errno: -16, syscall: 'rename', path: given, dest: undefined },
        message: `EBUSY: resource busy or locked, rename '${given}'`,
      })
    })
  }

  test('that is empty is ENOENT', async () => {
    expect(await rejection(atomicDirectory('', never))).toMatchObject({ code: 'ENOENT' })
  })

  test('that is a file is ENOTDIR, also by way of a link', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'x')
    symlinkSync('file', join(dir, 'link'))
    for (const name of ['file', 'link', 'file/below', 'file/']) {
      const error = await rejection(atomicDirectory(join(dir, name), never))
      expect(error).toMatchObject({ code: 'ENOTDIR', syscall: 'open', path: join(dir, name) })
    }
    expect(treeOf(dir)).toStrictEqual({ file: 'x', link: '->file' })
  })

  test('whose parent is missing is ENOENT without mkdir', async ({ dir }) => {
    const error = await rejection(atomicDirectory(join(dir, 'a', 'b'), never, { mkdir: false }))
    expect(error).toMatchObject({ code: 'ENOENT' })
    expect(names(dir)).toStrictEqual([])
  })

  test('of links in a circle is ELOOP', async ({ dir }) => {
    plant(dir, { a: '->b', b: '->a' })
    expect(await rejection(atomicDirectory(join(dir, 'a'), never))).toMatchObject({ code: 'ELOOP' })
  })

  needs('root that may mount')('at which something is mounted is EBUSY, before build', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      expect(await rejection(atomicDirectory(disk, never))).toMatchObject({ code: 'EBUSY' })
    })
    plant(dir, { 'real/file': 'x' })
    await mounted(join(dir, 'bound'), ['--bind', join(dir, 'real')], async (bound) => {
      expect(await rejection(atomicDirectory(bound, never))).toMatchObject({ code: 'EBUSY' })
    })
  })

  needs('linux')(
    'in a directory whose path is not valid Unicode is refused before build',
    async ({ dir }) => {
      const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe]), Buffer.from('/site')])
      const error = await rejection(atomicDirectory(path, never))
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
      expect(leftovers(dir)).toStrictEqual([])
    },
  )

  needs('linux')(
    'whose own name is not valid Unicode is built under a temp name that is',
    async ({ dir }) => {
      const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])])
      await atomicDirectory(path, (staging) => plant(staging, { file: 'x' }))
      expect(readdirSync(dir, { encoding: 'buffer' })).toStrictEqual([Buffer.from([0xff, 0xfe])])
      expect(readdirSync(path)).toStrictEqual(['file'])
    },
  )
})

describe('what build throws', () => {
  for (const value of [new Error('mine'), 'a string', 0, undefined, null, Symbol('s')]) {
    for (const how of ['throws', 'rejects with'] as const) {
      test(`is what the caller catches: it ${how} ${String(value)}`, async ({ dir }) => {
        plant(join(dir, 'site'), { old: 'old' })
        const caught = await rejection(
          atomicDirectory(join(dir, 'site'), (staging) => {
            plant(staging, { 'a/b': 'half' })
            if (how === 'throws') throw value
            return Promise.reject(value)
          }),
        )
        expect(caught).toBe(value)
        expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
        if (process.platform === 'linux') expect(openBelow(dir)).toStrictEqual([])
      })
    }
  }

  test('does not hold up the next call', async ({ dir }) => {
    const first = rejection(atomicDirectory(join(dir, 'site'), () => Promise.reject(1)))
    const second = atomicDirectory(join(dir, 'site'), (staging) => plant(staging, { new: 'x' }))
    expect(await first).toBe(1)
    await second
    expect(treeOf(dir)).toStrictEqual({ 'site/new': 'x' })
  })

  test('is caught also when files still appear while the tree is removed', async ({ dir }) => {
    let over = false
    const writing: Promise<void>[] = []
    const caught = await rejection(
      atomicDirectory(join(dir, 'site'), (staging) => {
        plant(staging, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`${i % 10}/${i}`, 'x'])))
        for (let w = 0; w < 4; w++) {
          writing.push(
            (async () => {
              for (let i = 0; !over && i < 300; i++) {
                await mkdir(`${staging}/${i % 10}`).catch(() => {})
                await writeFile(`${staging}/${i % 10}/late-${w}-${i}`, 'x').catch(() => {})
              }
            })(),
          )
        }
        throw 'early'
      }),
    )
    over = true
    await Promise.all(writing)
    expect(caught).toBe('early')
    expect(names(dir)).toStrictEqual([])
  })

  test('and other errors have a stack that leads to the caller', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'x')
    async function theCaller() {
      await atomicDirectory(join(dir, 'file'), never)
    }
    expect((await rejection(theCaller())).stack).toContain('theCaller')
  })
})

describe('what build must not leave', () => {
  needs('linux')('is a FIFO: the old tree stands, and the error says which', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    const error = await rejection(
      atomicDirectory(join(dir, 'site'), (staging) => {
        plant(staging, { 'a/file': 'x' })
        execFileSync('mkfifo', [join(staging, 'a', 'fifo')])
      }),
    )
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR', path: join(dir, 'site/a/fifo') })
    expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
  })

  needs('linux')('is a socket', async ({ dir }) => {
    let server: Server | undefined
    const error = await rejection(
      atomicDirectory(join(dir, 'site'), async (staging) => {
        server = await socketAt(join(staging, 'socket'))
      }),
    )
    server?.close()
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR' })
    expect(error.message).toContain('a socket')
    expect(names(dir)).toStrictEqual([])
  })
})

describe('an abort', () => {
  const aborted = { name: 'AbortError', code: 'ABORT_ERR' }

  test('before the call rejects at once, with the reason as the cause', async ({ dir }) => {
    const error = await rejection(
      atomicDirectory(join(dir, 'a', 'site'), never, { signal: AbortSignal.abort('enough') }),
    )
    expect(error).toMatchObject({ ...aborted, cause: 'enough' })
    expect(names(dir)).toStrictEqual([])
  })

  test('during build takes effect when build has settled: nothing is left by then', async ({ dir }) => {
    plant(join(dir, 'site'), { old: 'old' })
    const controller = new AbortController()
    const [started, finish] = [gate(), gate()]
    const call = atomicDirectory(
      join(dir, 'site'),
      async (staging) => {
        started.open()
        await finish.opened
        plant(staging, { 'a/new': 'new' })
      },
      { signal: controller.signal },
    )
    const caught = rejection(call)
    await started.opened
    controller.abort('enough')
    await turns()
    expect(await isPending(call, 0)).toBe(true)
    finish.open()
    expect(await caught).toMatchObject({ ...aborted, cause: 'enough' })
    expect(treeOf(dir)).toStrictEqual({ 'site/old': 'old' })
  })

  test('while the call waits in line rejects at once', async ({ dir }) => {
    const controller = new AbortController()
    const held = gate()
    const first = atomicDirectory(join(dir, 'site'), () => held.opened)
    const waiting = rejection(atomicDirectory(join(dir, 'site'), never, { signal: controller.signal }))
    await enqueued(dir)
    controller.abort()
    expect(await waiting).toMatchObject(aborted)
    held.open()
    await first
    expect(names(dir)).toStrictEqual(['site'])
  })

  for (const delay of [0, 5, 15, 40]) {
    test(`${delay} ms after build: the old tree stands, or the new one is complete`, async ({ dir }) => {
      plant(join(dir, 'site'), { old: 'old' })
      const controller = new AbortController()
      const files = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${i % 30}/${i}`, `${i}`]))
      const outcome = await atomicDirectory(
        join(dir, 'site'),
        (staging) => {
          plant(staging, files)
          setTimeout(() => controller.abort(), delay)
        },
        { signal: controller.signal },
      ).then(
        () => 'done',
        ({ code }) => code,
      )
      const tree = treeOf(join(dir, 'site'))
      if (outcome === 'ABORT_ERR') expect(tree).toStrictEqual({ old: 'old' })
      else expect([outcome, Object.keys(tree).length]).toStrictEqual(['done', 500])
      expect(names(dir)).toStrictEqual(['site'])
    })
  }
})
