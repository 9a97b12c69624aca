// A packed program of Electron. Its executable comes from no package registry, so this is skipped where it cannot be downloaded.

import { join } from 'node:path'
import { expect } from 'vitest'
import { run } from '../../scripts/tools.mjs'
import { env, nodeIn, projectOfTest } from './helpers/project'
import { Missing, npmInstall, provided } from './helpers/provided'
import { test } from './helpers/test'

const versions = { '@electron/asar': '4.3.2', electron: '45.5.0' }

test('Electron loads the addon from beside an asar archive', async () => {
  const home = await provided('electron', { private: true, dependencies: versions })
  const modules = join(home, 'node_modules')
  const { code, output } = await run(process.execPath, [join(modules, 'electron/install.js')], {
    cwd: home,
    quiet: true,
    env,
    timeout: 120_000,
  })
  if (code !== 0) throw new Missing(`Electron cannot be downloaded: ${output.trim().split('\n')[0]}`)
  const folder = projectOfTest('install')
  await npmInstall(folder, '@pipeline/atomic')
  const packed = projectOfTest('install')
  const archive = join(packed, 'app.asar')
  await nodeIn(
    folder,
    join(modules, '@electron/asar/bin/asar.mjs'),
    'pack',
    folder,
    archive,
    '--unpack',
    '**/*.node',
  )
  const program = join(archive, 'use.cjs')
  const { stdout } = await run(join(modules, 'electron/dist/electron'), [program], {
    cwd: folder,
    quiet: true,
    env: { ...env, ELECTRON_RUN_AS_NODE: '1' },
  })
  expect(stdout).toBe('required 8\n')
})
