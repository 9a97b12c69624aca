// A file system where something is missing, by FUSE: see crash-lab/src/bin/poor-fs.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants as fsConstants } from 'node:fs'
import { constants } from 'node:os'
import { findCargo } from '../../scripts/tools.mjs'
import { makeDir } from './files'
import { HANG_MS } from './hang'
import { buildProgram } from './program'

export type Call =
  | 'write'
  | 'close'
  | 'rename'
  | 'link'
  | 'rename-flags'
  | 'chmod'
  | 'chown'
  | 'setxattr'
  | 'flock'
  | 'fsync'
  | 'fsync-dir'

/** What is missing. */
export interface Poverty {
  /** What requests fail with. */
  refuse?: Partial<Record<Call, keyof typeof constants.errno>>
  /** The mode of every file and directory. */
  mode?: number
  /** Names that differ in the case of their letters are one. */
  foldCase?: boolean
  /** A lookup of this name is never answered. */
  hang?: string
  /** No name can have more bytes. */
  nameMax?: number
  /** Another program makes this file, with the mode 0604, while the first file is flushed. */
  appear?: string
  /** As in `fuse.sshfs`. */
  subtype?: string
}

const options = ({ refuse, mode, foldCase, hang, nameMax, appear, subtype }: Poverty) => [
  ...(refuse ? ['--refuse', refusals(refuse)] : []),
  ...(mode === undefined ? [] : ['--mode', mode.toString(8)]),
  ...(foldCase ? ['--fold-case'] : []),
  ...(hang === undefined ? [] : ['--hang', hang]),
  ...(nameMax === undefined ? [] : ['--name-max', `${nameMax}`]),
  ...(appear === undefined ? [] : ['--appear', appear]),
  ...(subtype === undefined ? [] : ['--subtype', subtype]),
]

const refusals = (refuse: NonNullable<Poverty['refuse']>) =>
  Object.entries(refuse)
    .map(([call, code]) => `${call}=${constants.errno[code]}`)
    .join()

/** Whether this process may open the device, and can build the file system. (Root of a user namespace may mount, and not open what is root's.) */
export function mayServeFuse(): boolean {
  try {
    accessSync('/dev/fuse', fsConstants.R_OK | fsConstants.W_OK)
  } catch {
    return false
  }
  return findCargo() !== undefined
}

let program: Promise<string> | undefined

/** Names the program where it has been built already. */
export const POOR_FS_ENV = 'ATOMIC_POOR_FS'

/** Uses this program; else it is built when it is first needed. */
export function usePoorFs(built: Promise<string>): void {
  program = built
}

/** Mounts one in `dir` while `body` runs, which gets its path, and that of the folder that it shows. */
export async function onPoorFs<T>(
  dir: string,
  poverty: Poverty,
  body: (at: string, folder: string) => Promise<T>,
): Promise<T> {
  program ??= Promise.resolve(process.env[POOR_FS_ENV] || buildProgram('poor-fs'))
  const [folder, at] = [makeDir(dir, 'folder'), makeDir(dir, 'mounted')]
  const daemon = spawn(await program, [folder, at, ...options(poverty)], {
    stdio: 'pipe',
    // A signal to this process's group, such as Ctrl+C, would end it before it unmounts.
    detached: true,
  })
  const gone = once(daemon, 'close')
  // Calls that hang in it end with it: a test that waits for one is to fail, and not to hang.
  let hung = false
  const watchdog = setTimeout(() => {
    hung = true
    daemon.stdin.end()
  }, HANG_MS)
  try {
    await mounted(daemon, gone)
    const value = await body(at, folder)
    if (hung) throw new Error('waited for a file system that did not answer')
    return value
  } finally {
    clearTimeout(watchdog)
    // It unmounts itself, also when this process is killed.
    daemon.stdin.end()
    await gone
    // If it was killed, it could not.
    spawnSync('umount', ['-l', at], { stdio: 'ignore' })
  }
}

async function mounted(daemon: ChildProcess, gone: Promise<unknown>): Promise<void> {
  let output = ''
  daemon.stderr?.on('data', (chunk) => {
    output += chunk
  })
  const said = once(daemon.stdout as NodeJS.ReadableStream, 'data').then(String)
  if ((await Promise.race([said, gone])) !== 'mounted\n') throw new Error(`nothing was mounted: ${output}`)
}
