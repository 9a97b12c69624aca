// What a transaction does, and what it leaves when it fails.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  atomicTransaction,
  beginTransaction,
  type Transaction,
  type TransactionOperation,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const read = (...parts: string[]) => readFileSync(join(...parts), 'utf8')
const visible = (dir: string) => names(dir).filter((name) => name !== '.atomic')

describe('a transaction', () => {
  test('does all that it was told, and says what', async ({ dir }) => {
    writeFileSync(join(dir, 'gone.txt'), 'gone')
    writeFileSync(join(dir, 'from.txt'), 'moved')
    writeJson(join(dir, 'index.json'), { n: 1 })
    const { ino } = statSync(join(dir, 'from.txt'))
    const result = await atomicTransaction(dir, async (tx) => {
      expect(tx.root).toBe(dir)
      tx.write('new/deep/page.html', '<p>')
      tx.write(join(dir, 'lazy.txt'), async () => Buffer.from('lazy'))
      const index = tx.update<{ n: number }>('index.json', (index) => ({ n: (index?.n ?? 0) + 1 }), {
        backup: true,
      })
      tx.remove('gone.txt')
      tx.remove('never/there.txt', { missing: 'ignore' })
      tx.rename('from.txt', 'to.txt')
      tx.mkdir('empty/folder')
      expect(() => index.value).toThrow(/after the transaction/)
      return index
    })
    expect(result).toMatchObject({ transaction: 1, attempts: 1, batchSize: 1, recovered: null })
    expect(result.value.value).toEqual({ n: 2 })
    expect(result.files.map(({ path, action, bytes }) => `${path} ${action} ${bytes}`)).toEqual([
      'new/deep/page.html written 3',
      `${join(dir, 'lazy.txt')} written 4`,
      'index.json written 7',
      'gone.txt removed 0',
      'never/there.txt unchanged 0',
      'from.txt removed 0',
      'to.txt renamed 5',
    ])
    expect(visible(dir)).toEqual(['empty', 'index.json', 'index.json.backup', 'lazy.txt', 'new', 'to.txt'])
    expect(statSync(join(dir, 'to.txt')).ino).toBe(ino)
    expect(readJson(join(dir, 'index.json.backup'))).toEqual({ n: 1 })
    expect([read(dir, 'new/deep/page.html'), read(dir, 'lazy.txt')]).toEqual(['<p>', 'lazy'])
    expect(readdirSync(join(dir, 'empty'))).toEqual(['folder'])
  })

  test('can be a list of operations', async ({ dir }) => {
    writeFileSync(join(dir, 'old'), '')
    await atomicTransaction(dir, [
      { write: 'a', data: '1', mode: 0o640 },
      { update: 'index.json', fn: (index) => ({ ...index, a: 1 }), initial: {} },
      { remove: 'old' },
      { rename: 'a', to: 'b' },
      { mkdir: 'folder' },
    ])
    expect(visible(dir)).toEqual(['b', 'folder', 'index.json'])
    expect(statSync(join(dir, 'b')).mode & 0o777).toBe(0o640)
  })

  test('can be a list in which mkdir is also an option, beside what has options', async ({ dir }) => {
    const within = (mkdir: boolean): TransactionOperation[] => [
      { write: 'folder/a', data: '', mkdir },
      { update: 'folder/i.json', fn: () => ({}), mkdir },
      { patch: 'folder/p.json', change: { set: { a: 1 } }, mkdir },
    ]
    for (const operation of within(false)) {
      const error = await rejection(atomicTransaction(dir, [operation]))
      expect([error.code, visible(dir)]).toEqual(['ENOENT', []])
    }
    await atomicTransaction(dir, within(true))
    expect(readdirSync(join(dir, 'folder'))).toEqual(['a', 'i.json', 'p.json'])
    const two = [{ write: 'a', data: '', mkdir: 'b' } as unknown as TransactionOperation]
    expect((await rejection(atomicTransaction(dir, two))).message).toMatch(/one of .*, not write and mkdir\./)
    const none = [{}, { write: undefined, data: '' }] as unknown as TransactionOperation[]
    for (const one of none) {
      expect((await rejection(atomicTransaction(dir, [one]))).message).toMatch(/with one of .*, not none\./)
    }
    for (const mkdir of [null, 0]) {
      const odd = [{ write: 'a', data: '', mkdir } as unknown as TransactionOperation]
      expect((await rejection(atomicTransaction(dir, odd))).message).toMatch(
        /"options.mkdir" property must be/,
      )
    }
  })

  test('says which operation of a list is not valid', async ({ dir }) => {
    const wrong: [operation: unknown, message: RegExp][] = [
      ['a', /"operation" argument must be of type Object. Received type string/],
      [{ append: 'a' }, /"operation" argument must be an object with one of write, update, /],
      [{ write: 'a', data: {} }, /"data" argument must be/],
      [{ write: 5, data: '' }, /"path" argument must be/],
      [{ write: 'a', data: '', mode: 'rw' }, /'options.mode' must be/],
      [{ update: 'i.json' }, /"fn" argument must be/],
      [
        { patch: 'i.json', fn: () => ({}) },
        /"change" argument must be of type Object or function. Received undefined/,
      ],
      [{ patch: 'i.json', change: { sett: {} } }, /has 'sett', which is none of its parts/],
      [{ rename: 'a' }, /"to" argument must be/],
    ]
    for (const [operation, message] of wrong) {
      const list = [{ write: 'first', data: '' }, operation] as TransactionOperation[]
      const error = await rejection(atomicTransaction(dir, list))
      expect([error.entry, error.message]).toEqual([1, expect.stringMatching(message)])
    }
    expect(visible(dir)).toEqual([])
  })

  test('sees its own changes, in their order', async ({ dir }) => {
    writeFileSync(join(dir, 'a'), 'disk')
    writeJson(join(dir, 'index.json'), { n: 1 })
    const seen: unknown[] = []
    await atomicTransaction(dir, async (tx) => {
      const look = async () => seen.push(await tx.read('a', 'utf8'), await tx.read('b', 'utf8'))
      await look()
      tx.write('a', 'own')
      await look()
      tx.rename('a', 'b')
      await look()
      tx.remove('b')
      await look()
      tx.update('index.json', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
      tx.update('index.json', (index) => ({ n: index.n * 10 }), { initial: { n: 0 } })
      seen.push(await tx.readIndex('index.json'), await tx.readIndex('none.json', { initial: [] }))
      seen.push(await tx.readIndex('none.json'))
    })
    expect(seen).toEqual(['disk', null, 'own', null, null, 'own', null, null, { n: 20 }, [], undefined])
    expect(readJson(join(dir, 'index.json'))).toEqual({ n: 20 })
    expect(visible(dir)).toEqual(['index.json'])
  })

  test('makes one change of several on one file, by whatever path', async ({ dir }) => {
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))
    const { files } = await atomicTransaction(dir, (tx) => {
      tx.write('real/a', 'first')
      tx.write('link/a', 'second')
      tx.update('real/i.json', () => ({ n: 1 }))
      tx.update('link/i.json', (index) => ({ n: index.n + 1 }))
      tx.write('x', '')
      tx.remove('x')
    })
    expect([read(dir, 'real/a'), readJson(join(dir, 'real/i.json'))]).toEqual(['second', { n: 2 }])
    expect(files).toHaveLength(3)
    expect(visible(dir)).toEqual(['link', 'real'])
  })

  test('swaps two files by their names', async ({ dir }) => {
    writeFileSync(join(dir, 'a'), 'was a')
    writeFileSync(join(dir, 'b'), 'was b')
    await atomicTransaction(dir, (tx) => {
      tx.rename('a', 'c')
      tx.rename('b', 'a')
      tx.rename('c', 'b')
    })
    expect([read(dir, 'a'), read(dir, 'b'), visible(dir)]).toEqual(['was b', 'was a', ['a', 'b']])
  })

  test('leaves alone what has not changed', async ({ dir }) => {
    writeFileSync(join(dir, 'a'), 'same')
    writeFileSync(join(dir, 'index.json'), '{"n":1}')
    const before = ['a', 'index.json'].map((name) => statSync(join(dir, name)).ino)
    const { files, transaction } = await atomicTransaction(dir, (tx) => {
      tx.write('a', 'same', { ifChanged: true })
      tx.update('index.json', (index) => index, { backup: true })
    })
    expect(files.map(({ action }) => action)).toEqual(['unchanged', 'unchanged'])
    expect(transaction).toBeNull()
    expect(['a', 'index.json'].map((name) => statSync(join(dir, name)).ino)).toEqual(before)
    expect(visible(dir)).toEqual(['a', 'index.json'])
  })

  test('without anything to do resolves', async ({ dir }) => {
    expect(await atomicTransaction(dir, () => 7)).toMatchObject({ value: 7, files: [], transaction: null })
  })
})

describe('a transaction that fails has changed nothing', () => {
  const cases: Record<string, [(tx: Transaction) => unknown, object]> = {
    'build throws': [() => Promise.reject(new TypeError('mine')), { message: 'mine' }],
    'a function throws': [
      (tx) => tx.update('i.json', () => Promise.reject(new Error('mine'))),
      { message: 'mine' },
    ],
    'a function returns a Map': [
      (tx) => tx.update('i.json', () => new Map()),
      { code: 'ERR_INVALID_RETURN_VALUE' },
    ],
    'what JSON cannot write': [
      (tx) => tx.update('i.json', () => ({ n: 1n })),
      { code: 'ERR_INVALID_RETURN_VALUE' },
    ],
    'lazy data throws': [(tx) => tx.write('b', () => Promise.reject(new Error('mine'))), { message: 'mine' }],
    'a file that was to be new is there': [
      (tx) => tx.write('there', '', { flag: 'wx' }),
      { code: 'EEXIST', path: 'there' },
    ],
    'a file to be removed is not there': [(tx) => tx.remove('none'), { code: 'ENOENT', path: 'none' }],
    'a file to be renamed is not there': [(tx) => tx.rename('none', 'x'), { code: 'ENOENT' }],
    'a directory is in the way': [(tx) => tx.write('folder', ''), { code: 'EISDIR', path: 'folder' }],
    'no directory, and none to be made': [
      (tx) => tx.write('no/such', '', { mkdir: false }),
      { code: 'ENOENT', path: 'no/such' },
    ],
    'a broken index': [
      (tx) => tx.update('broken.json', (index) => index),
      { code: 'ERR_ATOMIC_CORRUPT_INDEX', path: 'broken.json' },
    ],
    'a wrong argument': [(tx) => tx.write('b', 7 as any), { code: 'ERR_INVALID_ARG_TYPE' }],
    'a wrong option': [(tx) => tx.write('b', '', { mode: 'rwx' }), { code: 'ERR_INVALID_ARG_VALUE' }],
  }
  for (const [title, [build, expected]] of Object.entries(cases)) {
    test(title, async ({ dir }) => {
      writeFileSync(join(dir, 'there'), 'there')
      writeFileSync(join(dir, 'broken.json'), '{')
      mkdirSync(join(dir, 'folder'))
      const before = [read(dir, 'there'), visible(dir)]
      const error = await rejection(
        atomicTransaction(dir, async (tx) => {
          tx.write('a', 'a')
          tx.update('index.json', () => ({ n: 1 }))
          tx.remove('there')
          tx.write('there', 'other')
          await build(tx)
        }),
      )
      expect(error).toMatchObject(expected)
      expect(error.committed).toBeUndefined()
      expect([read(dir, 'there'), visible(dir)]).toEqual(before)
      await atomicTransaction(dir, (tx) => tx.write('a', 'later'))
      expect(read(dir, 'a')).toBe('later')
    })
  }

  test('an error of ours leads to the caller', async ({ dir }) => {
    const error = await rejection(atomicTransaction(dir, (tx) => tx.remove('none')))
    expect(error.stack).toContain('transaction.spec.ts')
  })

  test('an error of ours leads to all that wait for it', async ({ dir }) => {
    const failing = () => atomicTransaction(dir, (tx) => tx.remove('none'))
    const byHand = async () => {
      const tx = await beginTransaction(dir)
      tx.remove('none')
      return tx
    }
    async function oneOfMany() {
      await Promise.all([failing(), failing()])
    }
    async function theCommit() {
      const tx = await byHand()
      await tx.commit()
    }
    async function theCaller(of: () => Promise<unknown>) {
      await of()
    }
    for (const of of [oneOfMany, theCommit]) {
      const { stack, message } = await rejection(theCaller(of))
      expect(stack).toContain(`Error: ${message}\n`)
      expect(stack).toMatch(new RegExp(` {4}at (async )?${of.name} .*\\n {4}at (async )?theCaller `))
      expect(stack).not.toContain('<anonymous>')
    }
  })

  test('an option that only a call by itself has is refused, and the message says what to do', async ({
    dir,
  }) => {
    for (const [options, instead] of [
      [{ onCorrupt: 'recover' }, 'call recoverIndex before the transaction'],
      [{ fnTimeout: 10 }, 'ends by its signal'],
      [{ network: 'allow' }, 'a disk of this machine'],
    ] as const) {
      const update = atomicTransaction(dir, (tx) => {
        tx.update('broken.json', () => ({}), options as object)
      })
      const list = atomicTransaction(dir, [{ update: 'broken.json', fn: () => ({}), ...(options as object) }])
      for (const error of await Promise.all([update, list].map(rejection))) {
        const message = expect.stringContaining(instead)
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', message })
      }
    }
  })

  test('wrong arguments reject', async ({ dir }) => {
    const loosely = atomicTransaction as (...args: unknown[]) => Promise<unknown>
    for (const args of [[7, () => {}], [dir], [dir, {}], [dir, () => {}, 7], [dir, [{}]], [dir, [7]]]) {
      expect(await rejection(loosely(...args))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    }
    for (const options of [{ retries: -1 }, { flush: 1 }, { signal: 7 }, { timeout: 'x' }]) {
      expect((await rejection(loosely(dir, () => {}, options))).code).toBe('ERR_INVALID_ARG_TYPE')
    }
    expect(visible(dir)).toEqual([])
  })
})

describe('an abort', () => {
  test('before the call', async ({ dir }) => {
    const signal = AbortSignal.abort('why')
    const error = await rejection(atomicTransaction(dir, (tx) => tx.write('a', ''), { signal }))
    expect(error).toMatchObject({ name: 'AbortError', cause: 'why' })
    expect(existsSync(join(dir, 'a'))).toBe(false)
  })

  test('while it waits behind another one, and inside its own function', async ({ dir }) => {
    const { opened, open } = gate()
    const first = atomicTransaction(dir, (tx) => {
      tx.update('index.json', async () => {
        await opened
        return { n: 1 }
      })
    })
    const controller = new AbortController()
    const { signal } = controller
    const second = rejection(atomicTransaction(dir, (tx) => tx.write('second', ''), { signal }))
    await new Promise(setImmediate)
    controller.abort()
    expect(await second).toMatchObject({ name: 'AbortError' })
    open()
    await first
    const third = new AbortController()
    const error = await rejection(
      atomicTransaction(
        dir,
        (tx) => {
          tx.update('index.json', (index) => {
            third.abort()
            return { ...index, n: 3 }
          })
          tx.write('third', '')
        },
        { signal: third.signal },
      ),
    )
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(readJson(join(dir, 'index.json'))).toEqual({ n: 1 })
    expect(visible(dir)).toEqual(['index.json'])
  })
})

describe('a transaction by hand', () => {
  test('does nothing until it is committed, and ends with that', async ({ dir }) => {
    const tx = await beginTransaction(dir)
    tx.write('a', '1')
    const index = tx.update('index.json', () => ({ n: 1 }))
    expect(visible(dir)).toEqual([])
    expect(await tx.commit()).toMatchObject({ transaction: 1, value: undefined })
    expect(index.value).toEqual({ n: 1 })
    expect(() => tx.write('b', '')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
    expect(await rejection(tx.commit())).toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(visible(dir)).toEqual(['a', 'index.json'])
  })

  test('leaves nothing when its block ends without a commit', async ({ dir }) => {
    {
      await using tx = await beginTransaction(dir)
      tx.write('a', '1')
    }
    const tx = await beginTransaction(dir)
    tx.write('a', '1')
    await tx.rollback()
    expect(await rejection(tx.commit())).toMatchObject({ code: 'ERR_INVALID_STATE' })
    expect(visible(dir)).toEqual([])
  })

  test('rejects if what it has read was changed', async ({ dir }) => {
    writeFileSync(join(dir, 'a'), '1')
    const tx = await beginTransaction(dir)
    tx.write('b', `${await tx.read('a', 'utf8')}!`)
    writeFileSync(join(dir, 'a'), 'two')
    expect(await rejection(tx.commit())).toMatchObject({ code: 'ERR_ATOMIC_CONFLICT' })
    expect(visible(dir)).toEqual(['a'])
  })
})
