// A patch that is alone, and whose index another program replaces between the read and the rename: it begins again, as long as it has time.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const increment = ({ atomicIndexPatch }: Remote, file: string, timeout: number) =>
  atomicIndexPatch(file, { increment: { '/n': 1 } }, { timeout }).then(
    ({ batchSize }) => batchSize,
    ({ code }) => code,
  )

/** A patch whose first flush goes on until another program has put `text` there (`null`: nothing), and so many milliseconds more. */
async function changed(file: string, text: string | null, timeout: number, ms = 0) {
  writeFileSync(file, '{"n":0}')
  let isChanged = false
  const { returned, calls } = await systemCalls(increment, [file, timeout], {
    trace: ['fsync'],
    inject: ['fsync:signal=SIGSTOP'],
    async whileStopped() {
      if (isChanged) return
      isChanged = true
      if (text === null) return rmSync(file)
      writeFileSync(`${file}.other`, text)
      renameSync(`${file}.other`, file)
      await sleep(ms)
    },
  })
  const outcome = { told: returned, text: existsSync(file) ? readFileSync(file, 'utf8') : undefined }
  return { outcome, flushes: calls.length }
}

const traced = needs('strace that may attach')

traced('it is applied to what is there then, or fails on that', async ({ dir }) => {
  const cases = [
    ['{"n":100}', { told: 1, text: '{"n":101}' }],
    [null, { told: 1, text: '{\n  "n": 1\n}' }],
    ['{"n":"x"}', { told: 'ERR_ATOMIC_PATCH', text: '{"n":"x"}' }],
    ['{"n":', { told: 'ERR_ATOMIC_CORRUPT_INDEX', text: '{"n":' }],
  ] as const
  const runs = cases.map(([text], at) => changed(join(dir, `${at}.json`), text, 60_000))
  const outcomes = (await Promise.all(runs)).map(({ outcome }) => outcome)
  expect(outcomes).toEqual(cases.map(([, outcome]) => outcome))
})

traced('when its time is over it does not begin again', async ({ dir }) => {
  const TIMEOUT = 100
  const { outcome, flushes } = await changed(join(dir, 'index.json'), '{"n":100}', TIMEOUT, TIMEOUT)
  expect(outcome).toEqual({ told: 'ERR_ATOMIC_LOCK_TIMEOUT', text: '{"n":100}' })
  expect(flushes).toBe(1)
})
