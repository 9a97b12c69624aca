// YAML. What is changed is replaced in the text, so comments stay, and so does the style of all else: see `yaml-edit.js`.

'use strict'

const { isSame } = require('./diff.js')
const { codec, lazily } = require('./peer.js')
const { edited } = require('./yaml-edit.js')

const library = lazily('yaml', () => require('yaml'))

/** Lines are not folded, and repeated objects are repeated: many aliases are refused when they are read. */
const PRINT = { lineWidth: 0, aliasDuplicateObjects: false }

/** Tags of YAML 1.1, whose values are not those of JSON: what they stand before says what it does without. */
const FOREIGN = /:(binary|omap|pairs|set|timestamp)$/

const PARSE = {
  prettyErrors: false,
  keepSourceTokens: true,
  resolveKnownTags: false,
  customTags: (tags) => tags.filter(({ tag }) => !FOREIGN.test(tag)),
  // The library compares each key with each other.
  uniqueKeys: false,
}

function documentOf(text) {
  const { parseDocument, visit, isAlias, isMap } = library()
  const document = parseDocument(text, PARSE)
  const [error] = document.errors
  if (error !== undefined) throw Object.assign(error, { offset: error.pos[0] })
  const anchored = new Map()
  const look = (_, node) => {
    if (isAlias(node)) lead(node, anchored.get(node.source))
    else if (node.anchor) anchored.set(node.anchor, node)
    if (isMap(node)) checkKeys(node)
  }
  visit(document, { Node: look })
  return document
}

/** Leads an alias to its node. The library looks for each through all nodes that have an anchor: 16,000 aliases of as many took nine seconds. */
function lead(alias, node) {
  const { resolve } = alias
  alias.resolve = (document, context) => {
    if (context === undefined) return node
    context.aliasResolveCache = node ? [node, alias] : [alias]
    return resolve.call(alias, document, context)
  }
}

function checkKeys({ items }) {
  const { isScalar } = library()
  const keys = new Set()
  for (const { key } of items) {
    if (!isScalar(key)) continue
    if (keys.has(key.value))
      throw Object.assign(new SyntaxError('map keys must be unique'), { offset: key.range[0] })
    keys.add(key.value)
  }
}

function open(text) {
  const document = documentOf(text)
  return { text, document, value: document.toJS() }
}

function print(value) {
  return library().stringify(value, PRINT)
}

function edit({ text: previous, document, value: before }, _, after) {
  const from = { library: library(), text: previous, document, print: PRINT }
  // Where a change does not fit to the text around it, larger parts of the text are replaced.
  for (const depth of [Number.POSITIVE_INFINITY, 1, 0]) {
    const text = attempt(() => edited({ ...from, depth }, before, after))
    if (
      text !== undefined &&
      isSame(
        attempt(() => open(text).value),
        after,
      )
    )
      return text
  }
}

function attempt(make) {
  try {
    return make()
  } catch {
    return undefined
  }
}

exports.yaml = codec('.yaml', library, { open, print, edit, isPlain: true })
