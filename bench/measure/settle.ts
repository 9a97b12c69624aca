// Outside the measured time: a contender that does not flush would leave that work to the next one.

import { execFileSync } from 'node:child_process'

/** Has everything of the file system that `folder` is on written out. */
export function settle(folder: string): void {
  if (process.platform === 'win32') return
  execFileSync('sync', process.platform === 'linux' ? ['-f', folder] : [])
}
