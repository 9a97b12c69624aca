// A program of Electron, packed. Electron's executable comes from no package registry: it is in the folder that
// `ELECTRON_OVERRIDE_DIST_PATH` names, as for the package `electron`, or can be downloaded, or this is skipped.

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { platform } from '../../scripts/loader.mjs'
import { run } from '../../scripts/tools.mjs'
import { succeed } from '../helpers/packed'
import { env, nodeIn, projectOfTest } from './helpers/project'
import { Missing, npmInstall, provided } from './helpers/provided'
import { test } from './helpers/test'

const versions = { '@electron/asar': '4.3.2', electron: '45.5.0' }

const install = () => provided('electron', { private: true, dependencies: versions })

/** The executable, and which Node.js is in it. */
async function electron() {
  const given = process.env.ELECTRON_OVERRIDE_DIST_PATH
  const program = given ? join(given, 'electron') : await download()
  const script = 'process.stdout.write(process.versions.node)'
  const asNode = { ...env, ELECTRON_RUN_AS_NODE: '1' }
  const node = await succeed(run(program, ['-e', script], { quiet: true, env: asNode }))
  return { program, node, asNode }
}

async function download() {
  const home = await install()
  const package_ = join(home, 'node_modules/electron')
  const options = { cwd: home, quiet: true, env, timeout: 120_000 }
  const { code, output } = await run(process.execPath, [join(package_, 'install.js')], options)
  if (code !== 0) throw new Missing(`Electron cannot be downloaded: ${output.trim().split('\n')[0]}`)
  return join(package_, 'dist/electron')
}

/** An app with the package, packed with these options of asar. */
async function packed(...options: string[]) {
  const app = projectOfTest('electron')
  await npmInstall(app, '@pipeline/atomic')
  const archive = join(projectOfTest('electron'), 'app.asar')
  await nodeIn(
    app,
    join(await install(), 'node_modules/@electron/asar/bin/asar.mjs'),
    'pack',
    app,
    archive,
    ...options,
  )
  return archive
}

const ways = { inside: [], beside: ['--unpack', '**/*.node'] }

for (const [where, options] of Object.entries(ways)) {
  test(`Electron loads the addon from ${where} an asar archive`, async ({ skip }) => {
    const { program, node, asNode } = await electron()
    const archive = await packed(...options)
    const FILE = join(projectOfTest('electron'), 'written')
    // Where Electron copies the addon to, if it has to.
    const TMPDIR = join(archive, '../temporary')
    mkdirSync(TMPDIR)
    const given = (LOADED: string) => ({ LOADED, FILE, TMPDIR })
    const said = (loaded: string) =>
      succeed(
        run(program, [join(archive, 'main.cjs')], { quiet: true, env: { ...asNode, ...given(loaded) } }),
      )
    const addon = `@pipeline/atomic-${platform()}`
    expect(await said(addon)).toBe('1000000 1\n')
    if (where === 'beside') expect(readdirSync(TMPDIR)).toEqual([])
    const app = ['-a', program, '--no-sandbox', '--disable-gpu', archive]
    const shown = run('xvfb-run', app, { quiet: true, env: { ...env, ...given(addon) } }).catch(() => {
      throw new Missing('apt-get install xvfb')
    })
    expect(await succeed(shown)).toBe('1000000 1\n')
    // Its syntax is newer.
    if (Number.parseInt(node, 10) < 20) {
      skip(`the addon is loaded; for the package Node.js ${node} is too old`)
    }
    expect(await said('@pipeline/atomic')).toBe('1000000 1\n')
  })
}
