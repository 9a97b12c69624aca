// `npm run check`: what CI asks before it runs the tests. One line a step, the output of those that fail,
// and all steps run even if one fails. `npm run check -- NAME …` runs the steps with these names.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditCrates, auditPackages } from './check/advisories.mjs'
import { checkBinaries } from './check/binaries.mjs'
import { checkConventions } from './check/conventions.mjs'
import { checkDeny, checkLicences } from './check/licences.mjs'
import { checkLinks } from './check/links.mjs'
import { checkLock } from './check/lock.mjs'
import { asWithTests, checkTarget, crates, profile, targets } from './check/targets.mjs'
import { canGenerate, generate, nodeOfNapiCli } from './generate.mjs'
import { install } from './prepare.mjs'
import { Complaint, listFiles, root, runAsScript, runCargo, runNode, withTemporaryFolder } from './tools.mjs'

/** Problems to show (none: an empty string), or why it could not be checked. @typedef {string | { skipped: string }} Finding */
/** @typedef {[name: string, check: () => Promise<Finding> | Finding]} Step */

// The steps of cargo have one profile, and dependencies with one set of features: what one has compiled is there for the next.
const ours = crates(process.platform)

/** @type {Step[]} */
const steps = [
  ['rustfmt', () => cargo('fmt', '--all', '--check')],
  ['clippy', () => cargo('clippy', '-q', ...profile, ...ours, '--all-targets', '--', '-D', 'warnings')],
  ['rustdoc', () => cargo('doc', '-q', ...asWithTests, '--no-deps', '--document-private-items')],
  ...targets.map((target) => /** @type {Step} */ ([target, () => checkTarget(target)])),
  ['biome', () => tool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings')],
  // The compiler that is no JavaScript takes a quarter of the time; the other one is for what needs its API.
  ['types', () => tool('typescript-7/bin/tsc', '--project', 'tsconfig.json')],
  ['types-tests', () => tool('typescript-7/bin/tsc', '--project', '__test__/tsconfig.json')],
  ['generated', checkGenerated],
  ['lock', checkLock],
  ['licences', checkLicences],
  ['cargo-deny', checkDeny],
  ['advisories-npm', auditPackages],
  ['advisories-cargo', auditCrates],
  ['binaries', () => checkBinaries()],
  ['conventions', checkConventions],
  ['links', checkLinks],
]

async function cargo(/** @type {string[]} */ ...args) {
  const { code, output } = await runCargo(args, { quiet: true, env: { RUSTDOCFLAGS: '-D warnings' } })
  return code === 0 ? '' : output
}

async function tool(/** @type {string} */ script, /** @type {string[]} */ ...args) {
  const { code, output } = await runNode([join(root, 'node_modules', script), ...args], { quiet: true })
  return code === 0 ? '' : output
}

/** Are the committed generated files what the sources give now? */
async function checkGenerated() {
  if (!(await canGenerate())) return { skipped: `the napi command line needs ${nodeOfNapiCli}` }
  return withTemporaryFolder(async (folder) => {
    const names = (await generate(folder, asWithTests)).flatMap((name) => listFiles(folder, name))
    const stale = names.filter((name) => read(join(folder, name)) !== read(join(root, name)))
    return stale.length ? `not what the sources give (npm run generate): ${stale.join(', ')}` : ''
  })
}

function read(/** @type {string} */ path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

runAsScript(import.meta.url, async () => {
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !steps.some(([known]) => known === name))
  if (unknown.length) {
    throw new Complaint(`No step ${unknown.join(', ')}. Steps: ${steps.map(([name]) => name).join(' ')}`)
  }
  await install()
  const failed = []
  for (const [name, check] of steps) {
    if (wanted.length && !wanted.includes(name)) continue
    const start = performance.now()
    const finding = await Promise.resolve()
      .then(check)
      .catch((error) => (error instanceof Complaint ? error.message : `${error?.stack ?? error}`))
    const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6)
    const verdict = typeof finding !== 'string' ? `skipped: ${finding.skipped}` : finding ? 'FAILED' : 'ok'
    console.log(`${name.padEnd(26)} ${seconds} s  ${verdict}`)
    if (typeof finding === 'string' && finding) {
      console.log(finding.trimEnd().replace(/^/gm, '    '))
      failed.push(name)
    }
  }
  if (failed.length) throw new Complaint(`check failed: ${failed.join(', ')}`)
})
