// What people compile and test with, installed beside the package in one project.

import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect } from 'vitest'
import { root } from '../../scripts/tools.mjs'
import { freshProject, nodeIn } from './helpers/project'
import { npmInstall } from './helpers/provided'
import { test } from './helpers/test'

const folder = freshProject('development')
cpSync(join(root, '__test__/consumer/project'), folder, { recursive: true })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Once, by the first test that needs it. */
let installed: Promise<void> | undefined
function install(): Promise<void> {
  installed ??= npmInstall(folder, '@pipeline/atomic')
  return installed
}

const strict = {
  noEmit: true,
  strict: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  target: 'es2022',
  types: ['node'],
}

const resolutions = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  node16: { module: 'node16', moduleResolution: 'node16' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  node10: { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true },
}

describe.each([
  ['TypeScript 5', 'typescript-5/lib/tsc.js', Object.keys(resolutions)],
  // It has no node10 any more.
  ['TypeScript 7', 'typescript/bin/tsc', ['nodenext', 'node16', 'bundler']],
])('%s', (_, compiler, names) => {
  for (const name of names) {
    test(`compiles all types with ${name}, strictly`, async () => {
      await install()
      const compilerOptions = { ...strict, ...resolutions[name as keyof typeof resolutions] }
      // A module that requires has no meaning for the others.
      const include = [
        '*types.ts',
        'misuse.ts',
        ...(name.startsWith('node1') || name === 'nodenext' ? ['require.cts'] : []),
      ]
      const config = join(folder, `tsconfig.${name}.json`)
      writeFileSync(config, JSON.stringify({ compilerOptions, include }))
      await nodeIn(folder, join(folder, 'node_modules', compiler), '--project', config)
    })
  }
})

test('vitest 5 runs a test that writes', async () => {
  await install()
  const output = await nodeIn(folder, 'node_modules/vitest/vitest.mjs', 'run', '--globals', 'vitest.test.mjs')
  expect(output).toMatch(/2 passed/)
})

test('jest 30 runs a test that writes', async () => {
  await install()
  const config = JSON.stringify({ testMatch: ['**/jest.test.cjs'], transform: {}, watchman: false })
  await nodeIn(folder, 'node_modules/jest/bin/jest.js', '--ci', '--config', config)
})

test('node --test runs a test that writes', async () => {
  await install()
  expect(await nodeIn(folder, '--test', 'node.test.mjs')).toMatch(/pass 2\n/)
})

test('tsx runs TypeScript with await using', async () => {
  await install()
  expect(await nodeIn(folder, 'node_modules/tsx/dist/cli.mjs', 'tsx.ts')).toBe('7 written by steno\n')
})
