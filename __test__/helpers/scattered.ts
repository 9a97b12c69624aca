// Where the tests' folders are on the disk.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Has the temporary folders of this process and of those that it starts made far from each other, on ext4: in one that is marked as the
 * top of a hierarchy. ext4 without a journal, which virtual machines have, looks at each file near it that was deleted in the last
 * minutes when it makes one: to make and delete 22,500 in /tmp took 6 to 10 s of processor time, and 1.3 s here.
 */
export function scatterFolders() {
  if (process.platform !== 'linux') return
  const folder = mkdtempSync(join(tmpdir(), 'atomic-specs-'))
  if (spawnSync('chattr', ['+T', folder], { stdio: 'ignore' }).status !== 0) return rmdirSync(folder)
  // As /tmp: some specs work as other users.
  chmodSync(folder, 0o1777)
  process.env.TMPDIR = folder
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}
