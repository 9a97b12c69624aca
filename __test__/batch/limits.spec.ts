// What a large batch may not use up: descriptors and memory.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { DISKS, makeDisk, testOnDisk } from '../helpers/disks'
import { leftovers, names } from '../helpers/files'
import { isHere, mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { test } from '../helpers/test'

/** In memory where that is possible: thousands of files take a disk seconds to remove. */
async function inMemory<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'atomic-limits-'))
  try {
    return await body(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A batch in a process with that limit on descriptors: how many it had at most, and has afterwards. */
const frugal = (dir: string, files: number, folders: number, descriptors = 256) =>
  inProcess(
    async ({ atomicWriteAll, require }, dir, files, folders) => {
      const fs = require('node:fs')
      const open = (): number => fs.readdirSync('/proc/self/fd').length
      function* entries() {
        for (let at = 0; at < files; at++) yield { path: `${dir}/${at % folders}/${at}`, data: `${at}` }
      }
      await atomicWriteAll([{ path: `${dir}/0/warm`, data: '' }])
      const before = open()
      let most = 0
      const results = await atomicWriteAll(entries(), {
        onProgress: () => {
          most = Math.max(most, open())
        },
      })
      return { written: results.filter(({ written }) => written).length, most, more: open() - before }
    },
    [dir, files, folders],
    { before: `ulimit -n ${descriptors}` },
  ).returned

describe('a limit of 256 descriptors', () => {
  for (const folders of [1, 2_000]) {
    needs('linux')(`is enough for 2,000 files in ${folders} folders`, () =>
      inMemory(async (dir) => {
        const { written, most, more } = await frugal(dir, 2_000, folders)
        expect(written).toBe(2_000)
        expect(most).toBeLessThan(150)
        expect(more).toBe(0)
        expect(readFileSync(join(dir, `${1_999 % folders}`, '1999'), 'utf8')).toBe('1999')
        expect(leftovers(dir)).toStrictEqual([])
      }),
    )
  }

  needs('linux')('is enough for 10 batches of 200 files at once', () =>
    inMemory(async (dir) => {
      const batches = inProcess(
        ({ atomicWriteAll }, dir) =>
          Promise.all(
            Array.from({ length: 10 }, async (_, batch) => {
              const entries = Array.from({ length: 200 }, (_, at) => ({
                path: `${dir}/${batch}/${at % 20}/${at}`,
                data: 'x',
              }))
              return (await atomicWriteAll(entries)).length
            }),
          ),
        [dir],
        { before: 'ulimit -n 256' },
      )
      expect(await batches.returned).toStrictEqual(Array(10).fill(200))
      expect(leftovers(dir)).toStrictEqual([])
    }),
  )

  needs('linux')('is waited for when others have used up the descriptors', async ({ dir }) => {
    // On an overlay staged files are kept open: there so many as the limit has room for.
    const count = isHere('a temporary folder that is no overlay') ? 100 : 40
    const child = inProcess(
      async ({ atomicWriteAll, require }, dir, count) => {
        const fs = require('node:fs')
        await atomicWriteAll([{ path: `${dir}/warm`, data: '' }])
        const taken: number[] = []
        try {
          for (;;) taken.push(fs.openSync('/dev/null'))
        } catch {}
        for (let free = 0; free < 5; free++) fs.closeSync(taken.pop())
        setTimeout(() => taken.forEach((fd) => void fs.closeSync(fd)), 200)
        return atomicWriteAll(Array.from({ length: count }, (_, at) => ({ path: `${dir}/${at}`, data: 'x' })))
      },
      [dir, count],
      { before: 'ulimit -n 128' },
    )
    expect(await child.returned).toHaveLength(count)
    expect(names(dir)).toHaveLength(count + 1)
  })
})

describe('a staged file without a descriptor', () => {
  /** 60 files are staged by a process that may have few descriptors; another one writes, and sweeps, meanwhile. */
  async function survives(dir: string, isDetached = true) {
    const folder = join(dir, 'files')
    const batch = inProcess(
      async ({ atomicWriteAll, require, send, receive }, folder) => {
        const fs = require('node:fs')
        async function* entries() {
          for (let at = 0; at < 60; at++) yield { path: `${folder}/${at}`, data: `${at}` }
          const goOn = receive()
          send('pulled')
          await goOn
        }
        let open = 0
        const onProgress = (done: number) => {
          if (done < 60) return
          open = fs.readdirSync('/proc/self/fd').filter((fd: string) => {
            try {
              return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`)
            } catch {
              return false
            }
          }).length
          send('staged')
        }
        const results = await atomicWriteAll(entries(), { onProgress })
        return { written: results.length, open }
      },
      [folder],
      { before: 'ulimit -n 96' },
    )
    for (const _ of ['pulled', 'staged']) await batch.next()
    const staged = leftovers(folder).length
    if (isDetached) expect(staged).toBeGreaterThan(30)
    const sweeper = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(folder, 'sweeper')])
    await sweeper.returned
    expect(leftovers(folder)).toHaveLength(staged)
    batch.send('go on')
    const { written, open } = await batch.returned
    expect(written).toBe(60)
    if (isDetached) expect(open).toBeLessThan(30)
    expect(readdirSync(folder)).toHaveLength(61)
    expect(readFileSync(join(folder, '59'), 'utf8')).toBe('59')
  }

  needs('a temporary folder that is no overlay')('is safe from the sweep of another process', ({ dir }) =>
    survives(dir),
  )

  needs('linux')('is gone once its process is killed, by that sweep', async ({ dir }) => {
    const batch = inProcess(
      async ({ atomicWriteAll, send }, dir) => {
        async function* entries() {
          for (let at = 0; at < 60; at++) yield { path: `${dir}/${at}`, data: `${at}` }
          await new Promise(() => setInterval(() => {}, 1000))
        }
        return atomicWriteAll(entries(), { onProgress: (done) => done === 60 && send('staged') })
      },
      [dir],
      { before: 'ulimit -n 96' },
    )
    await batch.next()
    expect(leftovers(dir).length).toBeGreaterThan(30)
    batch.kill('SIGKILL')
    await batch.exit
    expect(leftovers(dir).length).toBeGreaterThan(30)
    await inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(dir, 'sweeper')]).returned
    expect(names(dir)).toStrictEqual(['sweeper'])
  })

  for (const folders of [1, 60]) {
    // An overlay's files are kept open.
    needs('a temporary folder that is no overlay')(
      `is gone, in ${folders} folders, when the batch fails`,
      async ({ dir }) => {
        const batch = inProcess(
          ({ atomicWriteAll, require }, dir, folders) => {
            const fs = require('node:fs')
            let most = 0
            let allAreStaged = () => {}
            const staged = new Promise<void>((resolve) => {
              allAreStaged = resolve
            })
            async function* entries() {
              for (let at = 0; at < 300; at++) yield { path: `${dir}/${at % folders}/${at}`, data: `${at}` }
              await staged
              most = fs
                .readdirSync(dir, { recursive: true })
                .filter((name: string) => name.endsWith('tmp')).length
              yield { path: dir, data: 'a folder' }
            }
            const onProgress = (done: number) => done === 300 && allAreStaged()
            const outcome = atomicWriteAll(entries(), { onProgress })
            return outcome.catch(({ code, entry }) => ({ code, entry, hasTempNames: most > 0 }))
          },
          [dir, folders],
          { before: 'ulimit -n 96' },
        )
        expect(await batch.returned).toStrictEqual({ code: 'EISDIR', entry: 300, hasTempNames: true })
        expect(names(dir)).toHaveLength(folders)
        expect(leftovers(dir)).toStrictEqual([])
      },
    )
  }

  needs('root that may mount')('is safe on tmpfs', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('8m'), (disk) => survives(disk))
  })

  for (const kind of DISKS) {
    testOnDisk(kind)(`is safe on ${kind}`, async ({ dir }) => {
      const image = join(dir, 'image')
      makeDisk(kind, image)
      await mounted(join(dir, 'disk'), ['-o', 'loop', image], (disk) => survives(disk))
    })
  }

  needs('root that may mount')(
    'does not exist on an overlay, which would lose its lock: there files are kept open',
    async ({ dir }) => {
      await mounted(join(dir, 'disk'), tmpfs('8m'), async (disk) => {
        for (const name of ['lower', 'upper', 'work']) mkdirSync(join(disk, name))
        const options = ['lower', 'upper', 'work'].map((name) => `${name}dir=${join(disk, name)}`).join()
        await mounted(join(dir, 'overlay'), ['-t', 'overlay', '-o', options, 'overlay'], (overlay) =>
          survives(overlay, false),
        )
      })
    },
  )
})

describe('memory', () => {
  test('does not grow with the number of entries', () =>
    inMemory(async (dir) => {
      const child = inProcess(
        async ({ atomicWriteAll }, dir) => {
          const { rss } = process.memoryUsage()
          let most = 0
          function* entries() {
            for (let at = 0; at < 300; at++) {
              most = Math.max(most, process.memoryUsage().rss)
              yield { path: `${dir}/${at}`, data: Buffer.alloc(1 << 20, at) }
            }
          }
          await atomicWriteAll(entries(), { flush: false, verify: false })
          return (most - rss) / (1 << 20)
        },
        [dir],
        { execArgv: ['--max-semi-space-size=1'] },
      )
      // 300 MB are written. Two waves of 16 MB are in flight, and buffers that are not collected yet.
      expect(await child.returned).toBeLessThan(150)
    }))
})

test('the process is kept alive until the batch is done, and no longer', async ({ dir }) => {
  const child = inProcess(
    ({ atomicWriteAll }, dir) => {
      atomicWriteAll(Array.from({ length: 300 }, (_, at) => ({ path: `${dir}/${at}`, data: '' })))
    },
    [dir],
  )
  expect(await child.exit).toMatchObject({ code: 0 })
  expect(names(dir)).toHaveLength(300)
})
