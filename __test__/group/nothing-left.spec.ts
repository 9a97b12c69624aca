// What a caller that hears of a failure finds: no lock, and not a byte of the index changed.

import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { expect, vi } from 'vitest'
import { names } from '../helpers/files'
import { inTime, times } from '../helpers/group'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

test(
  'a write fails after which the lock is kept for another call: it is told when the lock is free',
  inTime,
  async ({ dir, file }) => {
    const fail = async ({ atomicIndexUpdate, atomicWrite, require }: Remote, dir: string, file: string) => {
      const fs = require('node:fs') as typeof import('node:fs')
      const found: object[] = []
      let runs = 0
      const look = ({ code }: { code?: string }) => found.push({ code, names: fs.readdirSync(dir) })
      const grow = async (index: any) => {
        runs++
        // Done after the second call has its place.
        await inLine
        return [...index, 'x'.repeat(200_000)]
      }
      // It fails while the change of the first call is in the index. So that is written first, and this runs again.
      const refuse = async () => {
        if (++runs === 4) await new Promise((resolve) => setTimeout(resolve, 50))
        throw Object.assign(new Error('no'), { code: 'NO' })
      }
      const calls = [grow, refuse].map((fn) => atomicIndexUpdate(file, fn).catch(look))
      const inLine = atomicWrite(`${dir}/in-line`, '', { flush: false, verify: false })
      await Promise.all(calls)
      return { found, runs }
    }
    writeJson(file, ['old'])
    const { found, runs } = await inProcess(fail, [dir, file], { before: 'ulimit -f 100' }).returned
    expect(runs).toBe(4)
    expect(found).toHaveLength(2)
    for (const code of ['EFBIG', 'NO']) {
      expect(found).toContainEqual({ code, names: ['in-line', 'index.json'] })
    }
    expect(readJson(file)).toEqual(['old'])
  },
)

test('an update of a large index is aborted before its function is called: the text stays as it is laid out', async ({
  dir,
  file,
}) => {
  const records = times(100_000, (at) => `{ "at" :${at},  "text":"${'x'.repeat(80)}" }`)
  const text = `{"records":  [${records.join(' , ')}] }`
  writeFileSync(file, text)
  const controller = new AbortController()
  const parse = JSON.parse
  const parsing = vi.spyOn(JSON, 'parse').mockImplementation((text) => {
    // In the turn of the event loop in which the index is parsed, and before the one in which the function is called.
    queueMicrotask(() => controller.abort())
    return parse(text)
  })
  const fn = vi.fn((index) => index)
  const error = await rejection(atomicIndexUpdate(file, fn, { signal: controller.signal }))
  parsing.mockRestore()
  expect(error).toMatchObject({ name: 'AbortError' })
  expect(fn).not.toHaveBeenCalled()
  expect(readFileSync(file, 'utf8') === text).toBe(true)
  expect(names(dir)).toEqual(['index.json'])
})
