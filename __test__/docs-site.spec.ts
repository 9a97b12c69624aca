// `npm run docs:site` has all that the package exports. The site itself is built, and its links are checked, by a workflow of its own.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listFiles, root } from '../scripts/tools.mjs'

const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))

test('the reference has every entry point of the package', () => {
  const given: string[] = read('typedoc.json').entryPoints
  const entries = given.flatMap((path) =>
    path.endsWith('/*.d.ts')
      ? listFiles(root, path.slice(0, path.lastIndexOf('/'))).filter((name) => name.endsWith('.d.ts'))
      : [path],
  )
  const exported: (string | { types: string })[] = Object.values(read('package.json').exports)
  const declared = exported.flatMap((one) => (typeof one === 'string' ? [] : one.types.replace('./', '')))
  expect(entries.sort()).toEqual(declared.sort())
})
