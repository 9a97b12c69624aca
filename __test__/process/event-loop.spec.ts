// The JavaScript thread does no I/O, and others have it while calls work or wait.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { enqueued, held, times } from '../helpers/group'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { type SystemCall, systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { plant } from '../helpers/trees'

describe('the JavaScript thread', () => {
  const calls: Record<string, (remote: Remote, dir: string) => Promise<unknown>> = {
    atomicWrite: async ({ atomicWrite }, dir) => {
      const data = Buffer.alloc(1 << 20, 7)
      for (const options of [{}, {}, { ifChanged: true }]) await atomicWrite(`${dir}/a/file`, data, options)
      await atomicWrite(`${dir}/a/file`, 'text', { verify: 'device' })
    },
    atomicWriteAll: ({ atomicWriteAll }, dir) =>
      atomicWriteAll(Array.from({ length: 300 }, (_, at) => ({ path: `${dir}/${at % 7}/${at}`, data: 'x' }))),
    AtomicFile: async ({ AtomicFile }, dir) => {
      for (const end of ['commit', 'abort'] as const) {
        const file = await AtomicFile.open(`${dir}/file`)
        for (let at = 0; at < 20; at++) await file.write(Buffer.alloc(100_000, at))
        await file[end]()
      }
    },
    atomicIndexUpdate: async ({ atomicIndexUpdate }, dir) => {
      const add = (index: number[]) => [...index, index.length]
      const options = { initial: [], backup: true }
      for (let round = 0; round < 3; round++) {
        await Promise.all([1, 2, 3].map(() => atomicIndexUpdate(`${dir}/index.json`, add, options)))
      }
    },
    atomicDirectory: async ({ atomicDirectory, require }, dir) => {
      const { promises } = require('node:fs') as typeof import('node:fs')
      const build = async (staging: string) => {
        await promises.mkdir(`${staging}/a/b`, { recursive: true })
        for (let at = 0; at < 20; at++) await promises.writeFile(`${staging}/a/${at}`, 'x')
      }
      for (let round = 0; round < 2; round++) await atomicDirectory(`${dir}/site`, build)
    },
    copyDirectoryAtomic: async ({ copyDirectoryAtomic }, dir) => {
      for (let round = 0; round < 2; round++) await copyDirectoryAtomic(`${dir}/theme`, `${dir}/site`)
    },
  }
  for (const [name, call] of Object.entries(calls)) {
    needs('strace that may attach')(`of ${name} touches no file`, async ({ dir }) => {
      plant(join(dir, 'theme'), Object.fromEntries(times(30, (at) => [`${at % 5}/${at}`, 'x'])))
      const run = async (remote: Remote, dir: string, source: string) => {
        await new Function(`return ${source}`)()(remote, dir)
        return process.pid
      }
      const trace = ['%file', '%desc']
      const { returned: pid, calls } = await systemCalls(run, [dir, `${call}`], { trace })
      // The path of an open directory is read from /proc, which is no disk; and the process was started with the folder's path.
      const isOurs = ({ name, args }: SystemCall) =>
        name !== 'execve' && args.includes(dir) && !args.startsWith('"/proc/self/fd/')
      const ours = calls.filter(isOurs)
      expect(ours.length).toBeGreaterThan(50)
      expect(ours.filter(({ thread }) => thread === pid)).toStrictEqual([])
    })
  }

  // Checks and copies of large data are no I/O. Were they done on the thread, the event loop would turn a few times.
  const large: Record<string, (remote: Remote, file: string) => Promise<unknown>> = {
    atomicWrite: ({ atomicWrite }, file) => atomicWrite(file, Buffer.alloc(64 << 20, 7)),
    atomicWriteAll: ({ atomicWriteAll }, file) =>
      atomicWriteAll(
        Array.from({ length: 1000 }, (_, at) => ({ path: `${file}-${at}`, data: 'x'.repeat(9_000) })),
        { flush: false },
      ),
    AtomicFile: async ({ AtomicFile }, path) => {
      const file = await AtomicFile.open(path)
      for (let at = 0; at < 8; at++) await file.write(Buffer.alloc(8 << 20, at))
      await file.commit()
    },
  }
  for (const [name, call] of Object.entries(large)) {
    test(`turns all the time while ${name} writes much`, async ({ dir }) => {
      const turns = async (remote: Remote, file: string, source: string) => {
        await remote.atomicWrite(`${file}-warm`, '')
        let [turns, isOver] = [0, false]
        const calling = new Function(`return ${source}`)()(remote, file).finally(() => {
          isOver = true
        })
        for (; !isOver; turns++) await new Promise(setImmediate)
        await calling
        return turns
      }
      expect(await inProcess(turns, [join(dir, 'file'), `${call}`]).returned).toBeGreaterThan(50)
    })
  }
})

test('hundreds of writes that wait leave the event loop and the thread pool to others', async ({ dir }) => {
  const file = join(dir, 'file')
  const holder = await held(file)
  const writing = Promise.all(times(300, (at) => atomicWrite(file, `${at}`, { flush: false })))
  await enqueued(dir)
  const { readFile } = await import('node:fs/promises')
  writeFileSync(join(dir, 'other'), 'x')
  for (let round = 0; round < 10; round++) {
    expect(await readFile(join(dir, 'other'), 'utf8')).toBe('x')
    await new Promise((resolve) => setTimeout(resolve, 1))
    await atomicWrite(join(dir, 'other'), 'x', { flush: false })
  }
  holder.release()
  await writing
})
