// Off the clock: who does not flush leaves that to whoever comes next.

import { execFileSync } from 'node:child_process'

/** Has everything of the file system that `folder` is on written out. */
export function settle(folder: string): void {
  if (process.platform === 'win32') return
  execFileSync('sync', process.platform === 'linux' ? ['-f', folder] : [])
}
