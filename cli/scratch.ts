/**
 * A folder in which a command tries things. It is a tree on its way to a name that it never gets, so it is locked as long as the process lives, and a
 * sweep takes it after a kill.
 */

import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicDirectory } from '@pipeline/atomic'

export async function inScratch<T>(
  directory: string,
  purpose: string,
  body: (folder: string) => Promise<T>,
): Promise<T> {
  // Its error names the directory, and not a folder that nobody has asked for.
  await access(directory)
  let result: { value: T } | undefined
  const over = new Error('the folder is not wanted any more')
  try {
    await atomicDirectory(
      join(directory, `${purpose}-${process.pid}`),
      async (folder) => {
        result = { value: await body(folder) }
        throw over
      },
      { mkdir: false, flush: false, fallback: 'rename' },
    )
  } catch (error) {
    if (error === over && result) return result.value
    throw error
  }
  throw over
}
