/** Removes outdated files, and the folders that become empty. */

import { rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Removes empty folders from the parents of `files` up to, but not including, `folder`. */
export async function removeEmptyFolders(folder: string, files: readonly string[]): Promise<void> {
  const parents = new Set<string>()
  for (const file of files) {
    for (let parent = dirname(file); parent !== '.'; parent = dirname(parent)) parents.add(parent)
  }
  // Deepest first. A folder that is not empty or does not exist is skipped.
  const order = [...parents].sort((a, b) => b.length - a.length)
  for (const parent of order) await rmdir(join(folder, parent)).catch(() => {})
}

export async function removeFiles(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await rm(join(folder, file), { force: true })
  await removeEmptyFolders(folder, files)
}
