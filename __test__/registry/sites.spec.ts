// The examples for generators of sites, each in the real one, configured as its README says.

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
  /** The file of the README's configuration. */
  config: string
  /** Where it builds. */
  output: string
  page: string
  /** What its page is replaced by, so that a build fails. */
  broken: string
}

const generators: Record<string, Generator> = {
  astro: {
    command: ['node_modules/astro/bin/astro.mjs', 'build'],
    config: 'astro.config.ts',
    output: 'dist',
    page: 'src/pages/index.astro',
    broken: '---\nthrow new Error("broken")\n---\n',
  },
  eleventy: {
    command: ['node_modules/@11ty/eleventy/cmd.cjs'],
    config: 'eleventy.config.mjs',
    output: '_site',
    page: 'index.md',
    broken: '{% include "none" %}',
  },
}

for (const [name, { command, config, output, page, broken }] of Object.entries(generators)) {
  test(`${name}: a build goes live as a whole, and one that fails changes nothing`, async () => {
    const site = projectOfTest(name)
    const example = join(root, 'examples', name)
    cpSync(join(example, 'atomic-output.ts'), join(site, 'atomic-output.ts'))
    const [, text] = /^```[jt]s\n(.*?)^```$/ms.exec(readFileSync(join(example, 'README.md'), 'utf8')) ?? []
    writeFileSync(join(site, config), String(text))
    await npmInstall(site, '@pipeline/atomic')
    const inSite = (...names: string[]) => join(site, ...names)
    const build = () => nodeIn(site, ...command)
    const served = () => readFileSync(inSite('public_html/index.html'), 'utf8')
    await build()
    expect(treeOf(inSite('public_html'))).toEqual(treeOf(inSite(output)))
    expect(served()).toContain('first')
    expect(existsSync(inSite('previous'))).toBe(false)
    const source = readFileSync(inSite(page), 'utf8')
    writeFileSync(inSite(page), broken)
    await rejection(build())
    expect(served()).toContain('first')
    writeFileSync(inSite(page), source.replaceAll('first', 'second'))
    await build()
    expect(served()).toContain('second')
    // What is served, and what was, is no part of a build.
    expect(readdirSync(inSite('public_html'))).toEqual(['index.html'])
    expect(treeOf(inSite('public_html'))).toEqual(treeOf(inSite(output)))
    expect(readFileSync(inSite('previous/index.html'), 'utf8')).toContain('first')
    expect(readdirSync(site).filter((name) => name.includes('.atomic-'))).toEqual([])
  })
}
