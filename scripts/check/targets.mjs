// Whether the crates compile, tests included and without a warning, for the platforms that this machine is not.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findCargo, run, runCargo } from '../tools.mjs'

/** One of each operating system, C library and architecture among those of package.json. */
export const targets = [
  'x86_64-pc-windows-msvc',
  'aarch64-apple-darwin',
  'aarch64-unknown-linux-gnu',
  'x86_64-unknown-linux-musl',
]

/** How long a download may take, in milliseconds. */
const PATIENCE = 60_000

/** `cargo check` needs no linker, but the target's standard library and the crates that only it uses. */
export async function checkTarget(/** @type {string} */ target) {
  const missing = await addTarget(target)
  if (missing) return { skipped: missing }
  const fetched = await runCargo(['fetch', '--target', target], { quiet: true, timeout: PATIENCE })
  if (fetched.code !== 0) return { skipped: `cargo fetch --target ${target}: ${reason(fetched.output)}` }

  // The cryptography of object stores has parts in C, for which a compiler for the target is needed. Nobody runs the crash lab on
  // another machine than that of the tests.
  const here = ['--workspace', '--exclude', 'pipeline-atomic-cloud', '--exclude', 'crash-lab']
  const args = ['check', '-q', ...profile, ...here, '--tests', '--target', target]
  const { output } = await runCargo(args, { quiet: true })
  // With -q cargo writes errors and warnings and nothing else. (`-D warnings` in RUSTFLAGS would replace the flags
  // in .cargo/config.toml.)
  return output
}

/** All crates of the workspace that compile for a target, or for a platform: the crash lab is for Linux alone. */
export function crates(/** @type {string} */ target) {
  return target.includes('linux') ? ['--workspace'] : ['--workspace', '--exclude', 'crash-lab']
}

/** Of the tests: procedural macros and build scripts are compiled for both at once. */
export const profile = ['--profile', 'lab']

/**
 * Those of this machine's platform without their tests, and yet with the dependencies that these are compiled with, so that one
 * step compiles no dependency of another one again.
 */
export const asWithTests = [
  ...profile,
  ...crates(process.platform),
  '--features',
  'pipeline-atomic-cloud/mutants',
]

/** Sees that a target's standard library is installed, or says why it cannot be. */
export async function addTarget(/** @type {string} */ target) {
  if (await isInstalled(target)) return ''
  const added = await runRust('rustup', 'target', 'add', target)
  return added.code === 0 ? '' : `rustup target add ${target}: ${reason(added.output)}`
}

async function isInstalled(/** @type {string} */ target) {
  const { code, stdout } = await runRust('rustc', '--print', 'target-libdir', '--target', target)
  return code === 0 && existsSync(stdout.trim())
}

/** A tool of the toolchain, from where cargo is. */
export function runRust(/** @type {string} */ tool, /** @type {string[]} */ ...args) {
  return run(join(dirname(findCargo() ?? ''), tool), args, { quiet: true, timeout: PATIENCE }).catch(
    (/** @type {Error} */ error) => ({ code: 1, stdout: '', output: error.message }),
  )
}

function reason(/** @type {string} */ output) {
  const lines = output.trim().split('\n')
  return lines.find((line) => line.startsWith('error')) ?? lines.at(-1)
}
