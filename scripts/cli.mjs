// Builds the program `atomic` from cli/: one file, with its libraries in it, so that the package depends on nothing.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root, runAsScript } from './tools.mjs'

const built = join(root, 'dist/cli.js')

/** Makes dist/cli.js, unless it is there as it is to be. */
export async function buildCli() {
  // Not before the development packages are installed.
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, 'cli/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20.4',
    format: 'cjs',
    external: ['@pipeline/atomic'],
    banner: { js: '#!/usr/bin/env node' },
    write: false,
    metafile: true,
    absWorkingDir: root,
    outfile: relative(root, built),
  })
  const text = `${outputFiles[0]?.text ?? ''}\n${licences(Object.keys(metafile.inputs))}`
  if (read(built) === text) return
  mkdirSync(join(root, 'dist'), { recursive: true })
  // By rename: another run may be starting it.
  const staged = `${built}.${process.pid}`
  writeFileSync(staged, text, { mode: 0o755 })
  renameSync(staged, built)
}

/** Their licences ask for their texts where their code is. */
function licences(/** @type {string[]} */ inputs) {
  const folders = inputs.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? '')
  return [...new Set(folders)]
    .filter(Boolean)
    .sort()
    .map((folder) => {
      const { name, version } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
      const text = ['LICENSE', 'license', 'LICENSE.txt', 'LICENSE-MIT.txt', 'LICENSE.md']
        .map((file) => read(join(root, folder, file)))
        .find(Boolean)
      if (!text) throw new Error(`${name} has no file with its licence`)
      return `/*! ${name} ${version}\n\n${text.trim().replaceAll('*/', '* /')}\n*/\n`
    })
    .join('\n')
}

function read(/** @type {string} */ path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

runAsScript(import.meta.url, buildCli)
