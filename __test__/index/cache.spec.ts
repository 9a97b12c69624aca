// The index as this process wrote it last is not read from disk again; every change by others is seen.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { untilClosed } from '../helpers/descriptors'
import { state } from '../helpers/files'
import { times } from '../helpers/group'
import { readJson, untilClockTicks } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { type SystemCall, systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

describe('the bytes of the index', () => {
  /** What was read from the index itself, not from what is staged for it. */
  const reads = (calls: SystemCall[], file: string) =>
    calls.filter(({ name, args }) => /read|mmap/.test(name) && args.includes(`<${file}>`))
  const trace = ['read', 'pread64', 'readv', 'preadv', 'mmap', 'renameat', 'linkat']

  /** An index that grows, or one whose text is as long each time. */
  const updates = async (
    { atomicIndexUpdate, require }: Remote,
    file: string,
    meddle: boolean,
    grows: boolean,
  ) => {
    const { appendFileSync } = require('node:fs') as typeof import('node:fs')
    const add = (index: any) => (grows ? [...index, index.length] : [(index[0] ?? 0) + 1])
    for (let round = 0; round < 4; round++) {
      await atomicIndexUpdate(file, add, { initial: [] })
      if (meddle) appendFileSync(file, '\n')
    }
    await Promise.all([1, 2].map(() => atomicIndexUpdate(file, add)))
  }

  const traced = needs('strace that may attach')
  for (const grows of [true, false]) {
    needs('strace that may attach', 'a temporary folder on ext4, xfs or btrfs')(
      `are not read again after a commit of this process (${grows ? 'it grows' : 'as long as before'})`,
      async ({ dir }) => {
        const file = join(dir, 'index.json')
        const { calls } = await systemCalls(updates, [file, false, grows], { trace })
        expect(calls.filter(({ name }) => name === 'renameat').length).toBeGreaterThan(3)
        expect(reads(calls, file)).toEqual([])
        expect(readJson(file)).toEqual(grows ? [0, 1, 2, 3, 4, 5] : [6])
      },
    )
  }

  traced('are read again when the file was changed', async ({ dir }) => {
    const file = join(dir, 'index.json')
    const { calls } = await systemCalls(updates, [file, true, true], { trace })
    expect(reads(calls, file).length).toBeGreaterThanOrEqual(3)
    expect(readJson(file)).toEqual([0, 1, 2, 3, 4, 5])
  })
})

describe('an update that changes nothing', () => {
  test('leaves the file alone after a commit of this process', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    await atomicIndexUpdate(file, () => ({ n: 2 }))
    const before = state(file)
    for (let round = 0; round < 3; round++) {
      expect(await atomicIndexUpdate(file, (index) => index)).toMatchObject({ written: false })
    }
    expect(state(file)).toEqual(before)
  })

  test('against what another program has written writes', async ({ file }) => {
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    await untilClockTicks(file)
    writeFileSync(file, readFileSync(file, 'utf8').replace('1', '2'))
    expect(await atomicIndexUpdate(file, () => ({ n: 1 }))).toMatchObject({ written: true })
    expect(readJson(file)).toEqual({ n: 1 })
  })
})

describe('after a commit that failed', () => {
  /** Three updates, of which a fault hits the second; and what the third was given. */
  const three = async ({ atomicIndexUpdate }: Remote, file: string) => {
    let given: unknown
    await atomicIndexUpdate(file, () => ({ n: 1 }))
    const error = await atomicIndexUpdate(file, () => ({ n: 2 })).catch(({ code, committed }) => ({
      code,
      committed,
    }))
    await atomicIndexUpdate(file, (index) => {
      given = structuredClone(index)
      return index
    })
    return { error, given }
  }
  // Of the one thread that there is: a file and its folder for each update.
  const faults: [what: string, when: number, committed: true | undefined, given: object][] = [
    ['of the file', 3, undefined, { n: 1 }],
    ['of the folder', 4, true, { n: 2 }],
  ]
  for (const [what, when, committed, given] of faults) {
    needs('strace that may attach')(
      `in the flush ${what}, the next update sees what is there`,
      async ({ dir }) => {
        const { returned } = await systemCalls(three, [join(dir, 'index.json')], {
          trace: ['fsync'],
          inject: [`fsync:error=EIO:when=${when}`],
          env: { UV_THREADPOOL_SIZE: '1' },
        })
        expect(returned).toEqual({ error: { code: 'EIO', ...(committed && { committed }) }, given })
      },
    )
  }
})

needs('linux')('nothing is kept open between updates', async ({ dir }) => {
  const files = times(20, (at) => join(dir, `${at}.json`))
  for (let round = 0; round < 2; round++) {
    await Promise.all(files.map((file) => atomicIndexUpdate(file, () => ({ round }), { flush: false })))
  }
  // A replaced file may be closed a moment after the answer.
  await untilClosed(dir)
})
