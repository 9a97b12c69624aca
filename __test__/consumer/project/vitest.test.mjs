import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atomicWrite } from '@pipeline/atomic'

// The project has no vitest of its own to import these from: it runs with --globals.
const { expect, test } = globalThis

const folder = fileURLToPath(new URL('.', import.meta.url))

test('a file is written', async () => {
  const path = join(folder, 'vitest.txt')
  await atomicWrite(path, 'in vitest')
  expect(readFileSync(path, 'utf8')).toBe('in vitest')
})

test('a bad argument rejects', async () => {
  await expect(atomicWrite('a', 1)).rejects.toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})
