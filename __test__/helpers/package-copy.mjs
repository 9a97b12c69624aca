// Copies of the packages, as they are published, with the addons that were built here.

import { cpSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../../scripts/tools.mjs'

/** What is published of a package, and the addon that was built here. */
export function copyPackage(/** @type {string} */ from, /** @type {string} */ to) {
  const { files } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
  const binaries = readdirSync(from).filter((name) => name.endsWith('.node'))
  for (const name of ['package.json', ...files, ...binaries]) {
    cpSync(join(from, name), join(to, name), { recursive: true })
  }
}

/** The package and its peer, as a user has them installed. @returns the folder, which is the caller's to remove */
export function installPackages() {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-cloud-'))
  copyPackage(root, folder)
  copyPackage(join(root, 'packages/cloud'), join(folder, 'node_modules/@pipeline/atomic-cloud'))
  return folder
}
