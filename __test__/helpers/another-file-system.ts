// Two files that cannot be renamed into each other's folders.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { mounted, needs, tmpfs } from './needs'

/** `test` with a folder on another file system: one that is there, or else one that root mounts. */
export const onAnotherFileSystem = (title: string, body: (file: string, backup: string) => Promise<void>) => {
  const prepared = (dir: string, other: string) => body(join(dir, 'index.json'), join(other, 'kept.json'))
  if (statSync('/dev/shm', { throwIfNoEntry: false })?.dev === statSync(tmpdir()).dev) {
    const run = (dir: string) => mounted(join(dir, 'other'), tmpfs('1m'), (other) => prepared(dir, other))
    needs('root that may mount')(title, ({ dir }) => run(dir))
  } else {
    needs('a second file system in /dev/shm')(title, async ({ dir }) => {
      const other = mkdtempSync('/dev/shm/atomic-backup-')
      onTestFinished(() => rmSync(other, { recursive: true }))
      await prepared(dir, other)
    })
  }
}
