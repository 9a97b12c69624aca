// The arrows between the layers run one way: api → js → engine → engine/sys. Comments may speak of what they like.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../tools.mjs'
import { listSources } from './conventions.mjs'

const rules = [
  {
    rule: 'the engine knows nothing of N-API, of src/js or of src/api',
    folder: 'src/engine/',
    forbidden: /\bnapi\w*::|\bcrate::(js|api)\b|feature\s*=\s*"node"/,
  },
  {
    rule: 'src/js knows nothing of src/api',
    folder: 'src/js/',
    forbidden: /\bcrate::api\b/,
  },
]

export function checkLayers() {
  /** @type {string[]} */
  const problems = []
  for (const path of listSources().filter((path) => path.endsWith('.rs'))) {
    const lines = readFileSync(join(root, path), 'utf8').split('\n')
    for (const { rule, forbidden } of rules.filter(({ folder }) => path.startsWith(folder))) {
      lines.forEach((line, i) => {
        if (forbidden.test(line.replace(/^\s*\/\/.*$|\s\/\/.*$/, ''))) {
          problems.push(`${path}:${i + 1}: ${rule}: ${line.trim()}`)
        }
      })
    }
  }
  return problems.join('\n')
}
