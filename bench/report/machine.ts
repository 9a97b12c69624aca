// What influences the figures. The name of the machine is left out.

import { readFileSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { availableParallelism, release, type } from 'node:os'
import { join } from 'node:path'
import { root } from '../../scripts/tools.mjs'

const rivals = ['write-file-atomic', 'atomically', 'fast-write-atomic', 'steno', 'lowdb', 'proper-lockfile']

/** Mount options that change what a write or a flush costs. */
const relevant =
  /^(discard|nodiscard|sync|dirsync|data=.*|(no)?barrier|commit=.*|compress.*|nodatacow|volatile|noatime|relatime)$/

/** Versions, kernel, processors, and the file system of `folder`: a line each. */
export async function describeMachine(folder: string, compared = rivals): Promise<string[]> {
  const cpus = availableParallelism()
  const versions = compared.map((name) => `${name} ${installedVersion(name)}`)
  return [
    `Node ${process.versions.node}, ${type()} ${release()} ${process.arch}, ${cpus} CPU${cpus === 1 ? '' : 's'}`,
    `File system: ${(await describeMount(folder)) ?? 'unknown'}`,
    `Compared: @pipeline/atomic ${packageVersion('.')}, ${versions.join(', ')}`,
  ]
}

/** The last mount whose point is above the folder. Linux only. */
async function describeMount(folder: string): Promise<string | undefined> {
  const path = await realpath(folder)
  let found: string | undefined
  let longest = -1
  for (const line of readMounts()) {
    const [mount = '', fileSystem = ''] = line.split(' - ')
    const [, , , , point = '', options = ''] = mount.split(' ')
    const [kind, , superOptions = ''] = fileSystem.split(' ')
    const above = point === '/' || path === point || path.startsWith(`${point}/`)
    if (!above || point.length < longest) continue
    longest = point.length
    const shown = new Set(
      [...options.split(','), ...superOptions.split(',')].filter((one) => relevant.test(one)),
    )
    found = shown.size ? `${kind}, mounted with ${[...shown].join(', ')}` : kind
  }
  return found
}

function readMounts(): string[] {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n')
  } catch {
    return []
  }
}

/** The version of a package that is installed here. */
export const installedVersion = (name: string) => packageVersion(join('node_modules', name))

function packageVersion(folder: string): string {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')).version
}
