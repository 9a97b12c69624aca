// Disks of their own, in image files.

import { execFileSync } from 'node:child_process'
import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'vitest'
import { type Need, needs } from './needs'

/** The smallest that are made without a complaint, in MiB. */
const SIZES = { ext4: 32, xfs: 320, btrfs: 128 } as const

export type DiskKind = keyof typeof SIZES

export const DISKS = Object.keys(SIZES) as DiskKind[]

const BINS = ['/sbin', '/usr/sbin', '/bin', '/usr/bin']

/** A test with such a disk, if this machine can make and mount one. */
export function testOnDisk(kind: DiskKind, ...wanted: Need[]): ReturnType<typeof needs> {
  if (BINS.some((bin) => existsSync(`${bin}/mkfs.${kind}`)))
    return needs('root that may mount a disk', ...wanted)
  return (title) => test.skip(`${title} (needs mkfs.${kind})`)
}

/** Makes a disk in the file `image`. */
export function makeDisk(kind: DiskKind, image: string): void {
  writeFileSync(image, '')
  truncateSync(image, SIZES[kind] << 20)
  execFileSync(`mkfs.${kind}`, ['-q', image], { stdio: 'ignore' })
}
