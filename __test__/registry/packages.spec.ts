// The files that are published, as tools and people see them before they install anything.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test as always, describe, expect, inject } from 'vitest'
import { pack, readJson } from '../helpers/packed'
import { nodeIn } from './helpers/project'
import { test } from './helpers/test'

const published = inject('published')
const names = readdirSync(published).filter((name) => name.startsWith('atomic'))
const tool = (path: string) => join(inject('tools'), 'node_modules', path)

always.each(names)('%s runs nothing when it is installed, and says what it is', (name) => {
  const manifest = readJson(join(published, name, 'package.json'))
  expect(
    Object.keys(manifest.scripts ?? {}).filter((script) => /install|^prepare$|gyp/.test(script)),
  ).toEqual([])
  expect(readdirSync(join(published, name)).filter((file) => file.endsWith('.gyp'))).toEqual([])
  expect(manifest).toMatchObject({ license: 'MIT', engines: { node: '>=20.4.0' } })
  for (const file of ['README.md', 'LICENSE']) {
    expect(readFileSync(join(published, name, file), 'utf8'), file).not.toBe('')
  }
})

describe.each(['atomic', 'atomic-cloud'])('%s', (name) => {
  const folder = join(published, name)

  test('has no fault that publint knows', async () => {
    expect(await nodeIn(folder, tool('publint/src/cli.js'), 'run', '--strict')).toContain('All good')
  })

  test('has types that every resolution finds, as arethetypeswrong sees them', async () => {
    const { tarball } = await pack(folder, published)
    await nodeIn(folder, tool('@arethetypeswrong/cli/dist/index.js'), tarball)
  })
})
