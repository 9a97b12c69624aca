// Tests that ask for more than a plain machine has: without it they are skipped, and say why.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { isDurable, OVERLAY } from './files'
import { mayServeFuse } from './poor-fs'
import { type Fixtures, test } from './test'
import { canLoadAddon, canRunNode, isRoot } from './users'

const isLinux = process.platform === 'linux'

const runs = (command: string, ...args: string[]) =>
  spawnSync(command, args, { timeout: 60_000 }).status === 0

function mayMount() {
  if (!isRoot || !isLinux) return false
  const dir = mkdtempSync(join(tmpdir(), 'atomic-needs-'))
  try {
    return runs('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir) && runs('umount', dir)
  } finally {
    rmdirSync(dir)
  }
}

/** Loop devices are not to be had in every container. */
function mayMountDisk() {
  return mayMount() && existsSync('/dev/loop-control') && runs('mkfs.ext4', '-V')
}

/** Neither every user nor every file system may have files that nobody may change. */
function maySetImmutable() {
  if (!isRoot || !isLinux) return false
  const dir = mkdtempSync(join(tmpdir(), 'atomic-needs-'))
  try {
    return runs('chattr', '+i', dir) && runs('chattr', '-i', dir)
  } finally {
    rmdirSync(dir)
  }
}

const mayMountFuse = () => mayMount() && mayServeFuse()

/** Attaching to a process that is no child of its own is refused on some systems to all but root. */
function mayAttach() {
  const attach = `sleep 60 & p=$!
    strace -o /dev/null -p $p 2>&1 | { read -r line; kill $p; [[ $line == *attached* ]]; }`
  return isLinux && runs('strace', '-V') && runs('bash', '-c', attach)
}

/** ext4, xfs and btrfs tell a file from those that had its inode number before it. A file system in memory does not, and neither does an overlay, as in containers. */
const TELLING: readonly number[] = [0xef53, 0x58465342, 0x9123683e]

const present = {
  linux: () => isLinux,
  root: () => isRoot,
  'a node that other users may run': () => !isRoot || canRunNode(),
  'a temporary folder that other users may read': () => !isRoot || canLoadAddon(),
  'root that may mount': mayMount,
  'root that may mount a disk': mayMountDisk,
  'root that may set immutable': maySetImmutable,
  'root that may mount FUSE': mayMountFuse,
  'strace that may attach': mayAttach,
  'a C compiler': () => isLinux && runs('cc', '--version'),
  'four gigabytes of free memory': () => freemem() > 4 * 2 ** 30,
  python3: () => runs('python3', '--version'),
  'exFAT by FUSE': () => runs('bash', '-c', 'command -v mkfs.exfat && command -v mount.exfat-fuse'),
  tmux: () => runs('tmux', '-V'),
  flock: () => runs('flock', '--version'),
  unshare: () => isRoot && isLinux && runs('unshare', '--pid', '--fork', '--kill-child', 'true'),
  prlimit: () => runs('prlimit', '--version'),
  'mkfs.btrfs': () => runs('mkfs.btrfs', '--version'),
  spin: () => isLinux && runs('spin', '-V'),
  setpriv: () => runs('setpriv', '--version'),
  'a temporary folder on a disk': () => isLinux && isDurable(tmpdir()),
  'a temporary folder on ext4, xfs or btrfs': () => isLinux && TELLING.includes(statfsSync(tmpdir()).type),
  'a second file system in /dev/shm': () =>
    isLinux && runs('test', '-w', '/dev/shm') && statSync('/dev/shm').dev !== statSync(tmpdir()).dev,
  'a temporary folder that is no overlay': () => isLinux && statfsSync(tmpdir()).type !== OVERLAY,
}

export type Need = keyof typeof present

/** What may be another from spec to spec. */
const CHANGING: ReadonlySet<Need> = new Set(['four gigabytes of free memory'])

/** For tests with other fixtures. */
export function isHere(need: Need): boolean {
  if (CHANGING.has(need)) return present[need]()
  // Asked once in a run, and not by each file: some answers take programs that are started.
  const kept = join(inject('made'), encodeURIComponent(need))
  const known = readIfThere(kept)
  if (known) return known === YES
  const answer = present[need]()
  writeFileSync(kept, answer ? YES : NO)
  return answer
}

const YES = 'yes'
const NO = 'no'

/** Empty, too, is a file that another process is about to write. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

type Body = (context: Fixtures) => unknown

/** `test`, or where something is missing a skipped test whose title says what. */
export function needs(...wanted: Need[]): (title: string, body: Body) => void {
  const missing = wanted.filter((need) => !isHere(need))
  return (title, body) =>
    missing.length > 0
      ? test.skip(`${title} (needs ${missing.join(', ')})`)
      : test(title, async ({ dir, file, lock }) => {
          await body({ dir, file, lock })
        })
}

/** For tests in which root starts processes of another user. */
export const OTHER_USER: Need[] = [
  'root',
  'a node that other users may run',
  'a temporary folder that other users may read',
]

/** `test` with processes that have no privileges: they are of another user where root runs it. */
export const testUnprivileged = needs(...(isRoot ? OTHER_USER : []))

/** Mounts something at a new folder while `body` runs. */
export async function mounted<T>(
  at: string,
  options: string[],
  body: (at: string) => Promise<T>,
): Promise<T> {
  mkdirSync(at, { recursive: true })
  execFileSync('mount', [...options, at])
  try {
    return await body(at)
  } finally {
    // Lazily: a descriptor that is about to be closed is not what the test is about.
    execFileSync('umount', ['-l', at])
  }
}

/** Binds the file `from` to the file `at`, as containers do with single files, while `body` runs. */
export async function bound<T>(from: string, at: string, body: () => Promise<T>): Promise<T> {
  execFileSync('mount', ['--bind', from, at])
  try {
    return await body()
  } finally {
    execFileSync('umount', ['-l', at])
  }
}

/** Gives a file an attribute such as `+i` while `body` runs. */
export async function withAttribute<T>(attribute: string, path: string, body: () => Promise<T>): Promise<T> {
  execFileSync('chattr', [`+${attribute}`, path])
  try {
    return await body()
  } finally {
    execFileSync('chattr', [`-${attribute}`, path])
  }
}

/** A file system in memory, of that size. */
export const tmpfs = (size: string) => ['-t', 'tmpfs', '-o', `size=${size},mode=777`, 'tmpfs']

/** A small disk of its own, made in the file `image`; `options` are mkfs.ext4's. */
export function ext4(image: string, ...options: string[]): string[] {
  writeFileSync(image, '')
  truncateSync(image, 8 << 20)
  execFileSync('mkfs.ext4', ['-q', ...options, image], { stdio: 'ignore' })
  return ['-o', 'loop', image]
}
