// The tools that link for other platforms, in a Python environment of their own under target/: Zig, which is a linker with the
// libraries of many systems, and cargo-zigbuild, which drives it.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Complaint, root, run } from '../tools.mjs'

const PACKAGES = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.1']

const folder = join(root, 'target/tools/python')
const isWindows = process.platform === 'win32'

/** Where programs of this Python environment are. */
export const linkerPrograms = join(folder, isWindows ? 'Scripts' : 'bin')

/** The environment in which `cargo zigbuild` works. The first call downloads 100 MB. */
export async function linkerTools() {
  if (!existsSync(join(linkerPrograms, isWindows ? 'cargo-zigbuild.exe' : 'cargo-zigbuild'))) {
    const python = isWindows ? 'python' : 'python3'
    await install(python, '-m', 'venv', folder)
    await install(join(linkerPrograms, 'python'), '-m', 'pip', 'install', '-q', ...PACKAGES)
  }
  return {
    PATH: [linkerPrograms, process.env.PATH ?? process.env.Path].join(delimiter),
    LIBNODE_PATH: emptyLibrary(),
  }
}

async function install(/** @type {string} */ command, /** @type {string[]} */ ...args) {
  const { code, output } = await run(command, args, { quiet: true }).catch((error) => ({
    code: 1,
    output: error.message,
  }))
  if (code === 0) return
  const reason = output.trim().split('\n').at(-1)
  throw new Complaint(`${[command, ...args].join(' ')}: ${reason}`)
}

/**
 * A folder with the `libnode.dll` that napi-build asks for, and what linkers take for it. Both are empty: the addon looks up
 * what it needs of Node.js when it is loaded.
 */
function emptyLibrary() {
  const at = join(root, 'target/tools/libnode')
  mkdirSync(at, { recursive: true })
  writeFileSync(join(at, 'libnode.dll'), '')
  writeFileSync(join(at, 'libnode.a'), '!<arch>\n')
  return at
}
