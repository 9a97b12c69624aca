// Public packages that the specs need, installed into target/, which git ignores, and kept there. What cannot be had is a reason to skip
// a spec, by name.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, runNpm } from '../../../scripts/tools.mjs'
import { cleanEnv } from '../../helpers/packed'

export const home = join(root, 'target/consumer')

/** A slow line is not waited for any longer, in milliseconds. */
const PATIENCE = 5 * 60_000

/** Why a spec is skipped. */
export class Missing extends Error {}

/** The folder `name` with these packages in its node_modules. No script of theirs is run. `options` are npm's. */
export async function provided(name: string, manifest: object, ...options: string[]): Promise<string> {
  const folder = join(home, name)
  const stamp = join(folder, '.installed')
  const wanted = JSON.stringify(manifest)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), wanted)
  await npmInstall(folder, ...options)
  // Last, so an interrupted install has none.
  writeFileSync(stamp, wanted)
  return folder
}

/** Installs what the package.json in `folder` and `args` ask for. No lock file: the versions are exact. */
export async function npmInstall(folder: string, ...args: string[]) {
  const options = ['--no-package-lock', '--prefer-offline', '--ignore-scripts', '--loglevel=error']
  const { code, output } = await runNpm(['install', '--no-audit', '--no-fund', ...options, ...args], {
    cwd: folder,
    quiet: true,
    env: cleanEnv,
    timeout: PATIENCE,
  }).catch((error) => ({ code: 1, output: String(error) }))
  if (code === 0) return
  // npm says last where its log is.
  const reasons = output.split('\n').filter((line) => line.trim() && !line.includes('complete log'))
  const cannotBeHad = /E(NOTFOUND|AI_AGAIN|TIMEDOUT|CONNREFUSED|CONNRESET|TARGET|404)|ended by SIG/.test(
    output,
  )
  throw new (cannotBeHad ? Missing : Error)(`npm install failed: ${reasons.slice(0, 5).join('; ') || code}`)
}

/** The Node.js of a version, from npm; its own modules are all that it brings. */
export async function nodeOf(version: string): Promise<string> {
  const system = process.platform === 'win32' ? 'win' : process.platform
  const name = `node-${system}-${process.arch}`
  const folder = await provided(`node-${version}`, { private: true, dependencies: { [name]: version } })
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
}

/** The newest one that is under long-term support: package managers and bundlers run on it. */
export const NODE_OF_TOOLS = '24.22.3'
