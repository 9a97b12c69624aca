import { mkdirSync, promises, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inside, loosely, names, shape } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

describe('an error of the system is that of node:fs in every property', () => {
  const cases: [string, (dir: string) => string | Buffer | URL, ('w' | 'wx')?][] = [
    ['a missing folder', (dir) => join(dir, 'missing', 'file')],
    ['a folder in the file’s place', (dir) => join(dir, 'folder')],
    ['a folder, with a slash', (dir) => `${join(dir, 'folder')}/`],
    ['a dot', (dir) => `${dir}/folder/.`],
    ['two dots', (dir) => `${dir}/folder/..`],
    ['a file for a folder', (dir) => join(dir, 'file', 'x')],
    ['a name too long', (dir) => join(dir, 'x'.repeat(256))],
    ['a path too long', (dir) => join(dir, 'x/'.repeat(2100), 'file')],
    ['a link to itself', (dir) => join(dir, 'loop')],
    ['a folder that is a link to itself', (dir) => join(dir, 'loop', 'file')],
    ['a link to a folder', (dir) => join(dir, 'to-folder')],
    ['the root', () => '/'],
    ['the empty path', () => ''],
    ['an empty Buffer', () => Buffer.alloc(0)],
    ['a Buffer', (dir) => Buffer.from(join(dir, 'missing', 'ü'))],
    [
      'a Buffer that is no UTF-8',
      (dir) => Buffer.concat([Buffer.from(`${dir}/missing/`), Buffer.from([0xff])]),
    ],
    ['a URL', (dir) => pathToFileURL(join(dir, 'missing', 'ü x'))],
    ['a relative path', () => 'missing/./file'],
    ['wx on a file', (dir) => join(dir, 'file'), 'wx'],
    ['wx on a folder', (dir) => join(dir, 'folder'), 'wx'],
    ['wx on a dangling link', (dir) => join(dir, 'dangling'), 'wx'],
    ['wx on a link to a file', (dir) => join(dir, 'to-file'), 'wx'],
    ['wx on a link to itself', (dir) => join(dir, 'loop'), 'wx'],
    ['a missing file with a slash', (dir) => `${join(dir, 'new')}/`],
    ['a file with a slash', (dir) => `${join(dir, 'file')}/`],
  ]
  for (const [what, path, flag = 'w'] of cases) {
    test(`for ${what}`, async ({ dir }) => {
      mkdirSync(join(dir, 'folder'))
      writeFileSync(join(dir, 'file'), 'old')
      for (const [name, to] of [
        ['loop', 'loop'],
        ['dangling', 'nowhere'],
        ['to-file', 'file'],
        ['to-folder', 'folder'],
      ] as const) {
        symlinkSync(to, join(dir, name))
      }
      const before = names(dir)
      await inside(dir, async () => {
        const theirs = await rejection(promises.writeFile(path(dir), 'new', { flag }))
        const ours = await rejection(atomicWrite(path(dir), 'new', { flag, mkdir: false }))
        expect(shape(ours)).toStrictEqual(shape(theirs))
      })
      expect(names(dir)).toStrictEqual(before)
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
    })
  }
})

describe('a wrong option is refused', () => {
  const wrong: Record<string, [unknown[], 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE', RegExp]> = {
    mode: [
      [true, {}, [], 1n, () => {}, Symbol('s')],
      'ERR_INVALID_ARG_TYPE',
      /^The "options\.mode" property must be /,
    ],
    'mode ': [
      [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, '', '8', 'rw', '0x1ff', '-1', '10000'],
      'ERR_INVALID_ARG_VALUE',
      /^The property 'options\.mode' must be .*octal.* Received /,
    ],
    flag: [
      ['a', 'r', 'r+', 'W', 'w+', '', 1, true, {}],
      'ERR_INVALID_ARG_VALUE',
      /^The property 'options\.flag' must be 'w' or 'wx'\. Received /,
    ],
    flush: [
      [0, 1, 'true', {}, []],
      'ERR_INVALID_ARG_TYPE',
      /^The "options\.flush" property must be of type boolean\. /,
    ],
    verify: [
      [0, 'cache', 'Device', '', {}],
      'ERR_INVALID_ARG_VALUE',
      /^The property 'options\.verify' must be true, false or 'device'\. Received /,
    ],
    ifChanged: [
      [0, 'no', {}],
      'ERR_INVALID_ARG_TYPE',
      /^The "options\.ifChanged" property must be of type boolean\. /,
    ],
    mkdir: [
      [0, 'no', {}],
      'ERR_INVALID_ARG_TYPE',
      /^The "options\.mkdir" property must be of type boolean\. /,
    ],
    signal: [
      [1, 'now', {}, [], () => {}, new EventTarget()],
      'ERR_INVALID_ARG_TYPE',
      /^The "options\.signal" property must be an instance of AbortSignal\. Received /,
    ],
    encoding: [['utf9', 'UTF', 'utf-16', '', 1, {}], 'ERR_INVALID_ARG_VALUE', /encoding/],
  }
  for (const [name, [values, code, message]] of Object.entries(wrong)) {
    for (const value of values) {
      test(`${name.trim()}: ${typeof value === 'string' ? `'${value}'` : String(value)}`, async ({ dir }) => {
        const error = await rejection(loosely(join(dir, 'file'), 'x', { [name.trim()]: value }))
        expect(error).toBeInstanceOf(TypeError)
        expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
        expect(names(dir)).toStrictEqual([])
      })
    }
  }

  for (const options of [1, true, 1n, Symbol('s'), () => {}]) {
    test(`options that are ${typeof options}`, async ({ dir }) => {
      const error = await rejection(loosely(join(dir, 'file'), 'x', options))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(
          /^The "options" argument must be of type string or an instance of Object\. /,
        ),
      })
      expect(names(dir)).toStrictEqual([])
    })
  }

  test('a bad encoding also when the data is no string', async ({ dir }) => {
    const error = await rejection(loosely(join(dir, 'file'), Buffer.from('x'), 'utf9'))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })
})

describe('nothing is thrown at the call', () => {
  const unreadable = new Proxy(
    {},
    {
      get() {
        throw new Error('unreadable')
      },
    },
  )
  for (const [what, args] of [
    ['no arguments at all', []],
    ['only a path', ['file']],
    ['a proxy for the path', [unreadable, 'x']],
    ['a proxy for the options', ['file', 'x', unreadable]],
    ['a proxy for the data', ['file', unreadable]],
    ['a revoked proxy for the path', [revoked(), 'x']],
    ['a revoked proxy for the options', ['file', 'x', revoked()]],
  ] as const) {
    test(`for ${what}: it rejects`, async ({ dir }) => {
      await inside(dir, async () => {
        let promise: unknown
        expect(() => {
          promise = loosely(...args)
        }).not.toThrow()
        expect(promise).toBeInstanceOf(Promise)
        await rejection(promise as Promise<unknown>)
      })
      expect(names(dir)).toStrictEqual([])
    })
  }
})

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe('the stack', () => {
  test('of a system’s error leads to the async caller', async ({ dir }) => {
    async function publishDocument() {
      await atomicWrite(join(dir, 'missing', 'file'), 'x', { mkdir: false })
    }
    async function publishAll() {
      await publishDocument()
    }
    const { stack, message } = await rejection(publishAll())
    expect(stack).toMatch(/^Error: ENOENT/)
    expect(stack).toContain(message)
    expect(stack).toMatch(/at (async )?publishDocument [\s\S]*at (async )?publishAll /)
  })

  test('of an error after waiting in line leads to the async caller', async ({ dir }) => {
    async function waitInLine() {
      await atomicWrite(join(dir, 'file'), 'x', { flag: 'wx' })
    }
    const first = atomicWrite(join(dir, 'file'), Buffer.alloc(16 << 20))
    expect((await rejection(waitInLine())).stack).toMatch(/at (async )?waitInLine /)
    await first
  })

  test('of a wrong argument leads to the call', async () => {
    async function callWithNothing() {
      await loosely()
    }
    const { stack } = await rejection(callWithNothing())
    expect(stack).toMatch(/^TypeError: The "path" argument[\s\S]*at (async )?callWithNothing /)
  })
})
