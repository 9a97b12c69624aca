// Where items and values stand in a text of YAML, by the tokens of its library.

'use strict'

const isMark = ({ type }) => !['space', 'newline', 'comment', 'comma'].includes(type)

/** Whether a token of a collection is one of its items: the rest is space and comments behind the last one. */
const isItem = ({ start, key, sep, value }) => key || sep || value || start.some(isMark)

/** Where an item begins, without what stands before its key or dash. */
function startOf({ token: { start, key, sep, value } }) {
  return (start.find(isMark) ?? key ?? sep?.[0] ?? value).offset
}

/** Where the value of an item ends, without what follows on its line. */
function tokenEnd({ start, key, sep, value }) {
  if (value) return endOf({ srcToken: value })
  const last = (sep ?? []).filter(isMark).at(-1) ?? key ?? start.filter(isMark).at(-1)
  return endOf({ srcToken: last })
}

/** Of a list or a map in lines: that of its last item. */
function endOf({ srcToken }) {
  const { type, items, offset, source, end, props } = srcToken
  if (isLines(srcToken)) {
    return tokenEnd(items.findLast(isItem))
  }
  if (type === 'flow-collection') return end[0].offset + end[0].source.length
  if (type === 'block-scalar') {
    const header = props.at(-1)
    return header.offset + header.source.length + source.length
  }
  return offset + source.length
}

/** How deep a level is, and whether a list is deeper than its key. */
function styleOf(root) {
  let indent
  let indentSeq
  const look = (token) => {
    if (!isLines(token)) return
    for (const { value } of token.items) {
      if (indent !== undefined && indentSeq !== undefined) return
      if (token.type === 'block-map' && isLines(value)) {
        const depth = value.indent - token.indent
        if (value.type === 'block-seq') indentSeq ??= depth > 0
        if (depth > 0) indent ??= depth
      }
      look(value)
    }
  }
  look(root)
  return { indent: indent ?? 2, indentSeq: indentSeq ?? true }
}

const isLines = (token) => token?.type === 'block-map' || token?.type === 'block-seq'

const isBlock = (node) => isLines(node?.srcToken)

module.exports = { endOf, isBlock, isItem, startOf, styleOf, tokenEnd }
