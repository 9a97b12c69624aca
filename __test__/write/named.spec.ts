// Where the kernel, a sandbox or the file system refuses a call of the short protocol, a longer one is used.

import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { names, state, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { buildRefuse, type Refusals, refusing } from '../helpers/refuse'

buildRefuse()

const refused = needs('linux', 'a C compiler')

const kernels: [string, Refusals][] = [
  ['files without a name (a file system)', { tmpfile: 'EOPNOTSUPP' }],
  ['files without a name (an old kernel)', { tmpfile: 'EISDIR' }],
  ['to link (a sandbox)', { linkat: 'EPERM' }],
  ['hard links (a file system)', { tmpfile: 'EOPNOTSUPP', linkat: 'EPERM' }],
  ['to rename without replacing', { tmpfile: 'EOPNOTSUPP', renameat2: 'EINVAL' }],
  ['locks', { tmpfile: 'EOPNOTSUPP', flock: 'ENOLCK' }],
]

for (const [what, refusals] of kernels) {
  describe(`on a system that refuses ${what}`, () => {
    const run = <A extends unknown[]>(main: Parameters<typeof inProcess<A>>[0], ...args: A) =>
      inProcess<A>(main, args, { before: refusing(refusals) }).returned

    refused('files are made and replaced', async ({ dir }) => {
      const results = await run(
        async ({ atomicWrite }, path) => [await atomicWrite(path, 'one'), await atomicWrite(path, 'three')],
        join(dir, 'file'),
      )
      expect(results).toStrictEqual([written(dir, 3), written(dir, 5)])
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('three')
      expect(names(dir)).toStrictEqual(['file'])
    })

    refused('the mode is that of the umask, the old file or the caller', async ({ dir }) => {
      writeFileSync(join(dir, 'old'), 'x', { mode: 0o604 })
      await run(async ({ atomicWrite }, dir) => {
        process.umask(0o027)
        await atomicWrite(`${dir}/new`, 'x')
        await atomicWrite(`${dir}/old`, 'y')
        await atomicWrite(`${dir}/given`, 'x', { mode: 0o777 })
      }, dir)
      const modes = ['new', 'old', 'given'].map((name) =>
        (statSync(join(dir, name)).mode & 0o777).toString(8),
      )
      expect(modes).toStrictEqual(['640', '604', '777'])
    })

    refused('wx makes what is not there and leaves what is', async ({ dir }) => {
      const outcomes = await run(
        async ({ atomicWrite }, path) => {
          const calls = Array.from({ length: 10 }, (_, i) => atomicWrite(path, `${i}`, { flag: 'wx' }))
          return (await Promise.allSettled(calls)).map((outcome) =>
            outcome.status === 'fulfilled' ? 'written' : outcome.reason.code,
          )
        },
        join(dir, 'file'),
      )
      expect(outcomes).toStrictEqual(['written', ...Array.from({ length: 9 }, () => 'EEXIST')])
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('0')
      expect(names(dir)).toStrictEqual(['file'])
    })

    refused('names of 255 bytes, links and new folders work', async ({ dir }) => {
      const long = '漢'.repeat(85)
      symlinkSync(`sub/${long}`, join(dir, 'link'))
      await run(
        async ({ atomicWrite }, path) => {
          for (const content of ['one', 'two']) await atomicWrite(path, content)
        },
        join(dir, 'link'),
      )
      expect(readFileSync(join(dir, 'sub', long), 'utf8')).toBe('two')
      expect(names(join(dir, 'sub'))).toStrictEqual([long])
    })

    refused('a write that fails leaves the old file and nothing else', async ({ dir }) => {
      const path = join(dir, 'file')
      writeFileSync(path, 'old')
      const before = state(path)
      const outcome = inProcess(
        ({ atomicWrite }, path) => atomicWrite(path, Buffer.alloc(100_001)).catch(({ code }) => code),
        [path],
        { before: `ulimit -f 64; ${refusing(refusals)}` },
      )
      expect(await outcome.returned).toBe('EFBIG')
      expect(state(path)).toStrictEqual(before)
      expect(names(dir)).toStrictEqual(['file'])
    })

    refused('an aborted write leaves the old file and nothing else', async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old')
      const code = await run(
        async ({ atomicWrite }, path) => {
          const controller = new AbortController()
          const writing = atomicWrite(path, Buffer.alloc(64 << 20), { signal: controller.signal })
          setImmediate(() => controller.abort())
          return writing.catch(({ code }) => code)
        },
        join(dir, 'file'),
      )
      expect(code).toBe('ABORT_ERR')
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
      expect(names(dir)).toStrictEqual(['file'])
    })
  })
}

describe('a staged file that has a name', () => {
  /** The modes that the temp file for `dir/file` had while 16 MB were written to it. */
  const modesWhileStaging = (dir: string, options: object) =>
    inProcess(
      async ({ atomicWrite, require }, dir, options) => {
        const fs = require('node:fs')
        process.umask(0)
        const modes = new Set<string>()
        // Again, should the machine be too busy to look while the file is written.
        while (modes.size === 0) {
          let isOver = false
          const writing = atomicWrite(`${dir}/file`, Buffer.alloc(16 << 20), options).finally(() => {
            isOver = true
          })
          while (!isOver) {
            for (const name of fs.readdirSync(dir)) {
              const found =
                name === 'file' ? undefined : fs.statSync(`${dir}/${name}`, { throwIfNoEntry: false })
              // Without its last block it does not have its mode yet.
              if (found && found.size < 16 << 20) modes.add((found.mode & 0o777).toString(8))
            }
            await new Promise(setImmediate)
          }
          await writing
        }
        return [...modes]
      },
      [dir, options],
      { before: refusing({ tmpfile: 'EOPNOTSUPP' }) },
    ).returned

  refused(
    'may be read by its owner alone until it has the mode of the file that it replaces',
    async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old', { mode: 0o644 })
      expect(await modesWhileStaging(dir, {})).toStrictEqual(['600'])
      expect(statSync(join(dir, 'file')).mode & 0o777).toBe(0o644)
    },
  )

  refused('may be read by its owner alone until it has the mode that was asked for', async ({ dir }) => {
    expect(await modesWhileStaging(dir, { mode: 0o640 })).toStrictEqual(['600'])
    expect(statSync(join(dir, 'file')).mode & 0o777).toBe(0o640)
  })
})

needs('linux')('a file without a name is not visible while it is staged', async ({ dir }) => {
  const child = inProcess(
    async ({ atomicWrite, require }, dir) => {
      const fs = require('node:fs')
      const seen = new Set<string>()
      let over = false
      const writing = atomicWrite(`${dir}/file`, Buffer.alloc(16 << 20)).finally(() => {
        over = true
      })
      while (!over) {
        for (const name of fs.readdirSync(dir)) seen.add(name)
        await new Promise(setImmediate)
      }
      await writing
      return [...seen]
    },
    [dir],
  )
  expect(['', 'file']).toContain((await child.returned).join())
})
