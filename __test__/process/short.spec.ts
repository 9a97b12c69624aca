// Small writes share works of libuv's pool.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { times } from '../helpers/group'
import { needs } from '../helpers/needs'
import { inThread } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

describe('many small writes at once', () => {
  test('let other work of the program have its turn among them', async ({ dir }) => {
    let written = 0
    const writes = times(2000, async (at) => {
      await atomicWrite(join(dir, `file-${at}`), 'new')
      written++
    })
    await writes[0]
    const before = written
    await stat(dir)
    const between = written - before
    await Promise.all(writes)
    expect(written).toBe(2000)
    expect(between).toBeLessThan(1000)
  })

  test('each of them is told of its own outcome', async ({ dir }) => {
    const [taken, folder] = [join(dir, 'taken'), join(dir, 'folder')]
    writeFileSync(taken, 'old')
    mkdirSync(folder)
    const cases = [
      { path: (at: number) => join(dir, `file-${at}`), code: undefined },
      { path: (at: number) => join(dir, 'missing', `${at}`), code: 'ENOENT' },
      { path: () => folder, code: 'EISDIR' },
      { path: (at: number) => join(taken, `${at}`), code: 'ENOTDIR' },
    ] as const
    const expected = times(100, (at) => {
      const { path, code } = cases[at % cases.length] ?? cases[0]
      return { path: path(at), code }
    })
    const outcomes = expected.map(({ path }) =>
      atomicWrite(path, 'new', { mkdir: false }).then(
        () => ({ path, code: undefined }),
        ({ path, code }) => ({ path, code }),
      ),
    )
    expect(await Promise.all(outcomes)).toStrictEqual(expected)
  })

  // Its event loop is busy until another thread's write is over, so no work is queued meanwhile.
  needs('linux', 'strace that may attach')(
    'one that hangs keeps no other from a worker, though the event loop is busy',
    async ({ dir }) => {
      for (const name of ['hang', 'ok', 'main']) mkdirSync(join(dir, name))
      const hang = join(dir, 'hang')
      const { returned } = await systemCalls(
        async ({ addon, atomicWrite, require }, dir) => {
          const { Worker } = require('node:worker_threads')
          const { readdirSync } = require('node:fs')
          const flag = new Int32Array(new SharedArrayBuffer(4))
          const code = `
          const { atomicWrite } = require(${JSON.stringify(addon)})
          const { workerData: { dir, flag }, parentPort } = require('node:worker_threads')
          const writes = [atomicWrite(dir + '/hang/file', 'x')]
          for (let at = 1; at < 64; at++) writes.push(atomicWrite(dir + '/ok/' + at, 'x'))
          parentPort.postMessage('called')
          Atomics.wait(flag, 0, 0)
          Promise.all(writes).then(() => parentPort.postMessage('over'))
        `
          const worker = new Worker(code, { eval: true, workerData: { dir, flag } })
          await new Promise((resolve) => worker.once('message', resolve))
          const over = new Promise((resolve) => worker.once('message', resolve))
          // Its ticket is younger than those of all the others.
          await atomicWrite(`${dir}/main/file`, 'x')
          const hung = readdirSync(`${dir}/hang`).length
          Atomics.store(flag, 0, 1)
          Atomics.notify(flag, 0)
          await over
          await worker.terminate()
          return { hung }
        },
        [dir],
        {
          trace: ['linkat', 'renameat', 'rename', 'renameat2'],
          paths: [hang],
          inject: ['linkat:delay_enter=6000000'],
        },
      )
      expect(returned.hung, 'it hangs while the other thread writes').toBe(0)
    },
  )

  test('of several environments each gets its own', async ({ dir }) => {
    const threads = times(3, (me) =>
      inThread(
        async ({ atomicWrite }, dir, me) => {
          const writes = Array.from({ length: 200 }, (_, at) => atomicWrite(`${dir}/${me}-${at}`, `${me}`))
          return (await Promise.all(writes)).length
        },
        [dir, me],
      ),
    )
    expect(await Promise.all(threads.map((thread) => thread.returned))).toStrictEqual([200, 200, 200])
    for (const me of [0, 1, 2]) expect(readFileSync(join(dir, `${me}-199`), 'utf8')).toBe(`${me}`)
  })
})
