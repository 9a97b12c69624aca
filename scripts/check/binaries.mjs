// Whether old systems load the binaries that `npm run build:all` has made here.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beyondGlibc } from '../platforms/elf.mjs'
import { binaries, fileOf, GLIBC_FLOOR, released } from '../platforms/targets.mjs'

export function checkBinaries(folder = binaries) {
  const files = released
    .filter((target) => target.endsWith('linux-gnu'))
    .map(fileOf)
    .filter((file) => existsSync(join(folder, file)))
  if (files.length === 0) return { skipped: 'no binaries: npm run build:all makes them' }
  return files
    .flatMap((file) =>
      beyondGlibc(readFileSync(join(folder, file)), GLIBC_FLOOR).map(
        (version) => `${file} needs ${version}, and is to load with glibc ${GLIBC_FLOOR}`,
      ),
    )
    .join('\n')
}
