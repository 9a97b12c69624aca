// Watchers beside other processes and threads.

import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite, watchIndex } from '@pipeline/atomic'
import { expect } from 'vitest'
import { writeJson } from '../helpers/index-file'
import { needs, testUnprivileged } from '../helpers/needs'
import { inProcess, inThread } from '../helpers/processes'
import { test } from '../helpers/test'
import { unprivileged } from '../helpers/users'

const WRITERS = 4
const EACH = 2500

test('10,000 updates by two processes and two threads: watchers see them go forward, and the last one', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  const last = WRITERS * EACH
  const watchers = [inProcess, inProcess, inThread].map((run) =>
    run(
      async ({ watchIndex, send }, file, last) => {
        const seen = { events: 0, wrong: 0 }
        let before: number | undefined
        for await (const { value, previous } of watchIndex<{ n: number }>(file)) {
          if (previous?.n !== before || value.n <= (before ?? -1)) seen.wrong++
          if (before === undefined) send('watching')
          seen.events++
          before = value.n
          if (before === last) break
        }
        return seen
      },
      [file, last],
    ),
  )
  await Promise.all(watchers.map((watcher) => watcher.next()))
  const writers = [inProcess, inProcess, inThread, inThread].map((run) =>
    run(
      async ({ atomicIndexUpdate }, file, count) => {
        // Several commits, of as many calls as wait at once.
        for (let left = count; left > 0; left -= 50) {
          const update = () =>
            atomicIndexUpdate(file, (index: any) => ({ n: index.n + 1 }), { flush: false, timeout: Infinity })
          await Promise.all(Array.from({ length: Math.min(50, left) }, update))
        }
      },
      [file, EACH],
    ),
  )
  await Promise.all(writers.map(({ returned }) => returned))
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ n: last })
  for (const watcher of watchers) {
    const { events, wrong } = await watcher.returned
    expect(wrong).toBe(0)
    expect(events).toBeGreaterThan(2)
  }
})

needs('linux')(
  'a directory that another thread exchanges all the time: nothing is missed in the end',
  async ({ dir }) => {
    const last = 180
    const exchanger = inThread(
      async ({ require, send, receive }, dir, last) => {
        const { mkdirSync, renameSync, writeFileSync } = require('node:fs')
        for (let n = 0; n <= last; n++) {
          const isFile = n % 3 === 0 && n > 0
          if (!isFile) mkdirSync(`${dir}/next/b`, { recursive: true })
          const made = isFile ? `${dir}/a/b/new` : `${dir}/next/b/index.json`
          writeFileSync(made, `${n}`)
          if (isFile) renameSync(made, `${dir}/a/b/index.json`)
          else if (n > 0) renameSync(`${dir}/a`, `${dir}/old-${n}`)
          if (!isFile) renameSync(`${dir}/next`, `${dir}/a`)
          // It rests after the change of a file in the new directory: if that is missed, nothing comes after it.
          if (n % 3 === 0) {
            send(n)
            await receive()
          }
        }
      },
      [dir, last],
    )
    let [seen, resting] = [-1, -1]
    const goOn = () => {
      if (seen === resting) exchanger.send('on')
    }
    const listening = (async () => {
      while (resting < last) {
        resting = await exchanger.next()
        goOn()
      }
    })()
    for await (const { value } of watchIndex<number>(join(dir, 'a/b/index.json'))) {
      expect(value).toBeGreaterThan(seen)
      seen = value
      if (seen === last) break
      goOn()
    }
    await listening
  },
)

test('a process stays alive while a step waits, and ends after break, an abort, or when nobody waits', async ({
  file,
}) => {
  writeJson(file, { n: 0 })
  const ends = inProcess(
    async ({ watchIndex }, file) => {
      // One that is forgotten, one that is left, one that is aborted.
      await watchIndex(file).next()
      for await (const _ of watchIndex(file)) break
      const controller = new AbortController()
      try {
        for await (const _ of watchIndex(file, { signal: controller.signal })) controller.abort()
      } catch (error: any) {
        if (error.name !== 'AbortError') throw error
      }
    },
    [file],
  )
  expect(await ends.exit).toMatchObject({ code: 0, signal: null, stderr: '' })
  const waits = inProcess(
    async ({ watchIndex, send }, file) => {
      const changes = watchIndex(file)
      await changes.next()
      send('watching')
      const { value } = await changes.next()
      await changes.return?.()
      process.exitCode = value.value.n
    },
    [file],
  )
  await waits.next()
  await atomicWrite(file, '{"n":7}')
  expect(await waits.exit).toMatchObject({ code: 7, stderr: '' })
})

testUnprivileged(
  'a directory is exchanged below one that may be passed through, and not be listed',
  async ({ dir }) => {
    chmodSync(dir, 0o777)
    const watcher = inProcess(
      async ({ watchIndex, atomicIndexUpdate, require }, dir) => {
        const { chmodSync, mkdirSync, renameSync, writeFileSync } = require('node:fs')
        for (const [name, n] of [
          ['current', 0],
          ['next', 1],
        ]) {
          mkdirSync(`${dir}/closed/${name}`, { recursive: true })
          writeFileSync(`${dir}/closed/${name}/index.json`, JSON.stringify({ n }))
        }
        chmodSync(`${dir}/closed`, 0o300)
        const file = `${dir}/closed/current/index.json`
        const seen: number[] = []
        for await (const { value } of watchIndex(file)) {
          seen.push(value.n)
          // Not before the next step waits.
          if (value.n === 0) {
            setImmediate(() => {
              renameSync(`${dir}/closed/current`, `${dir}/closed/away`)
              renameSync(`${dir}/closed/next`, `${dir}/closed/current`)
            })
          } else if (value.n === 1) setTimeout(() => atomicIndexUpdate(file, () => ({ n: 2 })), 20)
          else break
        }
        return seen
      },
      [dir],
      unprivileged,
    )
    expect(await watcher.returned).toEqual([0, 1, 2])
  },
)
