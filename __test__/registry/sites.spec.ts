// The examples for generators of sites, each in the real one.

import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { root } from '../../scripts/tools.mjs'
import { rejection } from '../helpers/promises'
import { treeOf } from '../helpers/trees'
import { nodeIn, projectOfTest } from './helpers/project'
import { npmInstall } from './helpers/provided'
import { test } from './helpers/test'

interface Generator {
  /** Its program, and what it is given. */
  command: string[]
  /** Where it builds. */
  output: string
  page: string
  /** What its page is replaced by, so that a build fails. */
  broken: string
}

const generators: Record<string, Generator> = {
  astro: {
    command: ['node_modules/astro/bin/astro.mjs', 'build'],
    output: 'dist',
    page: 'src/pages/index.astro',
    broken: '---\nthrow new Error("broken")\n---\n',
  },
  eleventy: {
    command: ['node_modules/@11ty/eleventy/cmd.cjs'],
    output: '_site',
    page: 'content/index.md',
    broken: '{% include "none" %}',
  },
}

for (const [name, { command, output, page, broken }] of Object.entries(generators)) {
  test(`${name}: a build goes live as a whole, and one that fails changes nothing`, async () => {
    const site = projectOfTest(name)
    cpSync(join(root, 'examples', name, 'atomic-output.ts'), join(site, 'atomic-output.ts'))
    await npmInstall(site, '@pipeline/atomic')
    const inSite = (...names: string[]) => join(site, ...names)
    const build = () => nodeIn(site, ...command)
    const served = () => readFileSync(inSite('live/index.html'), 'utf8')
    await build()
    expect(treeOf(inSite('live'))).toEqual(treeOf(inSite(output)))
    expect(served()).toContain('first')
    expect(existsSync(inSite('previous'))).toBe(false)
    const source = readFileSync(inSite(page), 'utf8')
    writeFileSync(inSite(page), broken)
    await rejection(build())
    expect(served()).toContain('first')
    writeFileSync(inSite(page), source.replaceAll('first', 'second'))
    await build()
    expect(served()).toContain('second')
    expect(readFileSync(inSite('previous/index.html'), 'utf8')).toContain('first')
    expect(readdirSync(site).filter((name) => name.includes('.atomic-'))).toEqual([])
  })
}
