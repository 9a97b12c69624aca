// Writes into one directory share its flushes, and none of them resolves on one that began too early.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { leftovers, makeDir, names } from '../helpers/files'
import { times } from '../helpers/group'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { isDirSync } from '../helpers/steps'
import { type SystemCall, systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

const traced = needs('strace that may attach')

interface Outcome {
  durable?: boolean
  code?: string
  syscall?: string
  committed?: boolean
}

/** For another process: writes all files at once, and looks for a name in the root when each is done. */
const writeAll = async ({ atomicWrite, require }: Remote, files: string[], oneByOne: boolean) => {
  const { existsSync } = require('node:fs') as typeof import('node:fs')
  const write = async (file: string): Promise<Outcome> => {
    const outcome = await atomicWrite(file, 'new').then(
      ({ durable }) => ({ durable }),
      ({ code, syscall, committed }) => ({ code, syscall, committed }),
    )
    existsSync(`/settled-${file.slice(file.lastIndexOf('/') + 1)}`)
    return outcome
  }
  const outcomes: Outcome[] = []
  if (oneByOne) for (const file of files) outcomes.push(await write(file))
  return oneByOne ? outcomes : Promise.all(files.map(write))
}

interface Tracing {
  inject?: string[]
  oneByOne?: boolean
}

/** The outcomes of writing `files`, and what was done in `dirs` meanwhile. */
async function write(files: string[], dirs: string[], { inject = [], oneByOne = false }: Tracing = {}) {
  const { returned, calls } = await systemCalls(writeAll, [files, oneByOne], {
    trace: ['fsync', 'linkat', 'renameat', 'renameat2', 'access'],
    paths: [...dirs, ...files.map((file) => `/settled-${nameOf(file)}`)],
    inject,
  })
  return { outcomes: returned, calls }
}

const nameOf = (file: string) => file.slice(file.lastIndexOf('/') + 1)

/** When a file got its final name. */
function published(calls: SystemCall[], name: string): SystemCall {
  const ofName = ({ name: call, args, result }: SystemCall) =>
    /^(linkat|renameat2?)$/.test(call) && args.includes(`"${name}"`) && result === '0'
  return calls.findLast(ofName) ?? expect.fail(`${name} never got its name`)
}

/** When its promise was settled. */
function settled(calls: SystemCall[], name: string): SystemCall {
  const found = calls.find(({ name: call, args }) => call === 'access' && args.includes(`"/settled-${name}"`))
  return found ?? expect.fail(`${name} was never settled`)
}

const flushes = (calls: SystemCall[], dir: string) => calls.filter((call) => isDirSync(call, dir))

const succeeded = ({ result }: SystemCall) => result.startsWith('0')

/** The flushes that a write can rely on: begun after it had its name, and over before it was settled. */
function coveredBy(calls: SystemCall[], dir: string, name: string): SystemCall[] {
  const [from, to] = [published(calls, name).ended, settled(calls, name).began]
  return flushes(calls, dir).filter(({ began, ended }) => began > from && ended < to)
}

/** Far longer than a few writes take under strace, so that many come during one flush. */
const slowly = ['fsync:delay_enter=500000']

describe('of many writes at once into one directory', () => {
  for (const [what, old] of [
    ['new files', false],
    ['replaced files', true],
  ] as const) {
    for (const [disk, inject] of [
      ['', []],
      [', on a slow disk', slowly],
    ] as const) {
      traced(
        `each resolves after a flush that began when it had its name (${what}${disk})`,
        async ({ dir }) => {
          const files = times(40, (at) => join(dir, `file-${at}`))
          if (old) for (const file of files) writeFileSync(file, 'old')
          const { outcomes, calls } = await write(files, [dir], { inject: [...inject] })
          expect(outcomes.map(({ code }) => code)).toEqual(files.map(() => undefined))
          const unflushed = files.map(nameOf).filter((name) => !coveredBy(calls, dir, name).some(succeeded))
          expect(unflushed).toEqual([])
          expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(files.map(() => 'new'))
        },
      )
    }
  }

  traced('several share a flush when it takes long', async ({ dir }) => {
    const files = times(30, (at) => join(dir, `file-${at}`))
    const { calls } = await write(files, [dir], { inject: slowly })
    expect(flushes(calls, dir).length).toBeLessThan(files.length / 2)
  })

  traced('and into another, each resolves after a flush of its own directory', async ({ dir }) => {
    const dirs = ['a', 'b', 'c'].map((name) => makeDir(dir, name))
    const files = times(45, (at) => join(dirs[at % 3]!, `file-${at}`))
    const { calls } = await write(files, dirs, { inject: slowly })
    const unflushed = files.filter(
      (file, at) => !coveredBy(calls, dirs[at % 3]!, nameOf(file)).some(succeeded),
    )
    expect(unflushed).toEqual([])
  })
})

describe('one write after the other', () => {
  for (const [disk, inject] of [
    ['', []],
    [', on a slow disk', slowly],
  ] as const) {
    traced(`flushes its directory once each${disk}`, async ({ dir }) => {
      const files = times(4, (at) => join(dir, `file-${at}`))
      const { calls } = await write(files, [dir], { inject: [...inject], oneByOne: true })
      expect(files.map((file) => coveredBy(calls, dir, nameOf(file)).length)).toEqual([1, 1, 1, 1])
      expect(flushes(calls, dir)).toHaveLength(4)
    })
  }
})

describe('a flush of the directory that fails', () => {
  const failure = { code: 'EIO', syscall: 'fsync', committed: true }

  traced('rejects all that share it as committed, and their files are there', async ({ dir }) => {
    const files = times(40, (at) => join(dir, `file-${at}`))
    for (const file of files) writeFileSync(file, 'old')
    const { outcomes, calls } = await write(files, [dir], {
      inject: slowly.map((slow) => `${slow}:error=EIO`),
    })
    expect(outcomes).toEqual(files.map(() => failure))
    expect(flushes(calls, dir).length).toBeLessThan(files.length / 2)
    expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(files.map(() => 'new'))
    expect(leftovers(dir)).toEqual([])
  })

  for (const when of ['1', '1+2']) {
    traced(
      `rejects all whose names it may have lost, and no others (flush ${when} of each thread)`,
      async ({ dir }) => {
        const files = times(40, (at) => join(dir, `file-${at}`))
        const inject = [`fsync:error=EIO:delay_enter=500000:when=${when}`]
        const { outcomes, calls } = await write(files, [dir], { inject })
        const failed = flushes(calls, dir).filter((flush) => !succeeded(flush))
        expect(failed.length).toBeGreaterThan(0)
        outcomes.forEach((outcome, at) => {
          const name = `file-${at}`
          const covering = coveredBy(calls, dir, name)
          if (outcome.code === undefined) {
            expect(covering.some(succeeded)).toBe(true)
            // The flush that failed may have lost its name, and a later one does not report that: an earlier one counts.
            const lost = covering.find((flush) => !succeeded(flush))?.began ?? Number.POSITIVE_INFINITY
            expect(covering.some((flush) => succeeded(flush) && flush.ended < lost)).toBe(true)
          } else {
            expect(outcome).toEqual(failure)
            // One that was under way may have had the name in it already.
            const [from, to] = [published(calls, name).began, settled(calls, name).began]
            expect(failed.some(({ began, ended }) => ended > from && began < to)).toBe(true)
          }
        })
        expect(outcomes.some(({ code }) => code === 'EIO')).toBe(true)
        expect(names(dir)).toHaveLength(40)
      },
    )
  }

  traced('leaves no descriptor open', async ({ dir }) => {
    const main = async ({ atomicWrite, until, openBelow }: Remote, dir: string) => {
      const calls = Array.from({ length: 20 }, (_, at) => atomicWrite(`${dir}/${at % 10}`, `${at}`))
      const failed = (await Promise.allSettled(calls)).filter(({ status }) => status === 'rejected').length
      // A replaced file may be closed a moment after the answer.
      await until(() => openBelow(dir).length === 0)
      return failed
    }
    const faults = { trace: ['fsync'], paths: [dir], inject: ['fsync:error=EIO'] }
    const { returned } = await systemCalls(main, [dir], faults)
    expect(returned).toBe(20)
  })
})

test('writes into one directory and updates of an index in it do not block each other', async ({ dir }) => {
  const { atomicIndexUpdate, atomicWrite } = await import('@pipeline/atomic')
  const add = (index: { n: number }) => ({ n: index.n + 1 })
  await Promise.all([
    ...times(100, (at) => atomicWrite(join(dir, `file-${at}`), `${at}`)),
    ...times(100, () => atomicIndexUpdate(join(dir, 'index.json'), add, { initial: { n: 0 } })),
  ])
  expect(JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8'))).toEqual({ n: 100 })
  expect(names(dir)).toHaveLength(101)
})
