// What is set aside, and how results tell where it is: as the caller has written the path, or as an absolute path behind a link.

import { mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { appendLines, recoverIndex, restoreIndex } from '@pipeline/atomic'
import { expect } from 'vitest'
import { names } from '../helpers/files'
import { writeJson } from '../helpers/index-file'
import { test } from '../helpers/test'

const STAMP = /^\.corrupt-\d{8}T\d{6}Z$/

/** What is behind `path` in `told`. */
const behind = (path: string, told = '') => (told.startsWith(path) ? told.slice(path.length) : told)

test('all paths of a result are as the caller has written the path', async ({ dir, file }) => {
  const given = `${dir}/../${basename(dir)}/index.json`
  writeFileSync(file, '{')
  writeJson(`${file}.backup`, { a: 1 })
  const recovered = await recoverIndex(given)
  expect(behind(given, recovered.source)).toBe('.backup')
  expect(behind(given, recovered.setAside)).toMatch(STAMP)
  writeFileSync(file, '[')
  const restored = await restoreIndex(given, 0)
  expect(behind(given, restored.source)).toBe('.backup')
  expect(behind(given, restored.setAside)).toMatch(/^\.corrupt-/)
  writeJson(file, { a: 2 })
  expect(behind(given, (await restoreIndex(given, 0)).backup)).toBe('.backup')
  writeFileSync(file, 'half')
  const { torn } = await appendLines(given, 'whole')
  expect(behind(given, torn?.path)).toMatch(/^\.torn-[\da-f]{16}$/)
  for (const path of [recovered.setAside, restored.setAside])
    expect(['{', '[']).toContain(readFileSync(path ?? '', 'utf8'))
})

test('behind a link it is the absolute path of what is beside the file', async ({ dir, file }) => {
  const target = join(dir, 'elsewhere', 'target')
  mkdirSync(dirname(target))
  writeFileSync(target, '{')
  symlinkSync('elsewhere/target', file)
  const { setAside } = await recoverIndex(file, { initial: {} })
  expect(behind(target, setAside)).toMatch(STAMP)
})

test('a name that leaves no room is cut for what is set aside', async ({ dir }) => {
  const name = `${'ü'.repeat(125)}.json`
  writeFileSync(join(dir, name), '{')
  const { setAside = '' } = await recoverIndex(join(dir, name), { initial: {} })
  expect(names(dir)).toEqual([name, basename(setAside)].sort())
  expect(basename(setAside)).toMatch(/^ü+\.corrupt-\d{8}T\d{6}Z$/)
  expect(readFileSync(setAside, 'utf8')).toBe('{')
})

test('what another program has put there while an index was made is neither replaced nor set aside', async ({
  dir,
  file,
}) => {
  writeFileSync(file, '{')
  const rebuild = () => {
    writeJson(`${file}.new`, { made: 'elsewhere' })
    renameSync(`${file}.new`, file)
    return { made: 'here' }
  }
  expect(await recoverIndex(file, { rebuild })).toEqual({ action: 'none', value: { made: 'elsewhere' } })
  expect(names(dir)).toEqual([basename(file)])
  expect(statSync(file).nlink).toBe(1)
})
