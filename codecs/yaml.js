// YAML. Comments stay, and so does the style of what is not changed. Where only single values differ, they are replaced in the text. Otherwise the
// document is changed and printed by the library, which keeps quotes, block texts and empty lines, but makes indents and spaces uniform; so of
// what it prints only the lines are taken that the change has made, if they fit to the others.

'use strict'

const { align, isSame, isSameKind } = require('./diff.js')
const { merge } = require('./merge.js')
const { codec, lazily, refuseCollections } = require('./peer.js')

const library = lazily('yaml', () => require('yaml'))

/** Lines are not folded: a long text stays on its line. */
const PRINT = { lineWidth: 0 }

/** Numbers that are not changed keep their digits, of which JavaScript may know only some. */
const customTags = (tags) =>
  tags.map((tag) =>
    /:(int|float)$/.test(tag.tag)
      ? { ...tag, stringify: (item, ...rest) => item.source ?? tag.stringify(item, ...rest) }
      : tag,
  )

function documentOf(text) {
  const { parseDocument } = library()
  const document = parseDocument(text, { prettyErrors: false, customTags })
  const [error] = document.errors
  if (error !== undefined) throw Object.assign(error, { offset: error.pos[0] })
  return document
}

/** Changes a document, and notes where its text would change. */
class Change {
  /** What goes in the place of which part of the text. */
  #splices = []
  /** Nothing but single values was changed. */
  #isOfValues = true
  #document

  constructor(document) {
    this.#document = document
  }

  /** `text` with the single values that were changed; `undefined`: there is more to it. */
  spliced(text) {
    if (!this.#isOfValues) return undefined
    let [spliced, at] = ['', 0]
    for (const { start, end, value } of this.#splices) {
      spliced += text.slice(at, start) + value
      at = end
    }
    return spliced + text.slice(at)
  }

  /** Makes `node`, which says `before`, say `after`; or makes another node for that. */
  make(node, before, after) {
    const { isAlias, isCollection, isScalar } = library()
    if (isSame(before, after)) return node
    if (isScalar(node) && (typeof after !== 'object' || after === null))
      return this.#value(node, before, after)
    this.#isOfValues &&= isCollection(node) && isSameKind(before, after)
    if (isAlias(node) || !isCollection(node) || !isSameKind(before, after)) return this.#fresh(node, after)
    if (Array.isArray(after)) this.#list(node, before, after)
    else this.#map(node, before, after)
    return node
  }

  /** Its comments stay, and its quotes, if it was a text and still is one. */
  #value(node, before, after) {
    if (typeof before !== typeof after) {
      Object.assign(node, { type: undefined, format: undefined, tag: undefined })
    }
    Object.assign(node, { value: after, source: undefined })
    const bare = new (library().Scalar)(after)
    // Within brackets these would end it.
    bare.type = /[,[\]{}]/.test(String(after)) && node.type === 'PLAIN' ? 'QUOTE_DOUBLE' : node.type
    const value = library().stringify(bare, PRINT).trimEnd()
    const [start, end] = node.range ?? [0, 0]
    this.#isOfValues &&= start < end && !value.includes('\n') && !/^BLOCK/.test(node.type)
    this.#splices.push({ start, end, value })
    return node
  }

  #fresh(node, after) {
    const { comment, commentBefore, spaceBefore } = node ?? {}
    return Object.assign(this.#document.createNode(after), { comment, commentBefore, spaceBefore })
  }

  #list(node, before, after) {
    const pairs = align(before, after)
    this.#isOfValues &&= pairs.every((pair) => !pair.includes(undefined))
    node.items = pairs
      .filter(([, next]) => next !== undefined)
      .map(([old, next]) =>
        old === undefined
          ? this.#document.createNode(after[next])
          : this.make(node.items[old], before[old], after[next]),
      )
  }

  #map(node, before, after) {
    const keyOf = ({ key }) => String(library().isNode(key) ? key.toJS(this.#document) : key)
    const left = node.items.filter((pair) => Object.hasOwn(after, keyOf(pair)))
    const added = Object.keys(after).filter((key) => !Object.hasOwn(before, key))
    this.#isOfValues &&= left.length === node.items.length && added.length === 0
    for (const pair of left) {
      const key = keyOf(pair)
      pair.value = this.make(pair.value, before[key], after[key])
    }
    node.items = [...left, ...added.map((key) => this.#document.createPair(key, after[key]))]
  }
}

/** How deep a list is below its key, and how deep a level is. */
function styleOf(text) {
  const nested = /^( *)[^\s#-][^\n]*:[ \t]*\n(?: *(?:#[^\n]*)?\n)*( *)(- )?\S/gm
  let indent
  let indentSeq
  for (const [, outer, inner, dash] of text.matchAll(nested)) {
    const depth = inner.length - outer.length
    if (dash) indentSeq ??= depth > 0
    if (depth > 0) indent ??= depth
  }
  return { indent: indent ?? 2, indentSeq: indentSeq ?? true }
}

function parse(text) {
  return documentOf(text).toJS()
}

function stringify(value, previous) {
  const fresh = library().stringify(value, PRINT)
  refuseCollections(value)
  if (previous === undefined) return fresh
  // As it will be read: with texts in the place of dates, and without what is left out.
  const after = parse(fresh)
  const document = documentOf(previous)
  const before = document.toJS()
  if (isSame(before, after)) return previous
  const own = styleOf(previous)
  // A list that is as deep as its key is printed so only with levels of two.
  const styles = [own, { ...own, indent: 2 }].map((style) => {
    const options = { ...PRINT, ...style }
    return { options, printed: document.toString(options) }
  })
  const change = new Change(document)
  document.contents = change.make(document.contents, before, after)
  const makers = [
    () => change.spliced(previous),
    ...styles.map(({ options, printed }) => () => {
      const next = document.toString(options)
      return inLineEnds(previous, (text) => merge(text, printed, next))
    }),
    () => inLineEnds(previous, () => document.toString(styles[0].options)),
  ]
  // A value in a new place may be another one, and an alias of what was changed is.
  for (const make of makers) {
    const text = make()
    if (text !== undefined && says(text, after)) return text
  }
  return fresh
}

/** What `make` makes of a text, which it gets with plain line ends. */
function inLineEnds(text, make) {
  const isOfWindows = /^[^\n]*\r\n/.test(text)
  const made = make(text.replaceAll('\r\n', '\n'))
  return isOfWindows ? made.replaceAll('\n', '\r\n') : made
}

function says(text, value) {
  try {
    return isSame(parse(text), value)
  } catch {
    return false
  }
}

exports.yaml = codec('.yaml', library, { parse, stringify })
