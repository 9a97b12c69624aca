// Functions and schemas of the caller's that never settle: an abort ends the call all the same, and leaves nothing.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  atomicIndexUpdate,
  atomicTransaction,
  recoverIndex,
  type StandardSchema,
  watchIndex,
  withIndexLock,
} from '@pipeline/atomic'
import { describe, expect, vi } from 'vitest'
import { names } from '../helpers/files'
import { readJson, writeJson } from '../helpers/index-file'
import { gate, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const reason = new Error('enough')

/** Code of the caller's, and when it was called. */
function never() {
  const { open, opened } = gate()
  const fn = () => {
    open()
    return new Promise<never>(() => {})
  }
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'never', validate: fn } }
  return { fn, schema, called: opened }
}
type Never = ReturnType<typeof never>
type Call = (file: string, given: Never, signal: AbortSignal) => Promise<unknown>

/** Broken, with a backup or without; or good. */
const cases: [string, string, Call][] = [
  ['an update', '{}', (file, { fn }, signal) => atomicIndexUpdate(file, fn, { signal })],
  [
    'an update with a schema',
    '{}',
    (file, { schema }, signal) => atomicIndexUpdate(file, (index) => index, { schema, signal }),
  ],
  [
    'an update whose onCorrupt makes an index',
    '{',
    (file, { fn }, signal) => atomicIndexUpdate(file, () => ({}), { onCorrupt: fn, signal }),
  ],
  [
    'an update with onCorrupt and a schema',
    '{',
    (file, { schema }, signal) =>
      atomicIndexUpdate(file, (index) => index, { onCorrupt: () => ({}), schema, signal }),
  ],
  [
    'an update under a lock',
    '{}',
    (file, { fn }, signal) => withIndexLock(file, (lock) => lock.update(fn, { signal })),
  ],
  [
    'a recovery with a schema, of a good index',
    '{}',
    (file, { schema }, signal) => recoverIndex(file, { schema, signal, initial: {} }),
  ],
  [
    'a recovery with a schema, of a broken index',
    '{',
    (file, { schema }, signal) => recoverIndex(file, { schema, signal, initial: {} }),
  ],
  [
    'a recovery with migrate',
    '{}',
    (file, { fn }, signal) => recoverIndex(file, { schema: refusing, migrate: fn, signal, initial: {} }),
  ],
  ['a recovery that rebuilds', '{', (file, { fn }, signal) => recoverIndex(file, { rebuild: fn, signal })],
  [
    'a recovery that rebuilds, with a schema',
    '{',
    (file, { schema }, signal) => recoverIndex(file, { rebuild: () => ({}), schema, signal }),
  ],
  [
    'a recovery under a lock',
    '{',
    (file, { fn }, signal) => withIndexLock(file, (lock) => lock.recover({ rebuild: fn, signal })),
  ],
  ['a watch with a schema', '{}', (file, { schema }, signal) => watchIndex(file, { schema, signal }).next()],
  ['a watch with onError', '{', (file, { fn }, signal) => watchIndex(file, { onError: fn, signal }).next()],
  [
    'a transaction',
    '{}',
    (file, { fn }, signal) => atomicTransaction(dirname(file), (tx) => void tx.update(file, fn), { signal }),
  ],
  [
    'a transaction with a schema',
    '{}',
    (file, { schema }, signal) =>
      atomicTransaction(dirname(file), (tx) => void tx.update(file, (index) => index, { schema }), {
        signal,
      }),
  ],
]

const refusing: StandardSchema = {
  '~standard': { version: 1, vendor: 'refusing', validate: () => ({ issues: [{ message: 'no' }] }) },
}

describe('an abort ends, and leaves neither a lock nor a file of:', () => {
  test.for(cases)('%s', async ([, text, call], { dir, file }) => {
    // It stays in the root of transactions.
    mkdirSync(`${dir}/.atomic`)
    writeFileSync(file, text)
    const given = never()
    const controller = new AbortController()
    const aborted = rejection(call(file, given, controller.signal))
    await given.called
    controller.abort(reason)
    expect(await aborted).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    expect(names(dir)).toEqual(['.atomic', 'index.json'])
    expect(readFileSync(file, 'utf8')).toBe(text)
    writeJson(file, { n: 1 })
    await atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }), { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

test('a backup whose schema never settles is not passed over for an older one, nor for rebuild', async ({
  dir,
  file,
}) => {
  writeFileSync(file, '{')
  for (const end of ['.backup', '.backup.1']) writeJson(`${file}${end}`, {})
  const given = never()
  const controller = new AbortController()
  const rebuild = () => expect.fail('called')
  const { schema } = given
  const validate = vi.spyOn(schema['~standard'], 'validate')
  const recovery = rejection(recoverIndex(file, { schema, rebuild, signal: controller.signal }))
  await given.called
  controller.abort(reason)
  expect(await recovery).toMatchObject({ name: 'AbortError', cause: reason })
  expect(validate).toHaveBeenCalledTimes(1)
  expect(names(dir)).toEqual(['index.json', 'index.json.backup', 'index.json.backup.1'])
  expect(readFileSync(file, 'utf8')).toBe('{')
})

test('what a rebuild calls after the abort does not wait for it any more', async ({ file }) => {
  writeFileSync(file, '{')
  const controller = new AbortController()
  const [begun, gone] = [gate(), gate()]
  let update: Promise<unknown> | undefined
  const rebuild = async () => {
    begun.open()
    await gone.opened
    update = atomicIndexUpdate(file, () => ({ n: 1 }))
    return {}
  }
  const recovery = rejection(recoverIndex(file, { rebuild, signal: controller.signal }))
  await begun.opened
  controller.abort(reason)
  await recovery
  writeJson(file, {})
  gone.open()
  await gone.opened
  await update
  expect(readJson(file)).toEqual({ n: 1 })
})

test('a step of a watch that is given up by return ends', async ({ file }) => {
  writeJson(file, {})
  const { schema, called } = never()
  const changes = watchIndex(file, { schema })
  const step = changes.next()
  await called
  await changes.return?.()
  expect(await step).toEqual({ value: undefined, done: true })
})

describe("a step of a watch that is given up while code of the caller's runs, by it, ends", () => {
  const ways = ['abort', 'return'] as const
  const givenUp = ways.flatMap((way) =>
    (['parse', 'schema', 'onError'] as const).map((by) => [way, by] as const),
  )
  test.for(givenUp)('by %s in %s', async ([way, by], { file }) => {
    writeFileSync(file, by === 'onError' ? '{' : '{}')
    const controller = new AbortController()
    const giveUp = () => {
      if (way === 'abort') controller.abort(reason)
      else void changes.return?.()
    }
    const never = () => {
      if (by !== 'parse') giveUp()
      return new Promise<never>(() => {})
    }
    const parse = (text: string) => {
      if (by === 'parse') giveUp()
      return JSON.parse(text)
    }
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'never', validate: never } }
    const codec = { parse, stringify: (value: unknown) => JSON.stringify(value) }
    const changes = watchIndex(file, { schema, codec, onError: never, signal: controller.signal })
    const end = await changes.next().catch((error) => error)
    if (way === 'abort') expect(end).toMatchObject({ name: 'AbortError', cause: reason })
    else expect(end).toEqual({ value: undefined, done: true })
  })
})
