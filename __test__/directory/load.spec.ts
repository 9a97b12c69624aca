import { closeSync, existsSync, mkdirSync, openSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inProcess, type RunningProcess } from '../helpers/elsewhere'
import { leftovers } from '../helpers/files'
import { names, test } from '../helpers/index-file'
import { needs } from '../helpers/needs'

const SWAPS = 100
const DEEP = 'a/b/c/d/e'

/** A site of one version: the same number in every file. */
function fill(staging: string, version: number): void {
  mkdirSync(join(staging, DEEP), { recursive: true })
  for (const name of ['first', 'second', `${DEEP}/deep`]) writeFileSync(join(staging, name), `${version}`)
}

/** Reads files by their paths, again and again, until it is told to stop. */
const reader = (site: string, deep: string) =>
  inProcess(
    async ({ require, tell, hear }, site, deep) => {
      const fs = require('node:fs')
      const said = hear()
      let over = false
      said.then(() => {
        over = true
      })
      tell('ready')
      const errors: string[] = []
      const versions = new Set<number>()
      let [reads, last, backwards] = [0, -1, 0]
      while (!over) {
        for (let i = 0; i < 200; i++) {
          try {
            const version = Number(fs.readFileSync(`${site}/${i % 2 ? deep : 'first'}`, 'utf8'))
            if (version < last) backwards++
            last = version
            versions.add(version)
          } catch (error: any) {
            errors.push(error.code)
          }
          reads++
        }
        await new Promise(setImmediate)
      }
      return {
        errors,
        backwards,
        saw: versions.size > 20 && reads > 5000 ? 'many' : `${versions.size} in ${reads}`,
      }
    },
    [site, deep],
  )

/** Reads three files through a folder that it has opened once; who is overtaken by two versions may find it gone. */
const setReader = (site: string) =>
  inProcess(
    async ({ require, tell, hear }, site) => {
      const fs = require('node:fs')
      const said = hear()
      let over = false
      said.then(() => {
        over = true
      })
      tell('ready')
      const wrong: string[] = []
      const versions = new Set<string>()
      while (!over) {
        for (let i = 0; i < 50; i++) {
          const version = () => Number(fs.readFileSync(`${site}/first`, 'utf8'))
          const before = version()
          const fd = fs.openSync(site, fs.constants.O_DIRECTORY)
          try {
            const read = (name: string) => fs.readFileSync(`/proc/self/fd/${fd}/${name}`, 'utf8')
            const [first, deep, second] = [read('first'), read('a/b/c/d/e/deep'), read('second')]
            if (first !== deep || deep !== second) wrong.push(`${first} ${deep} ${second}`)
            versions.add(first)
          } catch (error: any) {
            if (version() - before < 2) wrong.push(error.code)
          } finally {
            fs.closeSync(fd)
          }
        }
        await new Promise(setImmediate)
      }
      return { wrong, saw: versions.size > 20 ? 'many' : versions.size }
    },
    [site],
  )

async function swapWhile(site: string, readers: RunningProcess[], options: object): Promise<unknown[]> {
  for (const reader of readers) await reader.next()
  for (let version = 1; version <= SWAPS; version++) {
    await atomicDirectory(site, (staging) => fill(staging, version), {
      ...options,
      flush: version % 20 === 0,
    })
  }
  for (const reader of readers) reader.say('stop')
  return Promise.all(readers.map((reader) => reader.returned))
}

describe('while a site is replaced again and again', () => {
  test('readers in other processes find every file, and never an older one after a newer', async ({
    dir,
  }) => {
    const site = join(dir, 'site')
    await atomicDirectory(site, (staging) => fill(staging, 0))
    const readers = [0, 1, 2].map(() => reader(site, `${DEEP}/deep`))
    const expected = { errors: [], backwards: 0, saw: 'many' }
    expect(await swapWhile(site, readers, {})).toStrictEqual([expected, expected, expected])
    expect(names(dir)).toStrictEqual(['site'])
  })

  needs('linux')(
    'who has opened the folder once reads files of one version, as long as that is kept',
    async ({ dir }) => {
      const site = join(dir, 'site')
      await atomicDirectory(site, (staging) => fill(staging, 0))
      const readers = [setReader(site), setReader(site)]
      const expected = { wrong: [], saw: 'many' }
      expect(await swapWhile(site, readers, { keepPrevious: true })).toStrictEqual([expected, expected])
      expect(leftovers(dir)).toStrictEqual([])
    },
  )

  needs('linux')(
    'an old tree has its moments although another process writes, and sweeps, beside it',
    async ({ dir }) => {
      const site = join(dir, 'site')
      await atomicDirectory(site, (staging) => fill(staging, 0))
      // A process sweeps a folder once: each round has a new one, in a process that waits for the swap.
      let longest = 0
      for (let round = 1; round <= 6; round++) {
        const sweeper = inProcess(
          async ({ atomicWrite, require, tell }, site, dir, inode) => {
            const { statSync } = require('node:fs')
            tell('ready')
            while (statSync(site).ino === inode) await new Promise(setImmediate)
            await atomicWrite(`${dir}/beside`, '')
          },
          [site, dir, statSync(site).ino],
        )
        await sweeper.next()
        const old = openSync(site, 'r')
        const replaced = atomicDirectory(site, (staging) => fill(staging, round), { flush: false })
        await sweeper.returned
        const swept = performance.now()
        while (existsSync(`/proc/self/fd/${old}/first`)) await new Promise(setImmediate)
        longest = Math.max(longest, performance.now() - swept)
        await replaced
        closeSync(old)
      }
      // It is 20 ms from the swap. What is swept is gone before the other process has written.
      expect(longest).toBeGreaterThan(10)
    },
  )
})
