// Security advisories against what we depend on.

import { run, runCargo, runNpm } from '../tools.mjs'

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
