// Disks that can lose their power: a file system in an image in memory, mounted through a loop device. A copy of
// the image is what the drive has got so far. The mounts are in a mount namespace that ends with this process, so
// nothing stays mounted, however it ends.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const fileSystems = ['ext4', 'xfs'] as const
export type FileSystem = (typeof fileSystems)[number]

const SIZE = { ext4: 128 << 20, xfs: 320 << 20 }

export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
  return stdout.trim()
}

export function mountMemory(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true })
  run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder)
}

/** Whether this process may mount what needs no device. */
export function mayMount(folder: string): boolean {
  try {
    mountMemory(folder, '64k')
    run('umount', folder)
    return true
  } catch {
    return false
  }
}

/** Those of which a disk can be made and mounted here, which needs root and loop devices. */
export function usableFileSystems(folder: string): FileSystem[] {
  return fileSystems.filter((one) => {
    try {
      new Disk(join(folder, one), one).remove()
      return true
    } catch {
      return false
    }
  })
}

export class Disk {
  readonly folder: string
  private readonly image: string
  private readonly stat: string

  constructor(
    private readonly place: string,
    private readonly fileSystem: FileSystem,
  ) {
    this.image = join(place, 'image')
    this.folder = join(place, 'disk')
    mountMemory(place, '2g')
    try {
      writeFileSync(this.image, '')
      truncateSync(this.image, SIZE[fileSystem])
      run(`mkfs.${fileSystem}`, '-q', this.image)
      mkdirSync(this.folder)
      run('mount', '-o', 'loop', this.image, this.folder)
    } catch (error) {
      run('umount', place)
      throw error
    }
    this.stat = `/sys/block/${basename(run('findmnt', '-no', 'SOURCE', this.folder))}/stat`
  }

  /**
   * Cuts the power: gives `look` the folder as it is on a copy of what the drive has got by now, after the file
   * system has recovered from its journal. Programs that write to the disk must be stopped. If
   * the kernel itself sends requests meanwhile, the copy is made again.
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
