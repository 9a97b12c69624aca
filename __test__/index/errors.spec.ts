import { execFileSync } from 'node:child_process'
import { chmodSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { outcomeElsewhere, readJson, writeJson } from '../helpers/index-file'
import { testUnprivileged } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { unprivileged } from '../helpers/users'

const error = new Error('no')

const values: [what: string, value: unknown][] = [
  ['an Error', error],
  ['an Error of its own class', new (class Refused extends Error {})('no')],
  ['a frozen object', Object.freeze({ why: 'no' })],
  ['a string', 'no'],
  ['a number', 0],
  ['NaN', Number.NaN],
  ['undefined', undefined],
  ['null', null],
  ['false', false],
  ['a symbol', Symbol('no')],
  ['a bigint', 1n],
  ['a function', () => {}],
]

const ways: [way: string, make: (value: unknown) => (index: any) => any][] = [
  [
    'throws',
    (value) => () => {
      throw value
    },
  ],
  ['rejects with', (value) => () => Promise.reject(value)],
  [
    'rejects, after a while, with',
    (value) => async () => {
      await new Promise(setImmediate)
      throw value
    },
  ],
  [
    'changes the index half and throws',
    (value) => (index) => {
      index.n = 'half'
      throw value
    },
  ],
]

for (const [way, make] of ways) {
  describe(`fn ${way}`, () => {
    test.for(values)('%s: the caller catches the very same value', async ([, value], { file }) => {
      writeJson(file, { n: 1 })
      expect(await rejection(atomicIndexUpdate(file, make(value)))).toBe(value)
    })

    test('the file is untouched', async ({ file }) => {
      writeJson(file, { n: 1 })
      const before = state(file)
      await rejection(atomicIndexUpdate(file, make(error)))
      expect(state(file)).toEqual(before)
    })

    test('the lock is free when the call rejects', async ({ dir, file }) => {
      writeJson(file, { n: 1 })
      await rejection(atomicIndexUpdate(file, make(error)))
      expect(names(dir)).toEqual(['index.json'])
    })

    test('the next update need not wait, and sees no half change', async ({ file }) => {
      writeJson(file, { n: 1 })
      await rejection(atomicIndexUpdate(file, make(error)))
      await atomicIndexUpdate(file, (index) => ({ n: index.n + 1 }), { timeout: 0 })
      expect(readJson(file)).toEqual({ n: 2 })
    })

    test('updates that wait go on', async ({ file }) => {
      writeJson(file, { n: 1 })
      const failing = rejection(atomicIndexUpdate(file, make(error)))
      const waiting = [1, 2, 3].map(() => atomicIndexUpdate(file, (index) => ({ n: index.n + 1 })))
      await Promise.all(waiting)
      expect(await failing).toBe(error)
      expect(readJson(file)).toEqual({ n: 4 })
    })
  })
}

describe('a result that is no index: ERR_INVALID_RETURN_VALUE', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const useless: [what: string, result: unknown, cause?: unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a number', 1],
    ['a string', '{}'],
    ['a boolean', true],
    ['a symbol', Symbol('x')],
    ['a function', () => ({})],
    ['an object that refers to itself', cycle, expect.any(TypeError)],
    ['an object with a bigint', { n: 1n }, expect.any(TypeError)],
    [
      'an object whose toJSON throws',
      {
        toJSON() {
          throw error
        },
      },
      error,
    ],
    ['an object whose toJSON returns nothing', { toJSON: () => undefined }],
    ['an object whose toJSON returns text', { toJSON: () => 'text' }],
    ['a Date', new Date(0)],
  ]

  for (const [how, wrap] of [
    ['returned', (result: unknown) => result],
    ['promised', async (result: unknown) => result],
  ] as const) {
    test.for(useless)(`%s, ${how}`, async ([, result, cause], { dir, file }) => {
      writeJson(file, { n: 1 })
      const before = state(file)
      const caught = await rejection(atomicIndexUpdate(file, () => wrap(result) as object))
      expect(caught).toBeInstanceOf(TypeError)
      expect(caught).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE', name: 'TypeError' })
      expect(caught.cause).toEqual(cause)
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  test.for<[unknown, string]>([
    [undefined, 'undefined: did you forget to return the index?'],
    [null, 'null'],
    ['text', "type string ('text')"],
    [1, 'type number (1)'],
  ])('the message for %o tells what was received', async ([result, received], { file }) => {
    const { message } = await rejection(atomicIndexUpdate(file, () => result as object))
    expect(message).toBe(`The function must return an object or an array. Received ${received}`)
  })

  test('also when there is no file, which is not made then', async ({ dir, file }) => {
    await rejection(atomicIndexUpdate(file, (index) => index))
    expect(names(dir)).toEqual([])
  })

  test('the cause is the very error that toJSON threw', async ({ file }) => {
    const toJSON = () => {
      throw error
    }
    expect((await rejection(atomicIndexUpdate(file, () => ({ toJSON })))).cause).toBe(error)
  })
})

describe("the system's errors have the shape of node:fs", () => {
  const system: [what: string, code: string, make: (dir: string) => string][] = [
    ['a file where a folder should be', 'ENOTDIR', (dir) => join(touch(join(dir, 'x')), 'index.json')],
    ['a loop of links', 'ELOOP', (dir) => loop(join(dir, 'index.json'))],
    ['a path that ends in a slash', 'EISDIR', (dir) => `${dir}/`],
  ]
  function touch(file: string): string {
    writeFileSync(file, '')
    return file
  }
  function loop(file: string): string {
    symlinkSync('index.json', file)
    return file
  }
  test.for(system)('%s: %s', async ([, code, make], { dir }) => {
    const path = make(dir)
    const before = names(dir)
    const caught = await rejection(atomicIndexUpdate(path, () => ({})))
    expect(caught).toMatchObject({ code, syscall: 'open', path, errno: expect.any(Number) })
    expect(caught.errno).toBeLessThan(0)
    expect(caught.message).toMatch(new RegExp(`^${code}: .+, open '`))
    expect(caught.message).toContain(`'${path}'`)
    expect(names(dir)).toEqual(before)
  })

  test('the path is the one that the caller gave', async ({ dir }) => {
    const before = process.cwd()
    process.chdir(dir)
    try {
      const path = join('.', 'missing', 'index.json')
      expect(await rejection(atomicIndexUpdate(path, () => ({}), { mkdir: false }))).toMatchObject({ path })
    } finally {
      process.chdir(before)
    }
  })
})

test('a FIFO is refused at once and not waited for', async ({ dir, file }) => {
  execFileSync('mkfifo', [file])
  expect(await outcomeElsewhere(file)).toMatchObject({ code: 'ERR_ATOMIC_NOT_REGULAR', path: file })
  expect(names(dir)).toEqual(['index.json'])
  expect(statSync(file).isFIFO()).toBe(true)
})

test('a device is refused', async () => {
  expect(await rejection(atomicIndexUpdate('/dev/null', () => ({})))).toMatchObject({
    code: 'ERR_ATOMIC_NOT_REGULAR',
    path: '/dev/null',
  })
  expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
})

describe('the stack leads to the caller', () => {
  // Named, so that the frame can be looked for.
  async function theCaller(update: () => Promise<unknown>): Promise<any> {
    try {
      await update()
    } catch (caught) {
      return caught
    }
    return expect.fail('resolved')
  }

  const failures: [what: string, prepare: (file: string) => () => Promise<unknown>][] = [
    ['a wrong argument', (file) => () => atomicIndexUpdate(file, 1 as never)],
    ['a useless result', (file) => () => atomicIndexUpdate(file, () => 1 as never)],
    ['a useless promised result', (file) => () => atomicIndexUpdate(file, async () => 1)],
    [
      'a corrupt index',
      (file) => {
        writeFileSync(file, '{')
        return () => atomicIndexUpdate(file, () => ({}))
      },
    ],
    ["the system's error", (file) => () => atomicIndexUpdate(join(file, ''.padEnd(256, 'x')), () => ({}))],
    [
      'an abort while fn runs',
      (file) => () => {
        const controller = new AbortController()
        return atomicIndexUpdate(
          file,
          () => {
            controller.abort()
            return {}
          },
          { signal: controller.signal },
        )
      },
    ],
    [
      'a timeout in the queue',
      (file) => async () => {
        await atomicIndexUpdate(file, () => atomicIndexUpdate(file, () => ({}), { timeout: 50 }) as never)
      },
    ],
  ]
  test.for(failures)('%s', async ([, prepare], { file }) => {
    const { stack } = await theCaller(prepare(file))
    expect(stack).toMatch(/ {4}at (async )?theCaller \(/)
  })
})

describe('what may not be read or written', () => {
  const updateElsewhere = (file: string) => outcomeElsewhere(file, unprivileged)

  testUnprivileged(
    'a folder that is read-only has no place for a lock: EACCES, and the index stands',
    async ({ dir, file, lock }) => {
      writeJson(file, { n: 1 })
      chmodSync(dir, 0o555)
      try {
        expect(await updateElsewhere(file)).toMatchObject({ code: 'EACCES', syscall: 'open', path: lock })
        expect(readJson(file)).toEqual({ n: 1 })
        expect(names(dir)).toEqual(['index.json'])
      } finally {
        chmodSync(dir, 0o755)
      }
    },
  )

  testUnprivileged(
    'an index that may not be read rejects with EACCES and is not replaced',
    async ({ dir, file }) => {
      writeJson(file, { n: 1 })
      const before = state(file)
      chmodSync(file, 0o000)
      chmodSync(dir, 0o777)
      expect(await updateElsewhere(file)).toMatchObject({ code: 'EACCES', syscall: 'open', path: file })
      chmodSync(file, 0o644)
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json'])
    },
  )

  testUnprivileged(
    'an index that may be read but not written is replaced where the folder allows it',
    async ({ dir, file }) => {
      writeJson(file, { n: 1 })
      chmodSync(file, 0o444)
      chmodSync(dir, 0o777)
      expect(await updateElsewhere(file)).toBe('resolved')
      expect(readJson(file)).toEqual({ changed: true })
    },
  )
})
