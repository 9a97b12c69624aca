import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type RunningProcess } from '../helpers/processes'
import { test } from '../helpers/test'

const DEEP = 'a/b/c/d/e'
/** How many versions each reader is to see. */
const VERSIONS = 10

/** A site of one version: the same number in every file. */
function fill(staging: string, version: number): void {
  mkdirSync(join(staging, DEEP), { recursive: true })
  for (const name of ['first', 'second', `${DEEP}/deep`]) writeFileSync(join(staging, name), `${version}`)
}

/** Reads files by their paths, again and again, until it is told to stop. */
const reader = (site: string, deep: string) =>
  inProcess(
    async ({ require, send, receive }, site, deep, enough) => {
      const fs = require('node:fs') as typeof import('node:fs')
      let isOver = false
      receive().then(() => {
        isOver = true
      })
      send('ready')
      const errors: string[] = []
      const versions = new Set<number>()
      let [last, backwards] = [-1, 0]
      while (!isOver) {
        for (let i = 0; i < 200; i++) {
          try {
            const version = Number(fs.readFileSync(`${site}/${i % 2 ? deep : 'first'}`, 'utf8'))
            if (version < last) backwards++
            last = version
            if (!versions.has(version) && versions.add(version).size === enough) send('enough')
          } catch (error: any) {
            errors.push(error.code)
          }
        }
        await new Promise(setImmediate)
      }
      return { errors, backwards }
    },
    [site, deep, VERSIONS],
  )

/** Reads three files through a folder that it has opened once, which may be gone when two versions later are there. */
const setReader = (site: string) =>
  inProcess(
    async ({ require, send, receive }, site, enough) => {
      const fs = require('node:fs') as typeof import('node:fs')
      let isOver = false
      receive().then(() => {
        isOver = true
      })
      send('ready')
      const wrong: string[] = []
      const versions = new Set<string>()
      while (!isOver) {
        for (let i = 0; i < 50; i++) {
          const version = () => Number(fs.readFileSync(`${site}/first`, 'utf8'))
          const before = version()
          const fd = fs.openSync(site, fs.constants.O_DIRECTORY)
          try {
            const read = (name: string) => fs.readFileSync(`/proc/self/fd/${fd}/${name}`, 'utf8')
            const [first, deep, second] = [read('first'), read('a/b/c/d/e/deep'), read('second')]
            if (first !== deep || deep !== second) wrong.push(`${first} ${deep} ${second}`)
            if (!versions.has(first) && versions.add(first).size === enough) send('enough')
          } catch (error: any) {
            if (version() - before < 2) wrong.push(error.code)
          } finally {
            fs.closeSync(fd)
          }
        }
        await new Promise(setImmediate)
      }
      return { wrong }
    },
    [site, VERSIONS],
  )

/** Replaces the site until every reader has seen enough versions. */
async function replaceWhile(site: string, readers: RunningProcess[], options: object): Promise<unknown[]> {
  for (const reader of readers) await reader.next()
  let isEnough = false
  const all = Promise.all(readers.map((reader) => reader.next())).then(() => {
    isEnough = true
  })
  for (let version = 1; !isEnough; version++) {
    await atomicDirectory(site, (staging) => fill(staging, version), {
      ...options,
      flush: version % 20 === 0,
    })
  }
  await all
  for (const reader of readers) reader.send('stop')
  return Promise.all(readers.map((reader) => reader.returned))
}

describe('while a site is replaced again and again', () => {
  test('readers in other processes find every file, and never an older one after a newer', async ({
    dir,
  }) => {
    const site = join(dir, 'site')
    await atomicDirectory(site, (staging) => fill(staging, 0))
    const readers = [0, 1, 2].map(() => reader(site, `${DEEP}/deep`))
    const expected = { errors: [], backwards: 0 }
    expect(await replaceWhile(site, readers, {})).toStrictEqual([expected, expected, expected])
    expect(names(dir)).toStrictEqual(['site'])
  })

  needs('linux')(
    'a reader that has opened the folder once reads files of one version, as long as that is kept',
    async ({ dir }) => {
      const site = join(dir, 'site')
      await atomicDirectory(site, (staging) => fill(staging, 0))
      const readers = [setReader(site), setReader(site)]
      expect(await replaceWhile(site, readers, { keepPrevious: true })).toStrictEqual([
        { wrong: [] },
        { wrong: [] },
      ])
      expect(leftovers(dir)).toStrictEqual([])
    },
  )

  needs('linux')(
    'another process that writes, and sweeps, beside it leaves the old tree to its builder',
    async ({ dir }) => {
      const site = join(dir, 'site')
      await atomicDirectory(site, (staging) => fill(staging, 0))
      const builder = inProcess(
        async ({ atomicDirectory, require, receive }, site) => {
          const fs = require('node:fs') as typeof import('node:fs')
          for (;;) {
            const next = receive()
            await atomicDirectory(site, (staging) => fs.writeFileSync(`${staging}/first`, ''), {
              flush: false,
            })
            await next
          }
        },
        [site],
      )
      // A process sweeps a folder once: each round has a new one. If it is quick enough, it stops the builder when that
      // has swapped the trees and not yet removed the old one.
      const sweep = () =>
        inProcess(
          async ({ atomicWrite, require, send }, site, dir, pid) => {
            const fs = require('node:fs') as typeof import('node:fs')
            const old = fs.openSync(site, 'r')
            const { ino } = fs.statSync(site)
            const isThere = () => fs.existsSync(`/proc/self/fd/${old}/first`)
            send('ready')
            while (fs.statSync(site).ino === ino);
            process.kill(pid, 'SIGSTOP')
            const before = isThere()
            await atomicWrite(`${dir}/beside`, '')
            const after = isThere()
            process.kill(pid, 'SIGCONT')
            return before && { after }
          },
          [site, dir, builder.pid],
        )
      let found: { after: boolean } | false = false
      while (!found) {
        const sweeper = sweep()
        await sweeper.next()
        builder.send('build')
        found = await sweeper.returned
      }
      expect(found).toStrictEqual({ after: true })
    },
  )
})
