// What the dependencies bring along: their licences, and the security advisories against them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, runCargo, runNpm } from '../tools.mjs'

/** Permissive licences: they ask for their text to be kept, at most. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'Apache-2.0 WITH LLVM-exception',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BSL-1.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unicode-3.0',
  'Unlicense',
  'Zlib',
])

/** Packages with another licence, and why they may be here all the same. @type {Record<string, string>} */
const exceptions = {
  'argparse PSF-2.0': "Python's own licence, permissive; only @napi-rs/cli uses it, at development time",
  'argparse Python-2.0': "Python's own licence, permissive; only @napi-rs/cli uses it, at development time",
  'caniuse-lite CC-BY-4.0': 'a table of browser versions that jest brings along; nothing of it is shipped',
}

/** Every crate for every platform, and every npm package in the lock file, against the list above. */
export async function checkLicences() {
  const metadata = await runCargo(['metadata', '--format-version=1'], { quiet: true })
  if (metadata.code !== 0) return metadata.output
  const crates = /** @type {{ name: string, license: string | null }[]} */ (
    JSON.parse(metadata.stdout).packages
  )
  const all = [...crates.map(({ name, license }) => ({ name, license: license ?? '' })), ...npmPackages()]
  const refused = all.filter(
    ({ name, license }) => !`${name} ${license}`.match(exceptionPattern) && !isAllowed(license),
  )
  return refused
    .map(({ name, license }) => `${name}: ${license || 'says nothing about its licence'}`)
    .join('\n')
}

const exceptionPattern = new RegExp(`^(${Object.keys(exceptions).join('|').replaceAll('.', '\\.')})$`)

function npmPackages() {
  /** @type {{ packages: Record<string, { license?: string }> }} */
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => ({
      name: path.replace(/^.*node_modules\//, ''),
      // What the package itself says counts; one for another platform is only in the lock file.
      license: licenceOfInstalled(path) ?? entry.license ?? '',
    }))
}

/** @returns {string | undefined} */
function licenceOfInstalled(/** @type {string} */ path) {
  try {
    const { license, licenses } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
    // The second and third are npm's old forms.
    return (
      license?.type ??
      license ??
      licenses?.map((/** @type {{ type: string }} */ one) => one.type).join(' OR ')
    )
  } catch {
    return undefined
  }
}

/** Whether an SPDX expression leaves a choice that is allowed: `OR` gives one, `AND` takes both. */
function isAllowed(/** @type {string} */ expression) {
  // Innermost parentheses first; what they come to takes their place. `/` is an old form of OR.
  let text = expression.replaceAll('/', ' OR ')
  const evaluate = (/** @type {string} */ flat) =>
    flat
      .split(/ OR /)
      .some((choice) => choice.split(/ AND /).every((one) => one.trim() === 'yes' || allowed.has(one.trim())))
  while (/\([^()]*\)/.test(text)) {
    text = text.replace(/\(([^()]*)\)/, (_, inner) => (evaluate(inner) ? 'yes' : 'no'))
  }
  return evaluate(text)
}

/**
 * Advisories against npm packages. One against what is shipped fails the check; one against a development
 * tool is said, but must not turn a commit red over night that changed nothing.
 */
export async function auditPackages() {
  const { stdout } = await runNpm(['audit', '--json'], { quiet: true })
  const report = parse(stdout)
  if (!report?.vulnerabilities) return { skipped: 'the registry does not answer npm audit' }
  const shipped = await runNpm(['audit', '--json', '--omit=dev'], { quiet: true })
  const lines = Object.values(parse(shipped.stdout)?.vulnerabilities ?? {}).map(describe)
  if (lines.length) return lines.join('\n')
  const tools = Object.values(report.vulnerabilities).map(describe)
  return tools.length ? { skipped: `only development tools: ${tools.join('; ')}` } : ''
}

/** @returns {{ vulnerabilities?: Record<string, { name: string, severity: string }> } | undefined} */
function parse(/** @type {string} */ text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describe(/** @type {{ name: string, severity: string }} */ { name, severity }) {
  return `${name} (${severity})`
}

/** Advisories against crates, by whichever of the two usual tools is installed. */
export async function auditCrates() {
  for (const [name, ...args] of [
    ['deny', 'check', 'advisories'],
    ['audit', '--deny', 'warnings'],
  ]) {
    if ((await run(`cargo-${name}`, ['--version'], { quiet: true }).catch(() => ({ code: 1 }))).code !== 0)
      continue
    const { code, output } = await runCargo([String(name), ...args], { quiet: true })
    if (code === 0) return ''
    if (/fetch|network|connect/i.test(output) && !/RUSTSEC-\d/.test(output)) {
      return { skipped: `cargo-${name} could not fetch the advisories` }
    }
    return output
  }
  return { skipped: 'neither cargo-deny nor cargo-audit is installed' }
}
