// The house rules that no other tool knows.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listFiles, root } from '../tools.mjs'

/**
 * The arrows between the layers run one way: api → js → engine → engine/sys. Comments may speak of what they like.
 */
export function checkLayers() {
  /** @type {{ rule: string, files: (path: string) => boolean, forbidden: RegExp }[]} */
  const rules = [
    {
      rule: 'the engine knows nothing of N-API, of src/js or of src/api',
      files: (path) => path.startsWith('src/engine/'),
      forbidden: /\bnapi\w*::|\bcrate::(js|api)\b|feature\s*=\s*"node"/,
    },
    {
      rule: 'src/js knows nothing of src/api',
      files: (path) => path.startsWith('src/js/'),
      forbidden: /\bcrate::api\b/,
    },
    {
      rule: 'only src/engine/sys tells platforms apart',
      files: (path) => path.startsWith('src/') && !path.startsWith('src/engine/sys'),
      forbidden: /\bcfg(_attr)?!?\s*\(.*\b(unix|windows|target_\w+)\b/,
    },
    {
      rule: 'examples/pipeline writes through the addon alone',
      files: (path) => path.startsWith('examples/pipeline/'),
      forbidden: /writeFile|rename\(/,
    },
  ]
  /** @type {string[]} */
  const problems = []
  for (const path of sources().filter((path) => /\.(rs|[mc]?[jt]s)$/.test(path))) {
    const lines = readFileSync(join(root, path), 'utf8').split('\n')
    for (const { rule, forbidden } of rules.filter(({ files }) => files(path))) {
      lines.forEach((line, i) => {
        if (forbidden.test(line.replace(/^\s*(\/\/|\*|\/\*).*$|\s\/\/.*$/, ''))) {
          problems.push(`${path}:${i + 1}: ${rule}: ${line.trim()}`)
        }
      })
    }
  }
  return problems.join('\n')
}

/** What must not get into a file of the project. */
export function checkHouse() {
  /** @type {{ rule: string, files: RegExp, forbidden: RegExp }[]} */
  const rules = [
    { rule: 'a download address', files: /^package-lock\.json$/, forbidden: /"resolved"/ },
    // The name of the index that cargo itself writes to its lock file is no address of a mirror.
    {
      rule: "a registry's host",
      files: /^(?!Cargo\.lock)/,
      forbidden: /registry\.\w+\.\w+|index\.crates|pypi\.\w/,
    },
    {
      rule: "a path of somebody's machine",
      files: /./,
      forbidden: /(?<![\w.~$}])\/(work|root|home|Users)\/\w/,
    },
    { rule: 'an emoji', files: /\.(md|ya?ml|toml|json)$/, forbidden: /\p{Emoji_Presentation}/u },
    // In code only in comments: as data of a test it is a character like any other.
    {
      rule: 'an emoji',
      files: /\.(rs|[mc]?[jt]s)$/,
      forbidden: /^\s*(\/\/|\*|\/\*).*\p{Emoji_Presentation}/u,
    },
    { rule: 'a banner', files: /\.(rs|[mc]?[jt]s)$/, forbidden: /^\s*(\/\/|\*|#)\s*[-=*#~_]{8,}/ },
  ]
  /** @type {string[]} */
  const problems = []
  for (const path of sources()) {
    if (/\.(node|so|dylib|dll|exe|tgz)$/.test(path)) {
      problems.push(`${path}: a built file`)
      continue
    }
    const lines = readFileSync(join(root, path), 'utf8').split('\n')
    for (const { rule, forbidden } of rules.filter(({ files }) => files.test(path))) {
      const at = lines.findIndex((line) => forbidden.test(line))
      if (at >= 0) problems.push(`${path}:${at + 1}: ${rule}: ${lines[at]?.trim().slice(0, 100)}`)
    }
  }
  return problems.join('\n')
}

/** The project's files: what .gitignore leaves, told without git, as a source archive has none. */
function sources() {
  const ignored =
    /(^|\/)(\.git|node_modules|target|coverage)(\/|$)|^examples\/[^/]+\/(content|dist)(\/|$)|^[^/]+\.(node|tgz)$|^npm\/.*\.node$/
  return listFiles(root, '.', (path) => !ignored.test(path))
}
