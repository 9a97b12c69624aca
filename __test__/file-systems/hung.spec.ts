// A mount that does not answer.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicDirectory,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  copyDirectoryAtomic,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { makeDir, numbered, numbersSeen } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection, until } from '../helpers/promises'

const testFuse = needs('root that may mount FUSE')

/** Waits for calls. If they hang, the mount must go all the same, or this process cannot end. */
async function ended(calls: Promise<unknown>[]): Promise<void> {
  const all = Promise.all(calls)
  let settled = false
  all
    .catch(() => {})
    .finally(() => {
      settled = true
    })
  await until(() => settled)
  await all
}

const calls: [string, (path: string) => Promise<unknown>][] = [
  ['a write', (path) => atomicWrite(path, 'x')],
  ['an update', (path) => atomicIndexUpdate(path, () => ({}), { initial: {} })],
  ['a directory', (path) => atomicDirectory(path, () => {})],
]

for (const [title, call] of calls) {
  testFuse(`${title} there does not hold up calls elsewhere`, async ({ dir }) => {
    let hung: Promise<any> | undefined
    await onPoorFs(dir, { hang: 'dead' }, async (at) => {
      hung = rejection(call(join(at, 'dead', 'file')))
      const here = makeDir(dir, 'here')
      await ended([
        atomicWrite(join(here, 'file'), 'x'),
        atomicWriteAll([{ path: join(here, 'batch'), data: 'x' }]),
        atomicIndexUpdate(join(here, 'index'), () => ({}), { initial: {} }),
        atomicDirectory(join(here, 'site'), (to) => writeFileSync(join(to, 'page'), 'x')),
        atomicTransaction(here, [{ write: 'a', data: 'x' }]),
      ])
      await ended([copyDirectoryAtomic(join(here, 'site'), join(here, 'copy'))])
      expect(readFileSync(join(here, 'copy', 'page'), 'utf8')).toBe('x')
    })
    // The mount is gone.
    expect(await hung).toMatchObject({
      code: expect.stringMatching(/^(ENOTCONN|ECONNABORTED)$/),
      path: expect.stringContaining('dead'),
    })
  })
}

testFuse('calls elsewhere stay in their order, by all names of a file', async ({ dir }) => {
  let hung: Promise<any> | undefined
  await onPoorFs(dir, { hang: 'dead' }, async (at) => {
    hung = rejection(atomicWrite(join(at, 'dead', 'file'), 'x'))
    mkdirSync(join(dir, 'a', 'b'), { recursive: true })
    const [path, other] = [join(dir, 'a', 'file'), `${join(dir, 'a', 'b')}/../file`]
    const writes = Array.from({ length: 40 }, (_, i) =>
      atomicWrite(i % 2 ? path : other, numbered(i, i % 3 ? 10 : 1 << 20)),
    )
    expect(await numbersSeen(path, ended(writes))).toStrictEqual({ ascending: true, last: 39 })
  })
  await hung
})

testFuse(
  'a transaction that cannot find its files there keeps no other call waiting, and can be given up',
  async ({ dir }) => {
    // In a process of its own: one whose event loop stands still would not let this test fail.
    const search = async (
      { atomicTransaction, atomicWrite, atomicIndexUpdate }: Remote,
      root: string,
      here: string,
    ) => {
      const kinds = {
        known: [{ write: 'dead/a', data: '' }],
        later: [{ write: 'dead/a', data: () => '' }],
        both: [{ mkdir: 'dead/new' }, { write: 'dead/new/a', data: '' }],
      }
      const ends: unknown[] = []
      for (const [kind, operations] of Object.entries(kinds)) {
        const controller = new AbortController()
        const hung = atomicTransaction(root, operations, { signal: controller.signal })
        hung.catch(() => {})
        // Of the same root, and of another one.
        await atomicWrite(`${root}/alive/${kind}`, '')
        await atomicIndexUpdate(`${root}/alive/index.json`, () => ({ kind }))
        await atomicTransaction(here, [
          { write: kind, data: '' },
          { update: 'index.json', fn: () => ({ kind }) },
        ])
        controller.abort()
        ends.push(await hung.catch(({ name }) => name))
        ends.push(await atomicTransaction(root, operations, { timeout: 20 }).catch(({ code }) => code))
      }
      return ends
    }
    await onPoorFs(dir, { hang: 'dead' }, async (root) => {
      mkdirSync(join(root, 'alive'))
      const env = { UV_THREADPOOL_SIZE: '16' }
      const child = inProcess(search, [root, makeDir(dir, 'here')], { env })
      const ends = await child.returned
      expect(ends).toEqual(Array(3).fill(['AbortError', 'ERR_ATOMIC_LOCK_TIMEOUT']).flat())
      child.kill()
    })
  },
)
