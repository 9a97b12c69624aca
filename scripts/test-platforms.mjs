// `npm run test:platforms`: the binaries that `npm run build:all` has made, run on the platforms that this machine is not, and
// docs/platforms.md from what came of it. A platform that cannot be had is skipped by name. `-- TARGET …` runs some of them, and
// leaves the document as it is.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drawBuilt, readBuilt } from './build-all.mjs'
import { platform, platformOf } from './loader.mjs'
import { gapOf } from './platforms/gaps.mjs'
import { findWine, machines, wineFolder } from './platforms/machines.mjs'
import { binaries, fileOf, targets } from './platforms/targets.mjs'
import { linkerTools } from './platforms/tools.mjs'
import { Complaint, root, run, runAsScript, runCargo, withTemporaryFolder } from './tools.mjs'

/** @typedef {import('./platforms/gaps.mjs').Check} Check */
/** @typedef {{ title: string, skipped?: string, checks: Check[] }} Result */

const script = join(root, 'scripts/platforms/smoke.cjs')

/** Of a hung emulator, in milliseconds. */
const PATIENCE = 10 * 60_000

async function smoke(/** @type {string} */ target) {
  const addon = join(binaries, fileOf(target))
  if (!existsSync(addon)) throw new Complaint(`npm run build:all -- ${target}`)
  const isOwn = platformOf(target) === platform()
  const { command, args, env, path } = isOwn
    ? { command: process.execPath, args: [], env: {}, path: undefined }
    : ((await machines[target]?.make()) ?? fail('no emulator of it is known'))
  const there = path ?? ((/** @type {string} */ path) => path)
  return withTemporaryFolder(async (folder) => {
    const report = join(folder, 'report')
    const paths = [script, addon, join(folder, 'files'), report].map(there)
    const { output } = await run(command, [...args, ...paths], { quiet: true, env, timeout: PATIENCE })
    const by = isOwn ? '' : machines[target]?.by
    const checks = existsSync(report) ? readReport(report).map((check) => ({ ...check, by })) : []
    const end = checks.pop()
    if (end?.name === 'the end') return checks
    const last = end ? `it ended after “${end.name}”` : 'it did not begin'
    return [
      ...checks,
      ...(end ? [end] : []),
      { name: 'the end', problem: `${last}: ${output.trim().slice(0, 500)}` },
    ]
  })
}

/** @returns {never} */
function fail(/** @type {string} */ reason) {
  throw new Complaint(reason)
}

/** @returns {Check[]} */
function readReport(/** @type {string} */ report) {
  const lines = readFileSync(report, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line))
}

/** The engine's tests, built for Windows. @returns {Promise<Check[]>} */
async function engineOnWine() {
  const target = 'x86_64-pc-windows-gnu'
  const wine = findWine()
  /** @type {string[]} */
  const programs = []
  const { code, stderr } = await runCargo(
    [
      ...['zigbuild', '--tests', '-p', 'pipeline-atomic-engine', '--target', target],
      '--message-format=json-render-diagnostics',
    ],
    {
      quiet: true,
      env: await linkerTools(),
      onLine(line, from) {
        if (from !== 'stdout' || !line.startsWith('{')) return
        const { executable, profile } = JSON.parse(line)
        if (executable && profile?.test) programs.push(executable)
      },
    },
  )
  if (code !== 0)
    throw new Complaint(`the engine's tests could not be built: ${stderr.trim().split('\n').at(-1)}`)
  const checks = []
  for (const program of programs) {
    const env = { ...(await wineFolder(dirname(program))), WINEDEBUG: '-all' }
    const { output } = await run(wine, [program, '--test-threads=1'], { quiet: true, env, timeout: PATIENCE })
    for (const [, name = '', verdict] of output.matchAll(/^test (\S+).* \.\.\. (ok|FAILED)\r?$/gm)) {
      checks.push(verdict === 'ok' ? { name, problem: '' } : { name, by: 'Wine', ...failureOf(name, output) })
    }
    if (!/test result: /.test(output)) checks.push({ name: 'the end', problem: output.trim().slice(-300) })
  }
  return checks
}

/** Of a test of Rust's: its first message, and the number of the system's error if that is one. */
function failureOf(/** @type {string} */ name, /** @type {string} */ output) {
  const told = output.split(`---- ${name} stdout ----`)[1] ?? ''
  const message = /panicked at .*\r?\n(.*)/.exec(told)?.[1]?.trim() ?? 'it failed'
  return { problem: message, code: /\bOs \{ code: (\d+)/.exec(message)?.[1] }
}

async function attempt(/** @type {string} */ title, /** @type {() => Promise<Check[]>} */ tried) {
  try {
    return { title, checks: await tried() }
  } catch (error) {
    if (error instanceof Complaint) return { title, skipped: error.message, checks: [] }
    throw error
  }
}

const isFailure = (/** @type {Check} */ check) => check.problem !== '' && gapOf(check) === undefined

function drawResult(/** @type {Result} */ { title, skipped, checks }) {
  if (skipped !== undefined) return `- ${title}: skipped (${skipped}).`
  const held = checks.filter(({ problem }) => !problem).length
  const gaps = checks.filter((check) => check.problem && !isFailure(check))
  const failed = checks.filter(isFailure)
  return [
    `- ${title}: ${held} of ${checks.length}.`,
    ...gaps.map((check) => `  - Not on Wine: ${check.name}: ${gapOf(check)}.`),
    ...failed.map(({ name, problem }) => `  - Failed: ${name}: ${problem}.`),
  ].join('\n')
}

/** The document, from its start to the heading below which the runs are drawn. */
function writeDocument(/** @type {Result[]} */ results) {
  const path = join(root, 'docs/platforms.md')
  const heading = '## What was built and run\n'
  const [prose = ''] = readFileSync(path, 'utf8').split(heading)
  const executed = results.filter(({ checks }) => checks.length > 0)
  const missing = results.filter(({ checks }) => checks.length === 0)
  writeFileSync(
    path,
    `${prose}${heading}
Drawn by \`npm run build:all\` and \`npm run test:platforms\` on ${process.platform}-${process.arch}.

${drawBuilt(readBuilt())}

Executed:

${executed.map(drawResult).join('\n')}

Not executed:

${missing.map(drawResult).join('\n')}
`,
  )
}

runAsScript(import.meta.url, async () => {
  const wanted = process.argv.slice(2)
  const here = targets.find((target) => platformOf(target) === platform()) ?? ''
  const tried = targets.filter((target) => !wanted.length || wanted.includes(target))
  /** @type {Result[]} */
  const results = []
  const show = (/** @type {Result} */ result) => {
    results.push(result)
    console.log(drawResult(result))
  }
  for (const target of tried) {
    const by = target === here ? 'this machine' : machines[target]?.by
    show(await attempt(`\`${target}\`, the addon${by ? ` by ${by}` : ''}`, () => smoke(target)))
  }
  if (!wanted.length || wanted.includes('engine')) {
    show(await attempt("`x86_64-pc-windows-gnu`, the engine's tests by Wine", engineOnWine))
  }
  if (!wanted.length) writeDocument(results)
  const failed = results.filter(({ checks }) => checks.some(isFailure))
  if (failed.length) throw new Complaint(`failed: ${failed.map(({ title }) => title).join('; ')}`)
})
