// Cargo takes the features of a dependency from all packages that are selected, and compiles it again for another selection: what is
// built for tests comes from one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findCargo, labPackages, root, run } from '../scripts/tools.mjs'

const selected = labPackages.filter((_, at) => at % 2 === 1)

test.each([
  ['crash-lab/src/lab/addon.rs', /PACKAGES: \[&str; \d\] = \[(.*)\];/],
  ['.ci/run', /^lab=\((.*)\)$/m],
])('%s selects what the specs and the tests of Rust select', (file, list) => {
  const [, names = ''] = list.exec(readFileSync(join(root, file), 'utf8')) ?? []
  expect(names.match(/[a-z][\w-]+/g)).toEqual(selected)
})

test.skipIf(!findCargo())('with the crash lab JSON is what it is without it', async () => {
  const featuresWith = async (...packages: string[]) => {
    const shape = ['-e', 'normal', '--prefix', 'none', '-f', '{p} {f}']
    const { stdout } = await run(`${findCargo()}`, ['tree', '--locked', ...packages, ...shape], {
      quiet: true,
    })
    const [, features = ''] = /^serde_json v\S+ (.*)$/m.exec(stdout) ?? []
    // It turns on `std`, and nothing else.
    return features.split(',').filter((name) => name !== 'default')
  }
  const alone = await featuresWith('-p', 'pipeline-atomic')
  expect(alone).toContain('std')
  expect(await featuresWith(...labPackages)).toEqual(alone)
})
