// The licences of what we depend on. deny.toml holds those that are allowed, for crates and npm packages alike.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, runCargo } from '../tools.mjs'

/** Packages that may have other licences as well. All are development tools: nothing of them is shipped. */
/** @type {Record<string, string[]>} */
const exceptions = {
  // Python's own licence, permissive. @napi-rs/cli uses it.
  argparse: ['PSF-2.0', 'Python-2.0'],
  // A table of browser versions. jest uses it.
  'caniuse-lite': ['CC-BY-4.0'],
  // Tables of SPDX names. spdx-satisfies uses them.
  'spdx-exceptions': ['CC-BY-3.0'],
  'spdx-ranges': ['CC-BY-3.0'],
}

/** Every crate for every platform, and every package in package-lock.json. */
export async function checkLicences() {
  const metadata = await runCargo(['metadata', '--format-version=1'], { quiet: true })
  if (metadata.code !== 0) return metadata.output
  const { default: satisfies } = await import('spdx-satisfies')
  const allowed = readAllowed()
  const isAllowed = ({ name = '', licence = '' }) => {
    try {
      return satisfies(licence, [...allowed, ...(exceptions[name] ?? [])])
    } catch {
      // Not an SPDX expression, or nothing at all.
      return false
    }
  }
  return [...listCrates(metadata.stdout), ...listPackages()]
    .filter((one) => !isAllowed(one))
    .map(({ name, licence }) => `${name}: ${licence || 'names no licence'}`)
    .join('\n')
}

/** What cargo-deny has to say of licences, bans and sources, where it is installed. */
export async function checkDeny() {
  const { code } = await run('cargo-deny', ['--version'], { quiet: true }).catch(() => ({ code: 1 }))
  if (code !== 0) return { skipped: 'cargo-deny is not installed' }
  const checked = await runCargo(['deny', 'check', 'licenses', 'bans', 'sources'], { quiet: true })
  return checked.code === 0 ? '' : checked.output
}

/** `licenses.allow` of deny.toml. */
function readAllowed() {
  const text = readFileSync(join(root, 'deny.toml'), 'utf8')
  const list = /^allow = \[([^\]]*)\]/m.exec(text)?.[1] ?? ''
  return [...list.matchAll(/"([^"]+)"/g)].map(([, licence]) => String(licence))
}

function listCrates(/** @type {string} */ metadata) {
  /** @type {{ packages: { name: string, license: string | null }[] }} */
  const { packages } = JSON.parse(metadata)
  // `/` is cargo's old way to write OR.
  return packages.map(({ name, license }) => ({ name, licence: (license ?? '').replaceAll('/', ' OR ') }))
}

function listPackages() {
  /** @type {{ packages: Record<string, { license?: string }> }} */
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(packages).map(([path, { license = '' }]) => ({
    name: path.replace(/^.*node_modules\//, ''),
    licence: license,
  }))
}
