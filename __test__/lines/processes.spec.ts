// Many threads of many processes on one file, and processes that are killed.

import { linkSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { appendLines, readLines } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { inProcess, inWorker, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('lines of many processes', () => {
  test('of 8 × 4 threads × 100 calls are whole, there once, and in the order of their callers', async ({
    dir,
    file,
  }) => {
    const append = async ({ appendLines, require }: Remote, file: string) => {
      const { threadId } = require('node:worker_threads') as typeof import('node:worker_threads')
      const who = `${process.pid}.${threadId}`
      const pad = 'x'.repeat(threadId * 50)
      const calls = Array.from({ length: 100 }, (_, n) =>
        appendLines(file, [{ who, n, pad }], { json: true }),
      )
      await Promise.all(calls)
    }
    const threads = ({ require }: Remote, code: string) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const exits = [1, 2, 3, 4].map(() => {
        const worker = new Worker(code, { eval: true })
        return new Promise<void>((resolve, reject) => {
          worker.once('exit', () => resolve()).once('error', reject)
        })
      })
      return Promise.all(exits).then(() => 'done')
    }
    const code = inWorker(append, file)
    const processes = Array.from({ length: 8 }, () => inProcess(threads, [code]).returned)
    expect(new Set(await Promise.all(processes))).toEqual(new Set(['done']))
    const callers = new Map<string, number[]>()
    const onTorn = () => expect.unreachable()
    for await (const { who, n } of readLines(file, { json: true, onTorn })) {
      callers.set(who, [...(callers.get(who) ?? []), n])
    }
    const inOrder = Array.from({ length: 100 }, (_, n) => n)
    expect([...callers.values()]).toEqual(Array(32).fill(inOrder))
    expect(names(dir)).toEqual(['index.json'])
  })

  test('that know the file by two names take nothing of each other back', async ({ dir, file }) => {
    const other = join(dir, 'other')
    writeFileSync(file, '')
    linkSync(file, other)
    const append = async ({ appendLines }: Remote, file: string, tag: string) => {
      const line = `${tag}${'y'.repeat(3_000_000)}${tag}`
      for (let n = 0; n < 8; n++) await appendLines(file, line, { flush: false })
      return tag
    }
    const callers = [file, other].map((name, at) => inProcess(append, [name, 'ab'[at] as string]).returned)
    expect(await Promise.all(callers)).toEqual(['a', 'b'])
    const found = { a: 0, b: 0 }
    for await (const line of readLines(file)) {
      expect(line.length).toBe(3_000_002)
      expect(line.at(-1)).toBe(line[0])
      found[line[0] as 'a' | 'b']++
    }
    expect(found).toEqual({ a: 8, b: 8 })
  })

  test('that are killed lose no line that was acknowledged, and leave none in part', async ({ file }) => {
    const append = async ({ appendLines, send }: Remote, file: string, victim: number) => {
      for (let n = 0; ; n += 50) {
        const calls = Array.from({ length: 50 }, (_, at) =>
          appendLines(file, [{ victim, n: n + at }], {
            json: true,
            flush: false,
            rotate: { size: 1e9, keep: 1 },
          }),
        )
        await Promise.all(calls)
        send(n + 50)
      }
    }
    const acknowledged: number[] = []
    const victims = [0, 1, 2, 3, 4, 5].map(async (victim) => {
      const child = inProcess(append, [file, victim])
      let n = 0
      for (let at = 0; at <= victim; at++) n = await child.next()
      child.kill()
      await child.exit
      for (let more = n; more > 0; more = await child.next().catch(() => 0)) n = more
      acknowledged[victim] = n
    })
    await Promise.all(victims)
    await appendLines(file, [{ victim: 9, n: 0 }], { json: true, timeout: 0 })
    const found = new Map<number, number[]>()
    const onTorn = () => expect.unreachable()
    for await (const { victim, n } of readLines(file, { json: true, onTorn })) {
      found.set(victim, [...(found.get(victim) ?? []), n])
    }
    for (const [victim, count] of acknowledged.entries()) {
      const lines = found.get(victim) ?? []
      expect(lines.length).toBeGreaterThanOrEqual(count)
      expect(lines).toEqual(lines.map((_, at) => at))
    }
    expect(readFileSync(file, 'utf8').endsWith('{"victim":9,"n":0}\n')).toBe(true)
  })
})
