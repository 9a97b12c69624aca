// A mount that does not answer.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicDirectory,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteAll,
  copyDirectoryAtomic,
} from '@pipeline/atomic'
import { expect } from 'vitest'
import { makeDir, numbered, numbersSeen } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
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
