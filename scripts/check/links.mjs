// Whether the links of published READMEs lead somewhere: on the page of a package there is nothing of the repository beside it.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../tools.mjs'

/** The folders of packages whose README is written by hand. */
const packages = ['.', 'packages/cloud']

/** The repository, and where it shows a file, a folder, and the bytes of a file. */
const repository = 'https://github.com/pipeline/atomic'
const shown = new RegExp(
  `^(?:${repository}/(?:blob|tree)|https://raw\\.githubusercontent\\.com/pipeline/atomic)/main/([^#]+)`,
)

export function checkLinks() {
  return packages.flatMap((folder) => problemsOf(folder)).join('\n')
}

function problemsOf(/** @type {string} */ folder) {
  const text = readFileSync(join(root, folder, 'README.md'), 'utf8')
  const { files } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '')
  return Array.from(prose.matchAll(/\]\(([^)]+)\)/g), ([, link = '']) => problemOf(link, files))
    .filter(Boolean)
    .map((problem) => `${join(folder, 'README.md')}: ${problem}`)
}

/** What is wrong with a link of a package that has `files`, if anything is. */
export function problemOf(/** @type {string} */ link, /** @type {string[]} */ files) {
  const [, path] = shown.exec(link) ?? []
  if (path !== undefined) return existsSync(join(root, path)) ? '' : `${link}: the repository has no ${path}`
  if (/^(https:|#)/.test(link) || files.includes(link)) return ''
  return `${link} is not in the package: write ${repository}/blob/main/${link}`
}
