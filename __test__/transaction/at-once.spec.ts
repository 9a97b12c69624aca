// A transaction that only writes what is known: one job does all of it, and it ends as any other.

import { createHook } from 'node:async_hooks'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicTransaction, beginTransaction } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs, withAttribute } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { gate, isPending, rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const testImmutable = needs('root that may set immutable')

const two = (data: string) => ['a', 'b'].map((write) => ({ write, data }))

/** How many works of ours a call queues. */
async function works(call: () => Promise<unknown>): Promise<number> {
  let count = 0
  const hook = createHook({ init: (_, type) => void (type === 'atomic work' && count++) }).enable()
  try {
    await call()
  } finally {
    hook.disable()
  }
  return count
}

test('it goes to a worker once; one with a function goes three times', async ({ dir }) => {
  await atomicTransaction(dir, two('1'))
  expect(await works(() => atomicTransaction(dir, two('2')))).toBe(1)
  const update = () => atomicTransaction(dir, (tx) => void tx.update('index.json', () => ({ n: 1 })))
  expect(await works(update)).toBe(3)
})

describe('two paths of one file', () => {
  test('are one file, which the last one says', async ({ dir }) => {
    mkdirSync(join(dir, 'folder'))
    symlinkSync('folder', join(dir, 'link'))
    const { files } = await atomicTransaction(dir, [
      { write: 'folder/a', data: 'first' },
      { write: 'link/a', data: 'second' },
    ])
    expect(files).toHaveLength(1)
    expect(readFileSync(join(dir, 'folder/a'), 'utf8')).toBe('second')
  })
})

describe('nothing is written', () => {
  test('if a path is wrong, which the error says', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), '')
    const failed = await rejection(
      atomicTransaction(dir, [...two('1'), { write: 'file/in/it', data: '' }], { timeout: 60_000 }),
    )
    expect(failed).toMatchObject({ code: 'ENOTDIR', path: 'file/in/it' })
    expect(names(dir)).toEqual(['.atomic', 'file'])
  })

  test('if one leads up out of a folder that another one makes', async ({ dir }) => {
    const failed = await rejection(
      atomicTransaction(dir, [
        { write: 'new/../a', data: '1' },
        { write: 'new/b', data: '1' },
      ]),
    )
    expect(failed).toMatchObject({ code: 'ERR_ATOMIC_OUTSIDE_ROOT', path: 'new/../a' })
    expect(failed).not.toHaveProperty('entry')
    expect(names(dir)).toEqual(['.atomic', 'new'])
  })

  testImmutable('if one cannot be replaced, which the error says', async ({ dir }) => {
    writeFileSync(join(dir, 'b'), 'old')
    const failed = await withAttribute('i', join(dir, 'b'), () => rejection(atomicTransaction(dir, two('1'))))
    expect(failed).toMatchObject({ code: 'EPERM', dest: join(dir, 'b') })
    expect(failed).not.toHaveProperty('entry')
    expect(names(dir)).toEqual(['.atomic', 'b'])
  })

  test('while another call has a file: it waits, and ends by its signal or its timeout', async ({ dir }) => {
    const [begun, over] = [gate(), gate()]
    const holds = atomicIndexUpdate(join(dir, 'b'), async () => {
      begun.open()
      await over.opened
      return { n: 1 }
    })
    await begun.opened
    const controller = new AbortController()
    const aborted = atomicTransaction(dir, two('1'), { signal: controller.signal })
    expect(await isPending(aborted, 50)).toBe(true)
    controller.abort()
    expect(await rejection(aborted)).toMatchObject({ name: 'AbortError' })
    const late = await rejection(atomicTransaction(dir, two('1'), { timeout: 50 }))
    expect(late).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    over.open()
    await holds
    expect(names(dir)).toEqual(['.atomic', 'b'])
  })
})

test('a read that nobody has waited for sees what was registered, also when that has been let go', async ({
  dir,
}) => {
  const tx = await beginTransaction(dir)
  tx.write('a', 'registered')
  const read = tx.read('a', 'utf8')
  await tx.rollback()
  expect(await read).toBe('registered')
})

describe('an abort', () => {
  test('while no worker has found its files yet ends it, and nothing is written', async ({ dir }) => {
    const child = inProcess(
      async ({ atomicTransaction, require }, dir) => {
        const { pbkdf2 } = require('node:crypto') as typeof import('node:crypto')
        const { createHook } = require('node:async_hooks') as typeof import('node:async_hooks')
        const fs = require('node:fs') as typeof import('node:fs')
        const two = (data: string) => ['a', 'b'].map((write) => ({ write, data }))
        await atomicTransaction(dir, two('old'))
        const controller = new AbortController()
        const queued = new Promise<void>((resolve) => {
          createHook({ init: (_, type) => void (type === 'atomic work' && resolve()) }).enable()
        })
        // The only worker.
        let isBusy = true
        const busy = new Promise<void>((resolve) => {
          pbkdf2('', '', 1_000_000, 64, 'sha512', () => {
            isBusy = false
            resolve()
          })
        })
        const call = atomicTransaction(dir, two('new'), { signal: controller.signal })
        const told = call.then(String, ({ name }) => ({ name, isBusy }))
        await queued
        controller.abort()
        const outcome = await told
        await busy
        // It comes after that.
        await atomicTransaction(dir, [{ write: 'c', data: '' }])
        return [outcome, fs.readFileSync(`${dir}/a`, 'utf8')]
      },
      [dir],
      { env: { UV_THREADPOOL_SIZE: '1' } },
    )
    expect(await child.returned).toEqual([{ name: 'AbortError', isBusy: true }, 'old'])
  })

  test('between the end of the job and its caller being told changes nothing: the files are written', async ({
    dir,
  }) => {
    await atomicTransaction(dir, two('0'))
    for (let nth = 0; nth < 20; nth++) {
      const controller = new AbortController()
      const works = new Set<number>()
      let resolved = -1
      const hook = createHook({
        init: (id, type) => void (type === 'atomic work' && works.add(id)),
        before: (id) => {
          if (works.has(id)) resolved = 0
        },
        promiseResolve: () => {
          if (resolved >= 0 && resolved++ === nth) controller.abort()
        },
      }).enable()
      try {
        const call = atomicTransaction(dir, two(`${nth}`), { signal: controller.signal, flush: false })
        await call.catch((error) => expect.fail(`${error} at ${nth}, but ${readFileSync(join(dir, 'a'))}`))
      } finally {
        hook.disable()
      }
      expect(readFileSync(join(dir, 'a'), 'utf8')).toBe(`${nth}`)
    }
  })
})
