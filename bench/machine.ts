// Where the figures come from: what has an influence on them, and no name of the machine.

import { readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { availableParallelism, release, type } from 'node:os'

/** statfs(2) of Linux tells the file system by a number. */
const fileSystems: Record<number, string> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs (in memory: fsync does nothing)',
  2035054128: 'overlay',
  801189825: 'zfs',
  4076150800: 'f2fs',
  1702057286: 'FUSE',
  26985: 'NFS',
}

/** Versions, kernel, processors and the file system of `folder`. */
export async function describeMachine(folder: string): Promise<string> {
  const { type: number } = await statfs(folder)
  const cpus = availableParallelism()
  return [
    `Node ${process.versions.node}, ${type()} ${release()} ${process.arch}, ${cpus} CPU${cpus === 1 ? '' : 's'}`,
    `File system: ${fileSystems[number] ?? `type 0x${number.toString(16)}`}`,
    `Compared: @pipeline/atomic ${versionOf('@pipeline/atomic')}, write-file-atomic ${versionOf('write-file-atomic')}`,
  ].join('\n')
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')).version
}
