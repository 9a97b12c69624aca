// `npm run compare` works, its rows see a fault where there is one, and the pages are drawn from what it has seen.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, type TestContext, test } from 'vitest'
import { drawPages } from '../bench/compare/page'
import { loadResults, names, rivals } from '../bench/compare/results'
import { docs } from '../bench/report/page'
import { root, run, runNode } from '../scripts/tools.mjs'
import { builtOnce } from './helpers/built-once'
import { isHere } from './helpers/needs'
import { POOR_FS_ENV } from './helpers/poor-fs'
import { NO_TIMEOUT } from './helpers/program'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

const main = join(root, 'bench/compare/main.ts')

const OURS = '@pipeline/atomic'
const NODE = 'fs.writeFile'
const of = [NODE, OURS]
const words = ['two', 'broken', 'full', 'I/O', 'reader', 'flushed', 'links']

/** What was printed for each row: its method, and what each contender was seen to do. */
let printed: string[] = []

beforeAll(async () => {
  const options = ['--quick', ...of.flatMap((name) => ['--of', name])]
  const env = isHere('root that may mount FUSE') ? { [POOR_FS_ENV]: await builtOnce('poor-fs') } : {}
  const args = ['--import', tsx, main, ...options, ...words]
  const { code, stdout, output } = await runNode(args, { quiet: true, env })
  expect(code, output).toBe(0)
  printed = stdout.split('\n\n')
}, NO_TIMEOUT)

function seen(row: string, { skip }: TestContext): Record<string, string> {
  const lines = printed.find((one) => one.startsWith(`${row}: `))?.split('\n') ?? []
  const lacks = lines.find((line) => line.startsWith('  skipped: '))
  if (lacks) skip(lacks)
  return Object.fromEntries(
    of.map((name) => [
      name,
      lines.find((line) => line.startsWith(`  ${name}: `))?.slice(name.length + 4) ?? '',
    ]),
  )
}

test('two processes', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('two processes', context)
  expect(ours).toBe('intact 40/40')
  expect(node).toMatch(/(lost|failed) [1-9]\d*\/40/)
})

test('a broken index', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('broken index', context)
  expect(ours).toBe('kept, error names file and line')
  expect(node).toBe('kept, error without file name')
})

test('a full disk', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('full disk', context)
  expect(ours).toBe('intact 3/3')
  expect(node).toBe('torn 3/3')
})

test('requests that fail', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('I/O errors', context)
  expect(ours).toBe('intact 4/4')
  expect(node).toBe('torn 1/4')
})

test('a reader', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('a reader meanwhile', context)
  expect(ours).toMatch(/^intact (\d+)\/\1$/)
  expect(node).toMatch(/^torn [1-9]/)
})

test('what is flushed', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('flushed before the answer', context)
  expect(ours).toBe('the file and the directory')
  expect(node).toBe('nothing')
})

test('links, rights and attributes', (context) => {
  const { [OURS]: ours, [NODE]: node } = seen('links, rights and attributes', context)
  expect(ours).toBe('all kept')
  // It overwrites the file, so nothing but its bytes changes.
  expect(node).toBe('all kept')
})

test('root of a user namespace, who has no other users to give a file to, is not asked to', async ({
  skip,
}) => {
  const asRoot = ['--user', '--map-root-user']
  if (spawnSync('unshare', [...asRoot, 'true']).status !== 0) skip('needs user namespaces')
  const args = ['--import', tsx, main, '--quick', '--of', OURS, 'links']
  const { code, output } = await run('unshare', [...asRoot, process.execPath, ...args], { quiet: true })
  expect(code, output).toBe(0)
  expect(output).toContain('all kept')
})

test('docs/compare.md and README.md are drawn from the results (else: npm run compare -- --draw)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-compare-'))
  try {
    const pages = { 'compare.md': join(docs, 'compare.md'), 'README.md': join(root, 'README.md') }
    for (const [name, path] of Object.entries(pages)) cpSync(path, join(folder, name))
    cpSync(join(docs, 'compare'), join(folder, 'compare'), { recursive: true })
    await drawPages(folder, join(folder, 'README.md'))
    for (const [name, path] of Object.entries(pages))
      expect(readFileSync(join(folder, name), 'utf8')).toBe(readFileSync(path, 'utf8'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the results have every contender and every package, with its version', () => {
  const { machine, rows } = loadResults(docs)
  for (const { when, cells } of rows) expect(Object.keys(cells), when).toEqual(names)
  for (const name of [OURS, ...rivals]) expect(machine.join('\n')).toMatch(new RegExp(`[ ,]${name} \\d`))
})
