// Puts the servers into target/, which git ignores: packages of npm, and of PyPI in a virtual environment. What cannot be
// had is a reason to skip that server's specs, never a failed run.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { root, run, runNpm } from '../../../scripts/tools.mjs'

/** The folder of package.json and requirements.txt. */
const lists = resolve(import.meta.dirname, '..')

const npmHome = join(root, 'target/cloud-servers/npm')
const venv = join(root, 'target/cloud-servers/venv')

/** An install that takes longer than this on a slow line is not waited for. */
const PATIENCE_MS = 150_000

const bin = process.platform === 'win32' ? 'Scripts' : 'bin'
const exe = process.platform === 'win32' ? '.exe' : ''

/** The programs that `start.mjs` runs. */
export const installed = {
  azurite: join(npmHome, 'node_modules/azurite/dist/src/blob/main.js'),
  fauxqs: join(npmHome, 'node_modules/fauxqs/dist/app.js'),
  seaweedfs: join(venv, bin, `weed${exe}`),
}

/** @type {Map<string, Promise<string | undefined>>} */
const underWay = new Map()

/** Installs Azurite and fauxqs. @returns {Promise<string | undefined>} why they are missing */
export function installNode() {
  return once(npmHome, 'package.json', async () => {
    for (const name of ['package.json', '.npmrc']) copyFileSync(join(lists, name), join(npmHome, name))
    // No lock file: the two versions are exact, and what they bring along is never shipped.
    const args = [
      'install',
      '--no-package-lock',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ]
    return finished('npm', await runNpm(args, { cwd: npmHome, quiet: true, timeout: PATIENCE_MS }))
  })
}

/** Installs SeaweedFS. @returns {Promise<string | undefined>} why it is missing */
export function installPython() {
  return once(venv, 'requirements.txt', async () => {
    const options = { quiet: true, timeout: PATIENCE_MS }
    const made = finished('python3 -m venv', await run('python3', ['-m', 'venv', venv], options))
    if (made) return made
    const requirements = ['-r', join(lists, 'requirements.txt')]
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements]
    return finished('pip', await run(join(venv, bin, `python${exe}`), args, options))
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
  const wanted = readFileSync(join(lists, list), 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
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
