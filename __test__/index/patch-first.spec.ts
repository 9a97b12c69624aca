// The first of many patches that are called at once, which is started when the others are still to come.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

/** Patches whose only worker is kept from the others until the first one has its index: what shares the commit with that, in so many rounds. */
async function lateOthers({ atomicIndexPatch, require }: Remote, file: string, fifo: string, rounds: number) {
  const fs = require('node:fs') as typeof import('node:fs')
  const { createHook } = require('node:async_hooks') as typeof import('node:async_hooks')
  let first: number | undefined
  let writer: number | undefined
  const hook = createHook({
    init(id, type) {
      if (type === 'atomic work') first ??= id
    },
    after(id) {
      if (id !== first) return
      // A group that does not wait has taken up what is there by then.
      setImmediate(() => {
        writer ??= fs.openSync(fifo, 'r+')
      })
    },
  }).enable()
  const sizes: (number | undefined)[] = []
  for (let round = 0; round < rounds; round++) {
    first = undefined
    writer = undefined
    const patch = () => atomicIndexPatch(file, { increment: { '/n': 1 } }, { flush: false })
    const call = patch()
    const opened = fs.promises.open(fifo, 'r')
    const others = [patch(), patch(), patch()]
    sizes.push((await call).batchSize)
    await Promise.all(others)
    await (await opened).close()
    if (writer !== undefined) fs.closeSync(writer)
  }
  hook.disable()
  return sizes
}

needs('linux')('shares their commit, which waits for them', async ({ dir, file }) => {
  // It takes a while to read.
  writeJson(file, { n: 0, text: 'x'.repeat(4_000_000) })
  const fifo = join(dir, 'fifo')
  execFileSync('mkfifo', [fifo])
  const there = inProcess(lateOthers, [file, fifo, 10], { env: { UV_THREADPOOL_SIZE: '1' } })
  // A machine that is too busy has some that are later than a group waits for.
  expect(await there.returned).toContain(4)
  expect(readJson(file).n).toBe(40)
})
