// `npm run fuzz`: looks for inputs that break what the targets in fuzz/ claim, a minute a target.
//
//   npm run fuzz -- [--seconds N] [TARGET ...]
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

runAsScript(import.meta.url, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '60' } },
  })
  const unknown = positionals.filter((name) => !targets.includes(name))
  if (unknown.length > 0)
    throw new Complaint(`No target ${unknown.join(', ')}. Targets: ${targets.join(' ')}`)

  const found = await run('cargo', ['+nightly', 'fuzz', '--version'], { quiet: true }).catch(() => undefined)
  if (found?.code !== 0) {
    throw new Complaint(
      'Fuzzing needs a nightly compiler and cargo-fuzz: rustup toolchain install nightly --profile minimal, cargo install cargo-fuzz',
    )
  }
  const failed = []
  for (const target of positionals.length > 0 ? positionals : targets) {
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
