// Whether package-lock.json is complete: `npm ci` has to accept it on every platform.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, runNpm } from '../tools.mjs'

/** Older ones accept a lock file without the packages that only other platforms install. */
const STRICT_NPM = 11

/** What npm itself says, without installing anything. */
export async function checkLock() {
  const npm = await findStrictNpm()
  if (!npm) return { skipped: `needs npm ${STRICT_NPM} or newer, which could not be downloaded` }
  const { code, output } = await npm('ci', '--dry-run', '--no-audit', '--no-fund', '--loglevel=error')
  if (code === 0) return ''
  // npm explains all of its options after that.
  const reasons = output.match(/(Missing|Invalid): .*/g) ?? [output]
  return [...reasons, `To complete it: npx npm@${STRICT_NPM} install --package-lock-only`].join('\n')
}

/** The npm at hand, or else the one that package.json names. */
async function findStrictNpm() {
  const installed = (/** @type {string[]} */ ...args) => runNpm(args, { quiet: true })
  if (Number.parseInt((await installed('--version')).stdout, 10) >= STRICT_NPM) return installed
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const named = (/** @type {string[]} */ ...args) =>
    run('npx', ['--yes', packageManager, ...args], { quiet: true, timeout: 120_000 })
  return (await named('--version')).code === 0 ? named : undefined
}
