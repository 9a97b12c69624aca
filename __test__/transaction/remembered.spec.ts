// Options that nobody can change are read once; all others at each call.

import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, type TransactionUpdateOptions } from '@pipeline/atomic'
import { expect } from 'vitest'
import { z } from 'zod'
import { inside, isDurable } from '../helpers/files'
import { readJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const update = (root: string, file: string, options: TransactionUpdateOptions) =>
  atomicTransaction(root, (tx) => void tx.update(file, (index) => ({ ...index }), options))

test('a member that can be changed is read each time, also of frozen options', async ({ dir }) => {
  const initial = { n: 1 }
  const options = Object.freeze({ initial })
  for (const n of [1, 2]) {
    initial.n = n
    await update(dir, '1.json', options)
    expect(readJson(join(dir, '1.json'))).toEqual({ n })
    rmSync(join(dir, '1.json'))
  }
})

test('a getter is asked each time', async ({ dir }) => {
  let space = 1
  const options = Object.freeze(
    Object.defineProperty({ initial: Object.freeze({ n: 1 }) }, 'space', {
      get: () => space,
      enumerable: true,
    }),
  )
  for (space of [1, 4]) {
    await update(dir, '1.json', options)
    expect(readFileSync(join(dir, '1.json'), 'utf8')).toContain(`{\n${' '.repeat(space)}"n"`)
  }
})

test('an operation of a list that has no options is said to have an object of them', async ({ dir }) => {
  const fn = () => ({})
  const other = await rejection(
    atomicTransaction(dir, [
      { update: '1.json', fn, space: 4 },
      { update: '1.json', fn },
    ]),
  )
  expect(other.code).toBe('ERR_INVALID_ARG_TYPE')
  expect(other.message).toContain('Received an instance of Object')
})

test('options that are frozen later are those of that time', async ({ dir }) => {
  const options: TransactionUpdateOptions = { initial: { n: 1 } }
  await update(dir, '1.json', options)
  options.initial = Object.freeze({ n: 2 })
  Object.freeze(options)
  for (const file of ['2.json', '3.json']) await update(dir, file, options)
  expect(['1.json', '2.json', '3.json'].map((file) => readJson(join(dir, file)).n)).toEqual([1, 2, 2])
})

test('the same options mean another backup for another file, and the same path another file below another root', async ({
  dir,
}) => {
  const options = Object.freeze({ initial: Object.freeze({ n: Number(-1) }), backup: true })
  const roots = ['a', 'b'].map((name) => join(dir, name))
  for (const root of roots) {
    mkdirSync(root)
    for (const file of ['1.json', '2.json']) {
      for (let n = 0; n < 2; n++)
        await atomicTransaction(
          root,
          (tx) => void tx.update(file, (index) => ({ root, file, n, was: index.n }), options),
        )
      expect(readJson(join(root, file))).toEqual({ root, file, n: 1, was: 0 })
      expect(readJson(join(root, `${file}.backup`))).toEqual({ root, file, n: 0, was: -1 })
    }
  }
})

test('the same path of a backup is another file below another root', async ({ dir }) => {
  const options = Object.freeze({ backup: 'old.json' })
  mkdirSync(join(dir, 'a'))
  writeFileSync(join(dir, 'a/1.json'), '{"n":0}')
  for (const [root, file] of [[dir, 'a/1.json'] as const, [join(dir, 'a'), '1.json'] as const]) {
    await atomicTransaction(root, (tx) => tx.update(file, (index) => ({ n: index.n + 1 }), options))
  }
  expect([readJson(join(dir, 'old.json')), readJson(join(dir, 'a/old.json'))]).toEqual([{ n: 0 }, { n: 1 }])
})

test('the same options of a write are others in a transaction with others', async ({ dir }) => {
  const options = Object.freeze({ mode: 0o640 })
  const written = []
  for (const [at, given] of [{}, { verify: false }, { flush: false }, {}].entries()) {
    const { files, durable } = await atomicTransaction(dir, (tx) => tx.write(`${at}`, 'text', options), given)
    expect(statSync(join(dir, `${at}`)).mode & 0o777).toBe(0o640)
    written.push([files[0]?.verified !== false, durable])
  }
  const kept = isDurable(dir)
  expect(written).toEqual([
    [true, kept],
    [false, kept],
    [true, false],
    [true, kept],
  ])
})

test('a getter of the options of a write is asked each time', async ({ dir }) => {
  let mode = 0
  const options = Object.freeze(Object.defineProperty({}, 'mode', { get: () => mode, enumerable: true }))
  for (mode of [0o640, 0o600]) {
    await atomicTransaction(dir, (tx) => tx.write(`${mode}`, 'text', options))
    expect(statSync(join(dir, `${mode}`)).mode & 0o777).toBe(mode)
  }
})

test('options of a write are not those of an update', async ({ dir }) => {
  const options = Object.freeze({ mkdir: false })
  for (const file of ['1.json', '2.json']) {
    await atomicTransaction(dir, (tx) => {
      tx.write(`${file}.txt`, 'text', options)
      tx.update(file, () => ({ n: 1 }), options)
    })
    expect(readFileSync(join(dir, `${file}.txt`), 'utf8')).toBe('text')
    expect(readJson(join(dir, file))).toEqual({ n: 1 })
  }
})

test('options that are wrong are refused as they are without being frozen', async ({ dir }) => {
  for (const verify of [Symbol('no'), [Symbol('no')], { no: 1 }]) {
    const wrong = { verify: Object.freeze(verify) } as object
    for (const options of [wrong, Object.freeze({ ...wrong })]) {
      expect(await rejection(update(dir, '1.json', options))).toHaveProperty('code', 'ERR_INVALID_ARG_VALUE')
    }
  }
})

test('a schema that is none any more is refused', async ({ dir }) => {
  const schema: any = { '~standard': z.looseObject({ n: z.number() })['~standard'] }
  const options = Object.freeze({ schema, initial: Object.freeze({ n: 1 }) })
  await update(dir, '1.json', options)
  schema['~standard'] = {}
  await expect(update(dir, '1.json', options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
})

test('options that go round in a circle are refused as they are without being frozen', async ({ dir }) => {
  const initial: any = {}
  initial.initial = initial
  Object.freeze(initial)
  const refused = atomicTransaction(
    dir,
    (tx) => void tx.update('1.json', (index) => index, Object.freeze({ initial })),
  )
  await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
})

test('a relative root leads from the current folder of each call', async ({ dir }) => {
  const folders = ['a', 'b'].map((name) => join(dir, name))
  for (const folder of [...folders, ...folders]) {
    mkdirSync(join(folder, 'root'), { recursive: true })
    await inside(folder, () => atomicTransaction('root', [{ write: 'file', data: folder }]))
  }
  for (const folder of folders) expect(readFileSync(join(folder, 'root/file'), 'utf8')).toBe(folder)
})
