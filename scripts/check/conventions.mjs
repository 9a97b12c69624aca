// What this project has agreed on and no other tool checks.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listFiles, root } from '../tools.mjs'

/** A line of these files must not match. */
/** @typedef {{ files: RegExp, forbidden: RegExp, problem: string }} Rule */

/** @type {Rule[]} */
const rules = [
  {
    files: /^package-lock\.json$/,
    forbidden: /"resolved"/,
    problem: 'a download address (npm adds none with the .npmrc of this folder)',
  },
  {
    // The name of the index that cargo itself writes to its lock file is not the address of a mirror.
    files: /^(?!Cargo\.lock)/,
    forbidden: /registry\.\w+\.\w+|index\.crates|pypi\.\w/,
    problem: 'the host of a package registry',
  },
  {
    files: /./,
    forbidden: /(?<![\w.~$}])\/(work|root|home|Users)\/\w/,
    problem: "a path of one person's machine",
  },
  {
    files: /^\.github\/workflows\//,
    forbidden: /uses: (?!\.\/)[^@]*@(?![0-9a-f]{40} # v\d)/,
    problem: 'an action that is not pinned: uses: OWNER/NAME@HASH # vVERSION',
  },
  {
    files: /\.(md|ya?ml|toml|json)$/,
    forbidden: /\p{Emoji_Presentation}/u,
    problem: 'an emoji',
  },
  {
    // Only comments: in code it may be the data of a test.
    files: /\.(rs|[mc]?[jt]s)$/,
    forbidden: /^\s*(\/\/|\*|\/\*).*\p{Emoji_Presentation}/u,
    problem: 'an emoji',
  },
  {
    files: /\.(rs|[mc]?[jt]s)$/,
    forbidden: /^\s*(\/\/|\*|#)\s*[-=*#~_]{8,}/,
    problem: 'a banner: headings are for documents',
  },
  {
    // Some tests are for one platform.
    files: /^(src|crates)\/(?!engine\/(src\/)?sys\/|cloud\/src\/sys\.rs).*\.rs$/,
    forbidden: /^(?!\s*\/\/)(?!.*\/\/ a test$).*\bcfg(_attr)?!?\s*\(.*\b(unix|windows|target_\w+)\b/,
    problem: 'only sys of a crate tells platforms apart',
  },
  {
    files: /^src\/js\/.*\.rs$/,
    forbidden: /^(?!\s*\/\/).*\bcrate::api\b/,
    problem: 'src/js knows nothing of src/api',
  },
  {
    files: /^examples\/pipeline\/.*\.ts$/,
    forbidden: /^(?!\s*(\/\/|\*|\/\*)).*(writeFile|(?<!\btx\.)rename\()/,
    problem: 'this example writes with the addon alone',
  },
]

/** Code that is written by hand may have so many lines: a file is one idea. */
const MOST_LINES = 400

const code =
  /^(src|crates|codecs|compat|cli|crash-lab|__test__|scripts|packages|bench|examples|fuzz)\/.*\.([mc]?[jt]sx?|rs|c|py|sh|css)$/

/** Each rule against each file of the project, which is in `folder`; the first line that breaks it. */
export function checkConventions(folder = root) {
  /** @type {string[]} */
  const problems = []
  for (const path of listSources(folder)) {
    if (/\.(node|so|dylib|dll|exe|tgz)$/.test(path)) {
      problems.push(`${path}: a built file`)
      continue
    }
    const lines = readFileSync(join(folder, path), 'utf8').split('\n')
    const count = lines.at(-1) === '' ? lines.length - 1 : lines.length
    if (code.test(path) && count > MOST_LINES)
      problems.push(`${path}: ${count} lines, and a file of code has at most ${MOST_LINES}`)
    for (const { forbidden, problem } of rules.filter(({ files }) => files.test(path))) {
      const at = lines.findIndex((line) => forbidden.test(line))
      if (at >= 0) problems.push(`${path}:${at + 1}: ${problem}: ${lines[at]?.trim().slice(0, 100)}`)
    }
  }
  return problems.join('\n')
}

/** All but what .gitignore leaves out. Git is not asked, as a source archive has none. */
function listSources(/** @type {string} */ folder) {
  const ignored =
    /(^|\/)(\.git|node_modules|target|coverage)(\/|$)|^dist\/|^examples\/[^/]+\/(content|dist)(\/|$)|^[^/]+\.(node|tgz)$|^(npm|packages)\/.*\.node$/
  return listFiles(folder, '.', (path) => !ignored.test(path))
}
