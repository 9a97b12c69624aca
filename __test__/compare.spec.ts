// `npm run compare` works, and its rows see a fault where there is one.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { contenders } from '../bench/compare/contenders.mjs'
import { root, runNode } from '../scripts/tools.mjs'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** What each contender was seen to do, in one row. */
async function compare(word: string): Promise<Record<string, string>> {
  const script = join(root, 'bench/compare/main.ts')
  const { code, stdout, output } = await runNode(['--import', tsx, script, '--quick', word], { quiet: true })
  expect(code, output).toBe(0)
  return Object.fromEntries(
    Object.keys(contenders).map((name) => {
      const line = stdout.split('\n').find((one) => one.startsWith(`  ${name}: `))
      return [name, line?.slice(name.length + 4) ?? '']
    }),
  )
}

test('two processes', async () => {
  const seen = await compare('two')
  expect(seen['@pipeline/atomic']).toBe('0/40 updates lost')
  expect(seen.lowdb).toMatch(/^[1-9]\d*\/\d+ updates lost/)
})

test('a broken index', async () => {
  const seen = await compare('broken')
  expect(seen['@pipeline/atomic']).toBe('kept, error names file and line')
  expect(seen['write-file-atomic']).toBe('kept, error without file name')
})

test('a full disk', async ({ skip }) => {
  const seen = await compare('full')
  if (seen['fs.writeFile'] === 'needs root on Linux')
    skip('needs root, or a user namespace in which a user may mount')
  expect(seen['@pipeline/atomic']).toBe('ENOSPC, old file kept')
  expect(seen['fs.writeFile']).toBe('ENOSPC, old file destroyed')
})
