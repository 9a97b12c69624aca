// Disks that can lose their power: a file system in an image in memory, mounted through a loop device. A copy of
// the image is what the drive has got so far. The mounts are in a mount namespace that ends with this process, so
// nothing stays mounted, however it ends.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

export const fileSystems = ['ext4', 'xfs'] as const
export type FileSystem = (typeof fileSystems)[number]

const SIZE = { ext4: 128 << 20, xfs: 320 << 20 }

export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
  return stdout.trim()
}

const runs = (command: string, ...args: string[]) => spawnSync(command, args).status === 0

export function mountMemory(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true })
  run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder)
}

/** Whether this process may mount file systems that need no device. */
export function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-compare-'))
  try {
    return runs('mount', '-t', 'tmpfs', 'tmpfs', folder) && runs('umount', folder)
  } finally {
    rmdirSync(folder)
  }
}

/** Why there can be no such disk here, if there cannot. */
export function missingFor(fileSystem: FileSystem): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (!runs('losetup', '--find')) return 'needs root and loop devices'
  if (!runs(`mkfs.${fileSystem}`, '-V')) return `needs mkfs.${fileSystem}`
  return undefined
}

export class Disk {
  readonly folder: string
  private readonly image: string
  private readonly stat: string

  constructor(
    private readonly place: string,
    private readonly fileSystem: FileSystem,
  ) {
    mountMemory(place, '2g')
    this.image = join(place, 'image')
    this.folder = join(place, 'disk')
    writeFileSync(this.image, '')
    truncateSync(this.image, SIZE[fileSystem])
    run(`mkfs.${fileSystem}`, '-q', ...(fileSystem === 'xfs' ? [] : ['-F']), this.image)
    mkdirSync(this.folder)
    run('mount', '-o', 'loop', this.image, this.folder)
    this.stat = `/sys/block/${basename(run('findmnt', '-no', 'SOURCE', this.folder))}/stat`
  }

  /**
   * Cuts the power: gives `look` the folder as it is on a copy of what the drive has got by now, after the file
   * system has recovered from its journal. Whoever writes to the disk must be stopped. Requests that the kernel
   * makes by itself meanwhile are noticed; then the copy is made again.
   */
  cut(look: (folder: string) => void): void {
    const copy = join(this.place, 'copy')
    const folder = join(this.place, 'after')
    for (let before: string | undefined; before === undefined || before !== this.requests(); ) {
      before = this.requests()
      // Holes stay holes.
      run('cp', '--sparse=always', this.image, copy)
    }
    mkdirSync(folder, { recursive: true })
    // xfs refuses the UUID of a file system that is mounted already.
    run('mount', '-o', this.fileSystem === 'xfs' ? 'loop,nouuid' : 'loop', copy, folder)
    try {
      look(folder)
    } finally {
      run('umount', folder)
      rmSync(copy)
    }
  }

  remove(): void {
    run('umount', this.folder)
    run('umount', this.place)
  }

  /** How many writes the drive has done, their sectors, and `undefined` while it is at work on one. */
  private requests(): string | undefined {
    const [, , , , writes, , sectors, , inFlight] = readFileSync(this.stat, 'utf8').trim().split(/\s+/)
    return inFlight === '0' ? `${writes} ${sectors}` : undefined
  }
}
