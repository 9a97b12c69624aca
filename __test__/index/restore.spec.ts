// An earlier version of an index is put back: `restoreIndex`.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, restoreIndex } from '@pipeline/atomic'
import { expect } from 'vitest'
import { leftovers, names, state } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

/** Five versions: the index is 4, its backups are 3, 2, 1. */
async function make(file: string): Promise<void> {
  for (let n = 0; n < 5; n++) {
    await atomicIndexUpdate(file, () => ({ n }), { backup: { generations: 3 }, flush: false })
  }
}

const ROW = ['', '.backup', '.backup.1', '.backup.2']
const row = (file: string) => ROW.map((end) => readJson(`${file}${end}`).n)

test.for([
  [0, [3, 4, 2, 1]],
  [1, [2, 4, 3, 1]],
  [2, [1, 4, 3, 2]],
] as const)(
  'generation %i: what was there is the newest backup, and none is lost',
  async ([generation, after], { dir, file }) => {
    await make(file)
    const source = `${file}${ROW[generation + 1]}`
    const result = await restoreIndex(file, generation)
    expect(result).toMatchObject({ written: true, source, backup: `${file}.backup` })
    expect(row(file)).toEqual(after)
    await restoreIndex(file, 0)
    expect(readJson(file)).toEqual({ n: 4 })
    expect(row(file).sort()).toEqual([1, 2, 3, 4])
    expect(names(dir)).toEqual(ROW.map((end) => `index.json${end}`))
  },
)

test('the newest one is undone by itself', async ({ file }) => {
  await make(file)
  for (const after of [
    [3, 4, 2, 1],
    [4, 3, 2, 1],
  ]) {
    await restoreIndex(file, 0)
    expect(row(file)).toEqual(after)
  }
})

test('the path of a backup is as good as its number, and another file stays where it is', async ({
  dir,
  file,
}) => {
  await make(file)
  await restoreIndex(file, `${file}.backup.1`)
  expect(row(file)).toEqual([2, 4, 3, 1])
  const other = join(dir, 'other')
  writeFileSync(other, '{ "n": 9 }\n')
  await restoreIndex(file, other)
  expect(row(file)).toEqual([9, 2, 4, 3])
  expect(readJson(`${file}.backup.3`)).toEqual({ n: 1 })
  expect(readFileSync(file, 'utf8')).toBe('{ "n": 9 }\n')
  expect(names(dir)).toContain('other')
})

test('what says the same is left as it is', async ({ dir, file }) => {
  writeJson(file, { n: 1 })
  writeFileSync(`${file}.backup`, '{ "n": 1 }')
  const before = state(file)
  const result = await restoreIndex(file, 0)
  expect(result).toEqual({ written: false, durable: expect.any(Boolean), source: `${file}.backup` })
  expect(state(file)).toEqual(before)
  expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
})

test('a broken index becomes no backup, and a missing one none either', async ({ dir, file }) => {
  writeFileSync(file, '{')
  writeJson(`${file}.backup`, { n: 1 })
  const { setAside = '', backup } = await restoreIndex(file, 0)
  expect([readFileSync(setAside, 'utf8'), backup]).toEqual(['{', undefined])
  rmSync(setAside)
  rmSync(file)
  await restoreIndex(file, 0)
  expect([readJson(file), readJson(`${file}.backup`)]).toEqual([{ n: 1 }, { n: 1 }])
  expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
})

test('it rejects, and nothing is changed', async ({ dir, file }) => {
  await make(file)
  writeFileSync(`${file}.backup.1`, '{')
  const before = names(dir).map((name) => state(join(dir, name)))
  const attempt = async (backup: unknown, expected: object, path: unknown = file) => {
    expect(await rejection(restoreIndex(path as string, backup as number))).toMatchObject(expected)
    expect(names(dir).map((name) => state(join(dir, name)))).toEqual(before)
  }
  await attempt(1, { code: 'ERR_ATOMIC_CORRUPT_INDEX', path: `${file}.backup.1`, line: 1 })
  await attempt(7, { code: 'ENOENT', path: `${file}.backup.7` })
  await attempt(join(dir, 'none'), { code: 'ENOENT', path: join(dir, 'none') })
  for (const wrong of [-1, 0.5, Number.NaN, 1000]) await attempt(wrong, { code: 'ERR_INVALID_ARG_VALUE' })
  await attempt(undefined, { code: 'ERR_INVALID_ARG_TYPE' })
  await attempt(0, { code: 'ERR_ATOMIC_UNSUPPORTED' }, 's3://b/i.json')
  await attempt('s3://b/i.json', { code: 'ERR_ATOMIC_UNSUPPORTED' })
})

needs('root that may mount FUSE')('without links and exchanges', ({ dir }) =>
  onPoorFs(dir, { refuse: { link: 'EPERM', 'rename-flags': 'EINVAL' } }, async (at, folder) => {
    const file = join(at, 'i')
    writeJson(file, { n: 4 })
    for (const n of [1, 2, 3]) writeJson(`${file}${ROW[4 - n]}`, { n })
    await restoreIndex(file, 1, { network: 'allow' })
    expect(row(join(folder, 'i'))).toEqual([2, 4, 3, 1])
  }),
)

needs('strace that may attach')('a kill at any of its steps loses no version', async ({ dir }) => {
  const calls = ['linkat', 'fsync', 'renameat', 'renameat2', 'unlinkat']
  const restore = ({ restoreIndex }: Remote, file: string) => restoreIndex(file, 1)
  const dry = join(dir, 'dry')
  await make(dry)
  const whole = await systemCalls(restore, [dry], { trace: calls })
  const counts = new Map<string, number>()
  const points = whole.calls
    .filter(({ args }) => args.includes(dir))
    .map(({ name }) => {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      return [name, counts.get(name) ?? 0] as const
    })
  expect(points.length).toBeGreaterThan(8)
  await Promise.all(
    points.map(async ([call, when]) => {
      const file = join(dir, `${call}-${when}`)
      await make(file)
      const killing = `inject=${call}:signal=SIGKILL:when=${when}`
      const before = `set -- strace -f -qq -o /dev/null -e trace=${call} -e ${killing} "$@"`
      await inProcess(restore, [file], { before }).exit
      const left = names(dir).filter((name) => name.startsWith(`${call}-${when}`))
      const versions = new Set(left.map((name) => readJson(join(dir, name)).n))
      expect([...versions].sort()).toEqual([1, 2, 3, 4])
      expect([2, 4]).toContain(readJson(file).n)
    }),
  )
  expect(leftovers(dir).length).toBeLessThan(points.length)
})
