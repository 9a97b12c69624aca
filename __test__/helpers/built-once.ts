// Programs that several specs need are built by the first of them in a run.

import { existsSync, readlinkSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { buildProgram, type ProgramName } from './program'

/** Returns its path. */
export async function builtOnce(name: ProgramName): Promise<string> {
  const built = join(inject('made'), name)
  if (!existsSync(built)) {
    // Specs of other files may ask at the same time: cargo lets one build, and each link leads to the same program.
    const link = `${built}.${process.pid}`
    symlinkSync(await buildProgram(name), link)
    renameSync(link, built)
  }
  return readlinkSync(built)
}
