// What people read whose install went wrong, and that doing what it says helps.

import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test as plain } from 'vitest'
import { platform } from '../../scripts/loader.mjs'
import { nodeIn, projectOfTest } from './helpers/project'
import { npmInstall, provided } from './helpers/provided'
import { test } from './helpers/test'

const script = `import('@pipeline/atomic').then(
  ({ stats }) => console.log(typeof stats),
  ({ code, message }) => console.log(code + '\\n' + message))`

const isGnu = platform().endsWith('-gnu')

/** Of the loader, in a project with no lock file. */
const load = (folder: string) => nodeIn(folder, '-e', script)

const missing = `ERR_ATOMIC_NO_ADDON
@pipeline/atomic cannot be loaded on ${platform()}: the package @pipeline/atomic-${platform()} is not installed.
Remove node_modules and install again on this machine, with optional dependencies. `

/** As the message tells people to. */
async function doAsTold(folder: string) {
  rmSync(join(folder, 'node_modules'), { recursive: true })
  await npmInstall(folder)
  expect(await load(folder)).toBe('function\n')
}

test('after npm install --omit=optional', async () => {
  const folder = projectOfTest('install')
  await npmInstall(folder, '@pipeline/atomic', '--omit=optional')
  expect(await load(folder)).toContain(missing)
  await doAsTold(folder)
})

test('where node_modules was installed for another system', async () => {
  const folder = projectOfTest('install')
  await npmInstall(folder, '@pipeline/atomic', '--os=linux', '--cpu=riscv64')
  expect(await load(folder)).toContain(missing)
  await doAsTold(folder)
})

/** An addon that is linked with musl: any will do. */
const MUSL = { name: '@node-rs/crc32-linux-x64-musl', version: '1.10.6', addon: 'crc32.linux-x64-musl.node' }

const onlyGnu: typeof test = isGnu ? test : (title) => plain.skip(`${title} (needs glibc)`)

onlyGnu('where the addon is for musl', async () => {
  const folder = projectOfTest('install')
  await npmInstall(folder, '@pipeline/atomic')
  const { name, version, addon } = MUSL
  const home = await provided('musl', { private: true, dependencies: { [name]: version } }, '--force')
  copyFileSync(
    join(home, 'node_modules', name, addon),
    join(folder, `node_modules/@pipeline/atomic-${platform()}/atomic.${platform()}.node`),
  )
  expect(await load(folder)).toMatch(
    /^ERR_ATOMIC_NO_ADDON\n.*: it was built for musl, which is not .*\nRemove node_modules and install again on this machine\./,
  )
  await doAsTold(folder)
})
