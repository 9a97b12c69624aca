// Makes a clone ready to run: the development packages as package-lock.json says, and the addon
// beside index.js and the program in dist/. `npm test`, `npm run demo` and `npm run bench` start here, so that a fresh machine
// needs nothing but Node and Rust; when nothing changed it costs a fraction of a second.
//
// The addon is built with cargo itself: the napi command line needs Node 20.17, this package 20.4.

import { copyFileSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { buildCli } from './cli.mjs'
import { platform } from './loader.mjs'
import { complaintOfSize } from './platforms/targets.mjs'
import { Complaint, labPackages, root, runAsScript, runCargo, runNode, runNpm } from './tools.mjs'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Ends with a clear message on a Node that is too old. */
export function requireNode() {
  const least = manifest.engines.node.replace('>=', '')
  if (isOlder(process.versions.node, least)) {
    throw new Complaint(`Node ${least} or newer is needed; this is ${process.version}.`)
  }
}

/** Ends with a clear message where Rust is missing or too old: an old cargo cannot even read Cargo.toml. */
export async function requireRust() {
  const least = /^rust-version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))?.[1] ?? '0'
  const { stdout, output } = await runCargo(['--version'], { quiet: true })
  const version = /^cargo (\d+\.\d+\.\d+)/.exec(stdout)?.[1]
  if (!version) throw new Complaint(`cargo does not tell its version:\n${output}`)
  if (isOlder(version, least)) {
    throw new Complaint(`Rust ${least} or newer is needed; this is ${version}. Run: rustup update`)
  }
}

/** Installs the development packages if what node_modules holds is not what the lock file says. */
export async function install() {
  requireNode()
  if (isInstalled()) return
  console.error('Installing the development packages')
  // Offline, what an earlier clone has downloaded will do.
  const { code } = await runNpm(['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'])
  if (code !== 0) throw new Complaint('npm ci failed: see above.')
}

/**
 * Compares npm's record of what it installed with the lock file, package by package: unlike a time stamp,
 * this is right after a checkout too. npm writes the record last, so an interrupted install has none.
 */
function isInstalled() {
  const wanted = readPackages('package-lock.json')
  const installed = readPackages('node_modules/.package-lock.json')
  if (!wanted || !installed) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = installed[path]
    // An optional package may be for another platform.
    return found ? found.version === entry.version && found.integrity === entry.integrity : entry.optional
  })
}

/** @returns {Record<string, { version?: string, integrity?: string, optional?: boolean }> | undefined} */
function readPackages(/** @type {string} */ file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages
  } catch {
    return undefined
  }
}

/** The addon for object stores. Most clones do without it, and save its many crates. */
const cloud = {
  folder: 'packages/cloud',
  // Not the library for its own tests as well: with that, cargo leaves out link-time optimisation, and 2 MB stay.
  args: ['rustc', '-p', 'pipeline-atomic-cloud', '--lib', '--crate-type', 'cdylib'],
  profile: 'release',
}

/** What users download, and what is measured. */
export const released = { folder: '.', args: ['build', '--lib'], profile: 'release' }

/**
 * For tests. A number that overflows is a panic, and it takes a third of the processor time to build: it has its dependencies in common
 * with Rust's tests, and nothing is optimised at link time. What goes through whole texts is optimised, as specs of large files would
 * take minutes: here, because what else is of this profile is compiled sooner without. It makes the system calls of the other one, which
 * specs count: with debug assertions Rust's library asks at each close whether the descriptor is open.
 */
export const checked = {
  folder: '.',
  args: [
    'build',
    ...(process.platform === 'linux' ? labPackages : []),
    '--lib',
    ...[
      'pipeline-atomic-engine.opt-level=2',
      'pipeline-atomic-engine.debug-assertions=false',
      'serde_json.opt-level=2',
    ].flatMap((option) => ['--config', `profile.lab.package.${option}`]),
  ],
  profile: 'lab',
}

/**
 * Builds an addon (cargo decides what is stale) and puts it where its loader looks for it.
 *
 * @param {typeof released} addon
 * @param {AbortSignal} [signal] ends cargo and its compilers
 */
export async function build({ folder, args, profile }, signal = undefined) {
  await requireRust()
  let library = ''
  const color = process.stderr.isTTY ? ['--color=always'] : []
  const { code } = await runCargo(
    [...args, '--profile', profile, '--message-format=json-render-diagnostics', ...color],
    {
      quiet: true,
      signal,
      onLine(line, from) {
        // With nothing to do cargo says that it finished: not worth a line before every run.
        if (from === 'stderr' && !/^\s*Finished/.test(stripVTControlCharacters(line))) console.error(line)
        if (from === 'stdout') library = sharedLibrary(line) ?? library
      },
    },
  )
  if (code !== 0) throw new Complaint('The addon could not be built: see above.')
  if (!library) throw new Complaint('cargo built no shared library.')
  const { napi } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  await place(library, join(root, folder, `${napi.binaryName}.${platform()}.node`))
}

/** The path of the shared library, if this line of cargo's messages tells it. */
export function sharedLibrary(/** @type {string} */ line) {
  if (!line.startsWith('{')) return
  const message = JSON.parse(line)
  if (message.reason !== 'compiler-artifact' || !message.target.crate_types.includes('cdylib')) return
  return message.filenames.find((/** @type {string} */ name) => /\.(so|dylib|dll)$/.test(name))
}

/** Copies the library unless it is there already, and sees that node can load it. */
async function place(/** @type {string} */ library, /** @type {string} */ addon) {
  const source = statSync(library)
  const present = statSync(addon, { throwIfNoEntry: false })
  if (present && present.size === source.size && Math.abs(present.mtimeMs - source.mtimeMs) < 2) return
  // By rename: a running process may have the present file mapped, and would crash on seeing it change.
  const staged = `${addon}.${process.pid}.new`
  try {
    copyFileSync(library, staged)
    utimesSync(staged, source.atime, source.mtime)
    renameSync(staged, addon)
  } catch (error) {
    rmSync(staged, { force: true })
    const reason = error instanceof Error ? error.message : error
    throw new Complaint(
      `${basename(addon)} could not be replaced (does a running process use it?): ${reason}`,
    )
  }
  const { code, output } = await runNode(['-e', 'require(process.argv[1])', dirname(addon)], { quiet: true })
  if (code !== 0) throw new Complaint(`${basename(addon)} was built, but node cannot load it:\n${output}`)
}

/** The addon for object stores; with profile `lab` and the feature `mutants`, steps of its protocol can be left out. */
export async function prepareCloud({ profile = 'release', features = /** @type {string[]} */ ([]) } = {}) {
  await install()
  await build({
    ...cloud,
    profile,
    args: [...cloud.args, ...features.flatMap((name) => ['--features', name])],
  })
  if (profile !== 'release' || features.length > 0) return
  const problem = complaintOfSize(join(root, cloud.folder, `atomic-cloud.${platform()}.node`), MOST_OF_CLOUD)
  if (problem) {
    throw new Complaint(
      `${problem}: see with cargo tree -p pipeline-atomic-cloud -e features what a dependency brings along.`,
    )
  }
}

/** In bytes. A feature that a dependency turns on can cost a megabyte, and nobody sees it. */
const MOST_OF_CLOUD = 6_500_000

/** Is version `a` older than `b`? Both are numbers and dots; a missing part is zero. */
function isOlder(/** @type {string} */ a, /** @type {string} */ b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  const differs = [0, 1, 2].find((i) => (left?.[i] ?? 0) !== (right?.[i] ?? 0))
  return differs !== undefined && (left?.[differs] ?? 0) < (right?.[differs] ?? 0)
}

/** Everything that has to be there before the package can be used from this clone. Cargo needs none of the development packages. */
export async function prepare(addon = released) {
  requireNode()
  const stop = new AbortController()
  const installed = install()
  // Nobody wants the addon then, and what is wrong is to be the last that is said.
  installed.catch(() => stop.abort())
  const built = build(addon, stop.signal)
  await Promise.allSettled([installed, built])
  await installed
  await built
  await buildCli()
}

runAsScript(import.meta.url, () => (process.argv[2] === 'cloud' ? prepareCloud() : prepare()))
