// A change that a library prints uniformly, in the layout that the text had: line by line.

'use strict'

const { align } = require('./diff.js')

/** A line without its white space, in which texts differ that say the same. */
const bare = (line) => line.replace(/\s+/g, '')

/** The positions in `one` of what is the same in `other`, by its position there. */
function same(one, other) {
  const pairs = align(one, other).filter(
    ([at, next]) => at !== undefined && next !== undefined && one[at] === other[next],
  )
  return new Map(pairs.map(([at, next]) => [next, at]))
}

/**
 * `text`, with what is different in `after` from `before`: both are printed by a library, `before` says what `text` says. The result may say
 * something else, where lines that were put together do not fit.
 */
function merge(text, before, after) {
  const [lines, olds, nexts] = [text, before, after].map((text) => text.split('\n'))
  const inText = same(lines.map(bare), olds.map(bare))
  const inBefore = same(olds, nexts)
  const known = new Set(inText.values())
  const merged = []
  let at = 0
  for (const [next, line] of nexts.entries()) {
    const old = inBefore.get(next)
    if (old === undefined) {
      merged.push(line)
      continue
    }
    const here = inText.get(old)
    // The library has put it in: an empty line before a comment.
    if (here === undefined) continue
    // Lines that the library leaves out, as several empty ones.
    for (; at < here; at++) if (!known.has(at)) merged.push(lines[at])
    merged.push(lines[here])
    at = here + 1
  }
  return merged.join('\n')
}

module.exports = { merge }
