// Whether the binaries that `npm run build:all` has made here are what users may get: old systems load them, and none has
// grown unseen.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { aboveGlibc } from '../platforms/elf.mjs'
import { binaries, fileOf, GLIBC_FLOOR, MOST_OF_BINARY, released } from '../platforms/targets.mjs'

export function checkBinaries(folder = binaries) {
  const present = released.filter((target) => existsSync(join(folder, fileOf(target))))
  if (present.length === 0) return { skipped: 'no binaries: npm run build:all makes them' }
  return present
    .flatMap((target) => {
      const path = join(folder, fileOf(target))
      const { size } = statSync(path)
      const above = target.endsWith('linux-gnu') ? aboveGlibc(readFileSync(path), GLIBC_FLOOR) : []
      return [
        ...above.map((version) => `${fileOf(target)} needs ${version}, and is to load with ${GLIBC_FLOOR}`),
        ...(size > MOST_OF_BINARY
          ? [`${fileOf(target)} has ${size} bytes, and is to have ${MOST_OF_BINARY} at most`]
          : []),
      ]
    })
    .join('\n')
}
