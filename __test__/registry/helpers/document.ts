// What a run has seen goes into a document, between two marks; the rest is prose by hand.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../../scripts/tools.mjs'

const begin = '<!-- consumer:begin -->\n'
const end = '<!-- consumer:end -->'

export function drawInto(document: string, text: string) {
  const path = join(root, document)
  const whole = readFileSync(path, 'utf8')
  const from = whole.indexOf(begin) + begin.length
  const to = whole.indexOf(end)
  if (from < begin.length || to < from) throw new Error(`${document} has no ${begin.trim()} and ${end}`)
  writeFileSync(path, `${whole.slice(0, from)}${text}\n${whole.slice(to)}`)
}
