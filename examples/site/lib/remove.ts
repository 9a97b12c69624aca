/** Removing what a build no longer has, and folders that are empty for it. */

import { rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Empty folders on the way from these files up to `folder`, which stays. */
export async function removeEmptyFolders(folder: string, files: readonly string[]): Promise<void> {
  const parents = new Set<string>()
  for (const file of files) {
    for (let parent = dirname(file); parent !== '.'; parent = dirname(parent)) parents.add(parent)
  }
  // Deepest first. One that is not empty, or gone, stays as it is.
  const order = [...parents].sort((a, b) => b.length - a.length)
  for (const parent of order) await rmdir(join(folder, parent)).catch(() => {})
}

export async function removeFiles(folder: string, files: readonly string[]): Promise<void> {
  for (const file of files) await rm(join(folder, file), { force: true })
  await removeEmptyFolders(folder, files)
}
