// docs/bundlers.md shows the very configurations that `npm run consumer` builds with.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/tools.mjs'

test('each configuration of a bundler is in the document as it was tried', () => {
  const text = readFileSync(join(root, 'docs/bundlers.md'), 'utf8')
  const shown = Array.from(
    text.matchAll(/^`([\w.]+\.js)`.*:\n\n```js\n([\s\S]*?)```$/gm),
    ([, name, code]) => [name, code],
  )
  const projects = join(root, '__test__/registry/projects')
  const tried = ['bundlers', 'next'].flatMap((project) =>
    readdirSync(join(projects, project))
      .filter((name) => /\.(inside|outside|config)\.js$/.test(name))
      .map((name) => [name, readFileSync(join(projects, project, name), 'utf8')]),
  )
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(tried))
})
