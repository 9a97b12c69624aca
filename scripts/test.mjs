// `npm test`: the specs in __test__ (vitest), beside them the tests of the Rust crates (cargo test), and one closing line
// that is the sum of both. `npm run test:js -- NAME` and `npm run test:rust -- NAME` run a part. `npm run test:cloud`
// runs the specs in __test__/cloud-servers, which the ordinary run leaves out, against object stores that it starts. `npm run model`
// explores the model of the transactions whole. `npm run consumer` runs those in __test__/registry, which install the packages from a
// registry that it starts. They use an addon that is built for tests; `npm test -- --release` the one that users download.

import { existsSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { parseArgs, stripVTControlCharacters } from 'node:util'
import { checked, prepare, prepareCloud, released, requireNode, requireRust } from './prepare.mjs'
import {
  Complaint,
  labPackages,
  root,
  runAsScript,
  runCargo,
  runNode,
  withTemporaryFolder,
} from './tools.mjs'

/** @typedef {{ passed: number, failed: string[], skipped: string[] }} Counts */

/** @returns {Counts} */
const noCounts = () => ({ passed: 0, failed: [], skipped: [] })

/** @returns {Promise<Counts>} */
async function runVitest(/** @type {string[]} */ args) {
  return withTemporaryFolder(async (folder) => {
    const file = join(folder, 'vitest.json')
    const { code } = await runNode(
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        ...['--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
        ...args,
      ],
      { env: process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1', FORCE_COLOR: undefined } },
    )
    const counts = existsSync(file) ? countVitest(JSON.parse(readFileSync(file, 'utf8'))) : noCounts()
    return neverGreenWhenRed(counts, code, 'vitest')
  })
}

/**
 * The specs against object stores. `--bucket s3://NAME`, with `--endpoint URL` where it is not the cloud's own: against
 * that one, with the credentials that the environment has.
 *
 * @returns {Promise<Counts>}
 */
async function runCloud(/** @type {string[]} */ args) {
  const { values, tokens } = parseArgs({
    args,
    options: { bucket: { type: 'string' }, endpoint: { type: 'string' } },
    strict: false,
    tokens: true,
  })
  if (values.endpoint && !values.bucket) throw new Complaint('--endpoint needs --bucket s3://NAME as well.')
  for (const name of ['bucket', 'endpoint']) {
    if (values[name]) process.env[`ATOMIC_CLOUD_${name.toUpperCase()}`] = `${values[name]}`
  }
  const ours = tokens.flatMap((token) =>
    token.kind === 'option' && (token.name === 'bucket' || token.name === 'endpoint')
      ? [token.index, ...(token.inlineValue ? [] : [token.index + 1])]
      : [],
  )
  const config = join(root, '__test__/cloud-servers/vitest.config.mts')
  return runVitest(['--config', config, ...args.filter((_, at) => !ours.includes(at))])
}

/** @returns {Counts} */
function countVitest(
  /** @type {{ testResults: { name: string, status: string,
   *   assertionResults: { status: string, fullName: string }[] }[] }} */ report,
) {
  const counts = noCounts()
  for (const file of report.testResults) {
    const name = relative(root, file.name)
    const before = counts.failed.length
    for (const test of file.assertionResults) {
      if (test.status === 'passed') counts.passed++
      else if (test.status === 'failed') counts.failed.push(`${name}: ${test.fullName}`)
      else counts.skipped.push(`${name}: ${test.fullName}`)
    }
    // A file that could not be loaded, or whose hook failed, has no failed test: it counts as one.
    if (file.status === 'failed' && counts.failed.length === before) counts.failed.push(name)
  }
  return counts
}

/**
 * Built with the profile of the crash lab, which has its dependencies in common with them. Each line goes to `print` where there is
 * one, else to the terminal.
 *
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, print?: (line: string) => void }} [options]
 * @returns {Promise<Counts>}
 */
async function runCargoTest(args, { env, print } = {}) {
  const counts = noCounts()
  // libtest's JSON is unstable; these kinds of line are what every Rust tool reads.
  const closing = /^test result: \w+\. (\d+) passed; \d+ failed; \d+ ignored;/
  const failed = /^test (\S+(?: - .*)?) \.\.\. FAILED/
  const ignored = /^test (\S+(?: - .*)?) \.\.\. ignored(.*)$/
  const { code } = await runCargo(['test', '--profile', 'lab', '--no-fail-fast', ...args], {
    env,
    quiet: print !== undefined,
    onLine(text) {
      print?.(text)
      const line = stripVTControlCharacters(text)
      counts.passed += Number(closing.exec(line)?.[1] ?? 0)
      const [, red] = failed.exec(line) ?? []
      if (red) counts.failed.push(`cargo: ${red}`)
      const skipped = ignored.exec(line)
      if (skipped) counts.skipped.push(`cargo: ${skipped[1]}${skipped[2]}`)
    },
  })
  return neverGreenWhenRed(counts, code, `cargo ${['test', ...args].join(' ')}`)
}

/**
 * All of Rust's. The crash lab is a program for Linux. Its addon with mutants has the engine in common with the tests: else that
 * would be compiled once more. Nothing is left out unless a variable says so.
 */
const runRustTests = (/** @type {(line: string) => void} */ print) =>
  runCargoTest(
    process.platform === 'linux' ? [...labPackages, '--features', 'pipeline-atomic/mutants'] : [],
    {
      print,
    },
  )

/** The protocol against a store in memory. The features are those of the addon that the specs use: one build serves both. */
const runProtocolTests = () => runCargoTest(['-p', 'pipeline-atomic-cloud', '--features', 'mutants'])

/** What failed outside any test (a compile error, an abort, an unhandled rejection) counts as one failure. */
function neverGreenWhenRed(
  /** @type {Counts} */ counts,
  /** @type {number} */ code,
  /** @type {string} */ runner,
) {
  const isHidden = code !== 0 && counts.failed.length === 0
  return isHidden ? { ...counts, failed: [`${runner} ended with ${code} outside any test`] } : counts
}

/** @type {Record<'js' | 'rust' | 'cloud' | 'consumer' | 'model', (args: string[]) => Promise<Counts[]>>} */
const parts = {
  js: async (args) => [await runVitest(args)],
  // Incremental: whoever runs these changes the code again and again.
  rust: async (args) => [await runCargoTest(args, { env: { CARGO_INCREMENTAL: '1', ...process.env } })],
  consumer: async (args) => [
    await runVitest(['--config', join(root, '__test__/registry/vitest.config.mts'), ...args]),
  ],
  model: async () => {
    process.env.ATOMIC_SOAK = '1'
    return [await runVitest(['transaction/model'])]
  },
  // Arguments ask for a part of the specs, or for another store.
  cloud: async (args) => [await runCloud(args), ...(args.length > 0 ? [] : [await runProtocolTests()])],
}

/**
 * What keeps a part from being run is told at once, and counts as one failure of it: the other part goes on.
 *
 * @returns {Promise<Counts>}
 */
async function orFailure(/** @type {Promise<Counts>} */ part) {
  try {
    return await part
  } catch (error) {
    console.error(error instanceof Complaint ? error.message : error)
    const [reason = ''] = `${error instanceof Error ? error.message : error}`.split('\n')
    return { ...noCounts(), failed: [reason] }
  }
}

/**
 * Keeps lines from the terminal until `show` is called: then come those that it has, and from then on each at once. All are in
 * the file as they come, which tells what there was if the run is killed before.
 */
function holdBack(/** @type {string} */ path) {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'w')
  let held = ''
  let isShown = false
  return {
    print(/** @type {string} */ line) {
      writeSync(file, `${line}\n`)
      if (isShown) process.stdout.write(`${line}\n`)
      else held += `${line}\n`
    },
    show() {
      process.stdout.write(held)
      isShown = true
    },
  }
}

/**
 * Specs wait a lot: Rust's tests are built and run meanwhile. What they print is shown after what the specs print. They come after the
 * addon's build, as cargo makes one build at a time of a profile, and the specs would wait for theirs.
 */
async function runAll(/** @type {typeof released} */ addon) {
  requireNode()
  await requireRust()
  const log = join(root, 'target', 'rust-tests.log')
  const { print, show } = holdBack(log)
  const prepared = prepare(addon)
  const rust = orFailure(prepared.catch(() => {}).then(() => runRustTests(print)))
  const specs = await orFailure(
    prepared.then(() => {
      console.log(
        `Rust's tests run beside the specs; what they print is in ${relative(root, log)}, and is shown after the specs.`,
      )
      return runVitest([])
    }),
  )
  console.log("\nRust's tests:")
  show()
  return [specs, await rust]
}

runAsScript(import.meta.url, async () => {
  const given = process.argv.slice(2)
  const [part, ...rest] = given.filter((arg) => arg !== '--release')
  // What is installed from a registry is what users download.
  const addon = given.includes('--release') || part === 'consumer' ? released : checked
  const run = part && part in parts ? parts[/** @type {keyof typeof parts} */ (part)] : undefined
  if (run) await prepare(addon)
  // Nothing is measured there, and link-time optimisation takes a minute and a half.
  if (part === 'cloud') await prepareCloud({ profile: 'lab', features: ['mutants'] })
  const results = run ? await run(rest) : await runAll(addon)

  const passed = results.reduce((total, one) => total + one.passed, 0)
  const list = (/** @type {string} */ title, /** @type {string[]} */ names) =>
    names.length ? `${title} here:\n${names.map((name) => `  ${name}\n`).join('')}` : ''
  const failed = results.flatMap(({ failed }) => failed)
  const skipped = results.flatMap(({ skipped }) => skipped)
  console.log(`\n${list('skipped', skipped)}${list('failed', failed)}`)
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`)
  if (failed.length > 0 || passed === 0) process.exitCode = 1
})
