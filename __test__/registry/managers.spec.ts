// Each package manager installs what was published, and the project then works.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject } from 'vitest'
import { platform } from '../../scripts/loader.mjs'
import { npm } from '../helpers/packed'
import { nodeIn, projectOfTest } from './helpers/project'
import { test } from './helpers/test'

const packages = ['@pipeline/atomic', '@pipeline/atomic-cloud']
const script = (path: string) => join(inject('tools'), 'node_modules', path)

interface Manager {
  install(folder: string): Promise<unknown>
  /** Runs a script of the project. */
  node(folder: string, ...args: string[]): Promise<string>
  /** Runs the program of the package. */
  atomic(folder: string, ...args: string[]): Promise<string>
}

const yarn = 'yarn/bin/yarn.js'
const berry = '@yarnpkg/cli-dist/bin/yarn.js'

/** Yarn of today; `linker` is where it puts packages. */
function yarnBerry(linker: string): Manager {
  const run = (folder: string, ...args: string[]) => nodeIn(folder, script(berry), ...args)
  return {
    async install(folder) {
      await run(folder, 'config', 'set', 'nodeLinker', linker)
      await run(folder, 'add', ...packages)
    },
    node: (folder, ...args) => run(folder, 'node', ...args),
    atomic: (folder, ...args) => run(folder, 'run', 'atomic', ...args),
  }
}

const managers: Record<string, Manager> = {
  npm: {
    install: (folder) => npm(folder, 'install', '--no-audit', ...packages),
    node: nodeIn,
    atomic: (folder, ...args) => npm(folder, 'exec', 'atomic', '--', ...args),
  },
  pnpm: {
    install: (folder) =>
      nodeIn(folder, script('pnpm/bin/pnpm.mjs'), 'add', '--store-dir', '.store', ...packages),
    node: nodeIn,
    atomic: (folder, ...args) => nodeIn(folder, script('pnpm/bin/pnpm.mjs'), 'exec', 'atomic', ...args),
  },
  'yarn classic': {
    install: (folder) =>
      nodeIn(folder, script(yarn), 'add', '--no-progress', '--cache-folder', '.yarn-cache', ...packages),
    node: nodeIn,
    atomic: (folder, ...args) => nodeIn(folder, script(yarn), '--silent', 'run', 'atomic', ...args),
  },
  'yarn berry with node_modules': yarnBerry('node-modules'),
  'yarn berry with Plug and Play': yarnBerry('pnp'),
}

for (const [name, { install, node, atomic }] of Object.entries(managers)) {
  test(`${name} installs it, for import, require and the shell`, async () => {
    const folder = projectOfTest('install')
    await install(folder)
    const stores = inject('hasCloud') ? 'stores' : 'no stores'
    expect(await node(folder, 'use.mjs')).toBe(`imported { n: 1 } ${stores}\n`)
    expect(await node(folder, 'use.cjs')).toBe('required 8\n')
    expect(await atomic(folder, 'update', 'shell.json', '--set', 'n=1', '--json')).toContain('"written":true')
    expect(existsSync(join(folder, 'shell.json'))).toBe(true)
    const scope = join(folder, 'node_modules/@pipeline')
    if (name === 'npm') {
      expect(readdirSync(scope).filter((package_) => /^atomic-(?!cloud)/.test(package_))).toEqual([
        `atomic-${platform()}`,
      ])
    }
  })
}
