// A commit that fails rejects every call of its group, each with an error of its own, and the old index stands.

import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names, state } from '../helpers/files'
import { remoteGroup, times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { mounted, needs, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess, type ProcessOptions, type Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { unprivileged } from '../helpers/users'

type Group = Awaited<ReturnType<typeof remoteGroup>>

const SIZE = 5

/** Each call was rejected by itself, for that reason, and with a stack that reaches it. */
function expectAllRejected({ outcomes, distinct }: Group, error: object) {
  expect(outcomes).toMatchObject(times(SIZE, () => ({ error })))
  for (const { error } of outcomes) expect(error?.stack).toMatch(/ {4}at (async )?theCaller \(/)
  expect(distinct).toBe(SIZE)
}

describe('a commit that the disk refuses rejects its whole group', () => {
  async function refused(file: string, code: string, options: ProcessOptions, pad: number) {
    writeJson(file, ['old'])
    const before = state(file)
    const there = await inProcess(remoteGroup, [file, SIZE, pad], options).returned
    expectAllRejected(there, { code, syscall: 'write', path: file })
    for (const { error } of there.outcomes) expect(error).not.toHaveProperty('committed')
    expect(state(file)).toEqual(before)
    expect(names(join(file, '..'))).toEqual(['index.json'])
  }

  test('a limit on the size of files: EFBIG', ({ file }) =>
    refused(file, 'EFBIG', { before: 'ulimit -f 100' }, 100_000))

  needs('root that may mount')('a full one: ENOSPC', ({ dir }) =>
    mounted(join(dir, 'full'), tmpfs('256k'), (full) =>
      refused(join(full, 'index.json'), 'ENOSPC', {}, 100_000),
    ),
  )
})

describe('a fault in the commit of a group', () => {
  const traced = needs('strace that may attach')

  /** One thread does all the work, and strace counts its calls. */
  const withFault = async (file: string, call: string, fault: string) => {
    writeJson(file, ['old'])
    const before = state(file)
    const { returned } = await systemCalls(remoteGroup, [file, SIZE], {
      trace: [call],
      inject: [`${call}:${fault}`],
      env: { UV_THREADPOOL_SIZE: '1' },
    })
    return { there: returned, before }
  }

  const faults: [what: string, call: string, fault: string, error: object][] = [
    ['in the flush of the file', 'fsync', 'error=EIO:when=1', { code: 'EIO', syscall: 'fsync' }],
    ['in the rename', 'renameat', 'error=EIO', { code: 'EIO', syscall: 'rename' }],
  ]
  for (const [what, call, fault, error] of faults) {
    traced(`${what} rejects each, and the old index stands`, async ({ dir }) => {
      const file = join(dir, 'index.json')
      const { there, before } = await withFault(file, call, fault)
      expectAllRejected(there, { ...error, path: file })
      for (const { error } of there.outcomes) expect(error).not.toHaveProperty('committed')
      expect(state(file)).toEqual(before)
      expect(names(dir)).toEqual(['index.json'])
    })
  }

  traced('in the flush of the folder rejects each as committed', async ({ dir }) => {
    const file = join(dir, 'index.json')
    const { there } = await withFault(file, 'fsync', 'error=EIO:when=2')
    expectAllRejected(there, { code: 'EIO', syscall: 'fsync', committed: true })
    expect(readJson(file)).toHaveLength(1 + SIZE)
    expect(names(dir)).toEqual(['index.json'])
  })
})

describe('updates at once that may not', () => {
  const updateAll = async ({ atomicIndexUpdate }: Remote, file: string) => {
    const calls = Array.from({ length: 5 }, () => atomicIndexUpdate(file, () => ({ lost: true })))
    const settled = await Promise.allSettled(calls)
    const errors = settled.map((outcome) => 'reason' in outcome && outcome.reason)
    const told = errors.map(({ code, syscall, path }) => ({ code, syscall, path }))
    return { told, distinct: new Set(errors).size }
  }
  async function expectRefused(file: string, path: string) {
    const { told, distinct } = await inProcess(updateAll, [file], unprivileged).returned
    expect(told).toEqual(times(5, () => ({ code: 'EACCES', syscall: 'open', path })))
    expect(distinct).toBe(5)
  }

  testUnprivileged('read the index reject, and it stands', async ({ dir, file }) => {
    writeJson(file, ['old'])
    chmodSync(dir, 0o777)
    chmodSync(file, 0)
    await expectRefused(file, file).finally(() => chmodSync(file, 0o644))
    expect(readJson(file)).toEqual(['old'])
    expect(names(dir)).toEqual(['index.json'])
  })

  testUnprivileged('make the lock file reject, and the index stands', async ({ dir, file, lock }) => {
    writeJson(file, ['old'])
    chmodSync(dir, 0o555)
    await expectRefused(file, lock).finally(() => chmodSync(dir, 0o755))
    expect(readJson(file)).toEqual(['old'])
    expect(names(dir)).toEqual(['index.json'])
  })
})

needs('linux')('groups that fail leak no descriptor', async ({ dir }) => {
  const rounds = async ({ atomicIndexUpdate, require, until, openBelow }: Remote, dir: string) => {
    const fs = require('node:fs') as typeof import('node:fs')
    const fail = () => {
      throw new Error('no')
    }
    const round = async (name: string) => {
      const file = `${dir}/${name}.json`
      const controller = new AbortController()
      const abort = () => {
        controller.abort()
        return {}
      }
      const fns: ((index: any) => any)[] = [
        () => ({}),
        fail,
        () => 1,
        () => ({ n: 1n }),
        (index) => index,
        abort,
      ]
      const calls = fns.map((fn) => atomicIndexUpdate(file, fn, { signal: controller.signal, backup: true }))
      await Promise.allSettled(calls)
      fs.writeFileSync(file, '{')
      await Promise.allSettled(fns.map((fn) => atomicIndexUpdate(file, fn)))
    }
    const open = () => fs.readdirSync('/proc/self/fd').length
    await round('warm')
    await until(() => openBelow(dir).length === 0)
    const before = open()
    for (let at = 0; at < 20; at++) await round(`${at}`)
    await until(() => openBelow(dir).length === 0)
    return open() - before
  }
  expect(await inProcess(rounds, [dir]).returned).toBeLessThanOrEqual(2)
  expect(names(dir).filter((name) => name.startsWith('.'))).toEqual([])
})
