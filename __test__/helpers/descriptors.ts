// What a process has open. Files without a name are among it (Linux).

import * as fs from 'node:fs'
import { until } from './promises'

/** In other processes, too: with their `fs`. */
export function descriptorsBelow(
  { existsSync, readdirSync, readlinkSync, realpathSync }: typeof fs,
  dir: string,
): string[] {
  const root = existsSync(dir) ? realpathSync(dir) : dir
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return [root, `${root} (deleted)`].includes(path) || path.startsWith(`${root}/`) ? [path] : []
    } catch {
      // The descriptor that this listing was read through.
      return []
    }
  })
}

/** What this process has open below `dir`. */
export const openBelow = (dir: string): string[] => descriptorsBelow(fs, dir)

/** Waits until nothing is open below `dir`: a replaced file may be closed a moment after the answer. */
export const untilClosed = (dir: string): Promise<void> =>
  until(
    () => openBelow(dir).length === 0,
    () => openBelow(dir).join(),
  )
