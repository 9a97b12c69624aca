// What became of the files of `publish` in worker.mjs.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { versionOf } from './document.mjs'
import type { Worker } from './worker'

export interface Published {
  /** A file is empty, or half there, or a mixture. */
  torn: boolean
  /** A write whose promise had resolved is not there: the file is missing, or an older version. */
  lost: boolean
  /** Names of files that are neither the index nor a post. */
  temporary: string[]
}

const POST = /^post-(\d+)\.json$/

export function examine(folder: string, { index, posts }: Worker['acknowledged']): Published {
  const names = existsSync(folder) ? readdirSync(folder) : []
  const versionIn = (name: string) => versionOf(readFileSync(join(folder, name), 'utf8'))
  const found = names.includes('index.json') ? versionIn('index.json') : 0
  const files = names.filter((name) => POST.test(name))
  return {
    torn: found === undefined || files.some((name) => versionIn(name) === undefined),
    lost: (found ?? index) < index || posts.some((post) => !files.includes(`post-${post}.json`)),
    temporary: names.filter((name) => name !== 'index.json' && !POST.test(name)),
  }
}
