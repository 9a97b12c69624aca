// What `npm run build:all` makes, and how. `napi.targets` of package.json are the targets that users get; those with
// `windows-gnu` stand in for the others of Windows where Microsoft's linker is missing.

import { readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { platformOf } from '../loader.mjs'
import { root } from '../tools.mjs'

/** The oldest glibc that a binary for Linux loads with: that of CentOS 7, on which Rust's own floor is based. */
export const GLIBC_FLOOR = '2.17'

/** Where binaries for all platforms are, each under the name that its loader looks for. */
export const binaries = join(root, 'target/binaries')

/**
 * In bytes: what users of Linux x64 unpack, and 3 % more. What a dependency brings along can cost as much, and so can a function that is
 * compiled anew for each type: nobody sees it.
 */
const MOST_OF_LINUX_X64 = 3_820_000

/** The same of the other platforms. */
const MOST_OF_OTHERS = 4_200_000

/** What is to be said of the size of a binary, unless another profile was asked for: symbols are of such a one. */
export function complaintOfSize(/** @type {string} */ path, most = mostOf(basename(path))) {
  if (Object.keys(process.env).some((name) => name.startsWith('CARGO_PROFILE_'))) return ''
  const { size } = statSync(path)
  if (size <= most || readFileSync(path).includes('\0.symtab\0')) return ''
  return `${basename(path)} has ${size} bytes, and is to have ${most} at most: scripts/platforms/targets.mjs says why`
}

const { napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** @type {string[]} */
export const released = napi.targets

const standIns = ['x86_64-pc-windows-gnu', 'aarch64-pc-windows-gnullvm']

export const targets = [...released, ...standIns]

const mostOf = (/** @type {string} */ file) =>
  file === fileOf('x86_64-unknown-linux-gnu') ? MOST_OF_LINUX_X64 : MOST_OF_OTHERS

/** The name of a target's binary. */
export const fileOf = (/** @type {string} */ target) => `${napi.binaryName}.${platformOf(target)}.node`

/** @typedef {'own' | 'zig' | 'check'} Way */

/**
 * How a target is made on this machine: with the system's own linker, with the one of Zig, or only checked. Zig links for every
 * system but the one whose linker is Microsoft's; for Linux it is used everywhere, as it knows old versions of glibc.
 *
 * @returns {Way}
 */
export function wayTo(/** @type {string} */ target, system = process.platform) {
  if (target.endsWith('msvc')) return system === 'win32' ? 'own' : 'check'
  if (target.includes('apple')) return system === 'darwin' ? 'own' : 'zig'
  return 'zig'
}
