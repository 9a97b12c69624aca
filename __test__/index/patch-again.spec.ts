// A patch that is alone, and whose index another program replaces between the read and the rename: it begins again, as long as it has time.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

/** A patch on a slow disk, while another program puts `text` there (`null`: nothing), time and again until so many milliseconds have gone by. */
async function changed(
  { atomicIndexPatch, require }: Remote,
  file: string,
  text: string | null,
  until: number,
  timeout: number,
) {
  const fs = require('node:fs') as typeof import('node:fs')
  const began = performance.now()
  let changes = 0
  const change = () => {
    if (performance.now() - began >= until) return
    changes++
    if (text === null) return fs.rmSync(file, { force: true })
    fs.writeFileSync(`${file}.other`, text)
    fs.renameSync(`${file}.other`, file)
  }
  const timer = setInterval(change, 50)
  const call = atomicIndexPatch(file, { increment: { '/n': 1 } }, { timeout })
  const told = await call.then(
    ({ batchSize }) => batchSize,
    ({ code }) => code,
  )
  clearInterval(timer)
  return { changes, told, text: fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined }
}

const slowly = { trace: ['fsync'], inject: ['fsync:delay_enter=1000000'] }

const traced = needs('strace that may attach')

traced('it is applied to what is there then, or fails on that', async ({ dir }) => {
  const cases = [
    ['{"n":100}', { told: 1, text: '{"n":101}' }],
    [null, { told: 1, text: '{\n  "n": 1\n}' }],
    ['{"n":"x"}', { told: 'ERR_ATOMIC_PATCH', text: '{"n":"x"}' }],
    ['{"n":', { told: 'ERR_ATOMIC_CORRUPT_INDEX', text: '{"n":' }],
  ] as const
  const runs = cases.map(async ([text], at) => {
    const file = join(dir, `${at}.json`)
    for (;;) {
      writeFileSync(file, '{"n":0}')
      // The flush of the first attempt ends later.
      const { changes, ...outcome } = (await systemCalls(changed, [file, text, 700, 60_000], slowly)).returned
      // On a busy machine the other program may come too late.
      if (changes > 0) return outcome
    }
  })
  expect(await Promise.all(runs)).toEqual(cases.map(([, outcome]) => outcome))
})

traced('when its time is over it does not begin again', async ({ dir }) => {
  const file = join(dir, 'index.json')
  writeFileSync(file, '{"n":0}')
  const { returned, calls } = await systemCalls(changed, [file, '{"n":100}', 60_000, 100], slowly)
  expect(returned).toMatchObject({ told: 'ERR_ATOMIC_LOCK_TIMEOUT', text: '{"n":100}' })
  expect(calls.map(({ name }) => name)).toEqual(['fsync'])
})
