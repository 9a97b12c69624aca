// `npm run fuzz`: looks for inputs that break what the targets in fuzz/ claim, a minute a target.
//
//   npm run fuzz -- [--seconds N] [TARGET ...]
//
// Without a nightly compiler and cargo-fuzz the same claims are tried with the tests' random inputs, for as long: `cargo test` makes
// 20,000 of these a target.
//
// What breaks a claim is left in fuzz/artifacts/, and what was interesting in target/fuzz-corpus/. Both are not committed: an input
// that was worth finding becomes a case of a test.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Complaint, root, run, runAsScript } from './tools.mjs'

const targets = [
  ...readFileSync(join(root, 'fuzz/Cargo.toml'), 'utf8').matchAll(/\[\[bin\]\]\nname = "(.+)"/g),
].map(([, name]) => /** @type {string} */ (name))

/** Tries random inputs. What breaks a claim is printed. */
async function explore(/** @type {string[]} */ wanted, /** @type {string} */ seconds) {
  const seed = String(Date.now())
  console.error(
    `No cargo-fuzz with a nightly compiler is here (rustup toolchain install nightly --profile minimal, cargo install cargo-fuzz): ` +
      `random inputs of seed ${seed} instead`,
  )
  const tests = wanted.map((target) => `fuzz::tests::${target.replaceAll('-', '_')}`)
  const crates = ['-p', 'pipeline-atomic-engine', '-p', 'pipeline-atomic']
  const { code } = await run('cargo', ['test', ...crates, '--lib', '--', '--nocapture', ...tests], {
    env: { ATOMIC_FUZZ_SEED: seed, ATOMIC_FUZZ_SECONDS: seconds },
  })
  if (code !== 0) throw new Complaint(`broken: see above (ATOMIC_FUZZ_SEED=${seed})`)
}

runAsScript(import.meta.url, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' } },
  })
  const unknown = positionals.filter((name) => !targets.includes(name))
  if (unknown.length > 0)
    throw new Complaint(`No target ${unknown.join(', ')}. Targets: ${targets.join(' ')}`)

  const found = await run('cargo', ['+nightly', 'fuzz', '--version'], { quiet: true }).catch(() => undefined)
  const wanted = positionals.length > 0 ? positionals : targets
  if (found?.code !== 0) return explore(wanted, values.seconds)
  const failed = []
  for (const target of wanted) {
    const limits = [
      `-max_total_time=${values.seconds}`,
      '-max_len=512',
      '-timeout=10',
      '-print_final_stats=1',
    ]
    const corpus = join(root, 'target/fuzz-corpus', target)
    mkdirSync(corpus, { recursive: true })
    // Beside all else that is built: in fuzz/ other tools would look at it.
    const place = ['--target-dir', join(root, 'target/fuzz')]
    const { code } = await run('cargo', [
      '+nightly',
      'fuzz',
      'run',
      ...place,
      target,
      corpus,
      '--',
      ...limits,
    ])
    if (code !== 0) failed.push(target)
  }
  if (failed.length > 0)
    throw new Complaint(`broken: ${failed.join(', ')} (the inputs are in fuzz/artifacts/)`)
})
