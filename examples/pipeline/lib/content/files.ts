/** Finds files. Names that begin with a dot are skipped: lock files and temp files are among them. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** @returns the regular files under `folder` whose names match, sorted; none if the folder does not exist. */
export async function filesBelow(folder: string, name: RegExp): Promise<string[]> {
  const found = await readdir(folder, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  return found
    .filter((entry) => entry.isFile() && name.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name)) // parentPath is new in Node 20.12
    .sort()
}
