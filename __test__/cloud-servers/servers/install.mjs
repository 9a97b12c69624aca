// Puts the servers beside the specs: packages of npm into node_modules, of PyPI into .venv, both ignored by git. What
// cannot be had is a reason to skip that server's specs, never a failed run.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { run, runNpm } from '../../../scripts/tools.mjs'

/** The folder of package.json and requirements.txt. */
const home = resolve(import.meta.dirname, '..')

/** An install that takes longer than this on a slow line is not waited for. */
const PATIENCE_MS = 150_000

const bin = process.platform === 'win32' ? 'Scripts' : 'bin'
const exe = process.platform === 'win32' ? '.exe' : ''

/** The programs that `start.mjs` runs. */
export const installed = {
  azurite: join(home, 'node_modules/azurite/dist/src/blob/main.js'),
  fauxqs: join(home, 'node_modules/fauxqs/dist/app.js'),
  seaweedfs: join(home, '.venv', bin, `weed${exe}`),
}

/** @type {Map<string, Promise<string | undefined>>} */
const underWay = new Map()

/** Installs Azurite and fauxqs. @returns {Promise<string | undefined>} why they are missing */
export function installNode() {
  return once(join(home, 'node_modules'), 'package.json', async () => {
    // No lock file: the two versions are exact, and what they bring along is never shipped.
    const args = [
      'install',
      '--no-package-lock',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]
    return finished('npm', await runNpm(args, { cwd: home, quiet: true, timeout: PATIENCE_MS }))
  })
}

/** Installs SeaweedFS. @returns {Promise<string | undefined>} why it is missing */
export function installPython() {
  return once(join(home, '.venv'), 'requirements.txt', async () => {
    const options = { cwd: home, quiet: true, timeout: PATIENCE_MS }
    const made = finished('python3 -m venv', await run('python3', ['-m', 'venv', '.venv'], options))
    if (made) return made
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']
    return finished('pip', await run(join(home, '.venv', bin, `python${exe}`), args, options))
  })
}

/**
 * Installs into `folder` unless that holds what `list` says: once, however many servers come from there.
 *
 * @param {string} folder
 * @param {string} list
 * @param {() => Promise<string | undefined>} install
 * @returns {Promise<string | undefined>} why it is missing
 */
function once(folder, list, install) {
  const installing = underWay.get(folder) ?? unlessThere(folder, list, install)
  underWay.set(folder, installing)
  return installing
}

/** The stamp is written last, so an interrupted install has none. @type {typeof once} */
async function unlessThere(folder, list, install) {
  const stamp = join(folder, '.installed')
  const wanted = readFileSync(join(home, list), 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  rmSync(folder, { recursive: true, force: true })
  // The program may be missing altogether.
  const missing = await install().catch((error) => String(error))
  if (missing) return missing
  writeFileSync(stamp, wanted)
}

/** @returns {string | undefined} */
function finished(
  /** @type {string} */ name,
  /** @type {{ code: number, output: string }} */ { code, output },
) {
  if (code === 0) return
  // npm says last where its log is.
  const reasons = output.split('\n').filter((line) => line.trim() && !line.includes('complete log'))
  return `${name} failed: ${reasons.at(-1) ?? code}`
}
