// A change of a text of YAML, by what is replaced in it. An item of a list or a map in lines of its own is added, removed and replaced with these lines; what
// is in brackets, and a single value, is replaced where it is. The result may say something else, where parts do not fit together.

'use strict'

const { align, isSame, isSameKind } = require('./diff.js')
const { endOf, isBlock, isItem, startOf, styleOf, tokenEnd } = require('./yaml-tokens.js')

/** `text`, which says `before`, as a text that is to say `after`. Below `depth` a value that is changed is printed anew. */
function edited(from, before, after) {
  return new Edit(from).apply(before, after)
}

/** What an anchor stands for that goes. */
const GONE = Symbol('gone')

class Edit {
  /** What goes in the place of which part of the text. */
  #splices = []
  /** What nodes with anchors say after the change. */
  #anchored = new Map()
  #library
  #text
  #document
  #options
  #depth
  #lineEnd
  #hasAliases

  constructor({ library, text, document, print, depth }) {
    this.#library = library
    this.#text = text
    this.#document = document
    this.#depth = depth
    this.#lineEnd = /^[^\n]*\r\n/.test(text) ? '\r\n' : '\n'
    this.#options = { ...print, ...styleOf(document.contents?.srcToken) }
    this.#hasAliases = text.includes('*')
  }

  apply(before, after) {
    const { contents } = this.#document
    if (before === null) return this.#appended(after)
    if (this.#depth === 0 || !this.#within(contents, before, after, this.#depth)) {
      this.#replace(contents.range[0], this.#lineEndBefore(endOf(contents)), this.#printed(after))
    }
    return this.#spliced()
  }

  /** After a text of comments. */
  #appended(after) {
    const gap = this.#text === '' || this.#text.endsWith('\n') ? '' : this.#lineEnd
    return `${this.#text}${gap}${this.#printed(after)}${this.#lineEnd}`
  }

  #spliced() {
    this.#splices.sort((one, other) => one.start - other.start)
    let [spliced, at] = ['', 0]
    for (const { start, end, value } of this.#splices) {
      spliced += this.#text.slice(at, Math.max(start, at)) + value
      at = Math.max(at, end)
    }
    return spliced + this.#text.slice(at)
  }

  #replace(start, end, value) {
    this.#splices.push({ start, end, value })
  }

  /** Lines that the library prints, without the last line end; those after the first are indented. */
  #printed(value, indent = '') {
    const text = this.#library.stringify(value, this.#options).trimEnd()
    return text.replace(/\n(?!\n|$)/g, `\n${indent}`).replaceAll('\n', this.#lineEnd)
  }

  /** On one line, as within brackets; as JSON if the library takes more for it. */
  #inline(value) {
    const node = this.#document.createNode(value, { flow: true, aliasDuplicateObjects: false })
    const list = new this.#library.Document([node], { aliasDuplicateObjects: false })
    list.contents.flow = true
    const text = list
      .toString({ ...this.#options, flowCollectionPadding: false, collectionStyle: 'flow' })
      .trim()
    return (text.includes('\n') ? JSON.stringify([value]) : text).slice(1, -1).trim()
  }

  /** Notes that the anchors below a node go. */
  #forget(node) {
    if (!this.#hasAliases || !node) return
    this.#library.visit(node, (_, inner) => {
      if (inner?.anchor) this.#anchored.set(inner, GONE)
    })
  }

  /** Whether a node may stay as it is: what it says is the same, also by its aliases. */
  #stays(node, before, after) {
    const { isAlias, isCollection } = this.#library
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      return isSame(this.#anchored.has(target) ? this.#anchored.get(target) : before, after)
    }
    if (node?.anchor) this.#anchored.set(node, after)
    return isSame(before, after) && !(this.#hasAliases && isCollection(node))
  }

  /** The items of a collection in lines, or those in brackets, each with its node, its tokens, and its key in the value. */
  #itemsOf(node, before) {
    const tokens = node.srcToken.items.filter(isItem)
    if (Array.isArray(before)) return node.items.map((value, key) => ({ key, value, token: tokens[key] }))
    return node.items.map(({ key, value }, at) => ({ key: nameOf(key), value, token: tokens[at] }))
  }

  #collection(node, before, after, depth) {
    const items = this.#itemsOf(node, before)
    const isList = Array.isArray(before)
    // A key that the value does not have, as one that merges others, stays.
    const isOwn = ({ key }) => Object.hasOwn(before, key)
    const pairs = isList
      ? align(before, after)
      : [
          ...items.map((item, at) => [
            at,
            !isOwn(item) || Object.hasOwn(after, item.key) ? item.key : undefined,
          ]),
          ...this.#addedTo(items, before, after).map((key) => [undefined, key]),
        ]
    if (isBlock(node)) this.#lines(node, items, pairs, before, after, depth)
    else this.#brackets(node, items, pairs, before, after, depth)
  }

  #addedTo(items, before, after) {
    const own = new Set(items.map(({ key }) => key))
    return Object.keys(after).filter(
      (key) => !own.has(key) && !(Object.hasOwn(before, key) && isSame(before[key], after[key])),
    )
  }

  #lines(node, items, pairs, before, after, depth) {
    const first = startOf(items[0])
    const column = first - this.#lineStart(first)
    const indent = ' '.repeat(column)
    const isBelowDash = this.#text.slice(this.#lineStart(first), first).trim() !== ''
    const ends = items.map(({ token }) => this.#lineAfter(tokenEnd(token)))
    const leads = items.map((item, at) => this.#leadOf(startOf(item), column, ends[at - 1] ?? 0))
    const survivor = pairs.find(([old, next]) => old !== undefined && next !== undefined)?.[0]
    if (survivor === undefined && isBelowDash) return this.#replaceAll(node, after, indent)
    let at = isBelowDash ? first : leads[0]
    for (const [old, next] of pairs) {
      if (old === undefined) {
        const fresh = this.#printed(Array.isArray(after) ? [after[next]] : { [next]: after[next] }, indent)
        if (at === first && isBelowDash) this.#replace(at, at, fresh + this.#lineEnd + indent)
        else this.#insertLine(at, indent + fresh)
        continue
      }
      const item = items[old]
      if (next === undefined) {
        this.#forget(item.value)
        if (!isBelowDash || old > survivor) this.#removeLines(leads[old], ends[old])
        // What is left begins behind the dash.
        else this.#replace(first, leads[survivor] + indentAt(this.#text, leads[survivor]), '')
      } else if (Object.hasOwn(before, item.key))
        this.#item(item, ends[old], before[item.key], after[next], indent, depth)
      if (old >= (survivor ?? 0) || !isBelowDash) at = ends[old]
    }
  }

  #replaceAll(node, after, indent) {
    this.#forget(node)
    this.#replace(
      startOf({ token: node.srcToken.items[0] }),
      this.#lineEndBefore(endOf(node)),
      this.#printed(after, indent),
    )
  }

  #insertLine(at, line) {
    const isInLine = at > 0 && this.#text[at - 1] !== '\n'
    this.#replace(at, at, isInLine ? this.#lineEnd + line : line + this.#lineEnd)
  }

  /** Of the empty lines before and after it, those before stay. */
  #removeLines(start, end) {
    const isAfterGap = start === 0 || /\n[ \t]*\r?\n$/.test(this.#text.slice(0, start).slice(-80))
    const gap = isAfterGap ? /^([ \t]*\r?\n)+/.exec(this.#text.slice(end, end + 80))?.[0].length : 0
    this.#replace(start, end + (gap ?? 0), '')
  }

  /** One item in lines of its own. */
  #item(item, end, before, after, indent, depth) {
    const { value, token } = item
    if (this.#stays(value, before, after)) return
    if (this.#within(value, before, after, depth - 1)) return
    this.#forget(value)
    const mark = (token.sep ?? token.start).find(
      ({ type }) => type === 'map-value-ind' || type === 'seq-item-ind',
    )
    const isList = mark?.type === 'seq-item-ind'
    if (mark === undefined) return
    const start = mark.offset + 1
    const fresh = this.#printed(isList ? [after] : { k: after }, indent).slice(isList ? 1 : 2)
    const [head, ...rest] = fresh.split(this.#lineEnd)
    this.#replace(
      start,
      this.#lineEndBefore(end),
      [head + this.#commentOf(start, value), ...rest].join(this.#lineEnd),
    )
  }

  /** The comment on the line where an item begins, or where its value ends if that is no lines of its own. */
  #commentOf(start, value) {
    const isInLines = isBlock(value) || value?.srcToken?.type === 'block-scalar'
    // The place of a value that is not there may be behind the comment.
    const isThere = value?.range && value.range[0] < value.range[1]
    const from = isInLines || !isThere ? start : value.range[1]
    const line = this.#text.slice(from, this.#lineEndBefore(this.#lineAfter(from)))
    return /^[^#]*?([ \t]+#.*)$/.exec(line)?.[1].trimEnd() ?? ''
  }

  /** Changes what is in a value, if that can be done. */
  #within(node, before, after, depth) {
    const { isCollection, isScalar } = this.#library
    if (isCollection(node)) {
      if (!isSameKind(before, after) || depth <= 0) return false
      if (isBlock(node) && isEmpty(after)) return false
      this.#collection(node, before, after, depth)
      return true
    }
    const isSingle = isScalar(node) && (typeof after !== 'object' || after === null)
    if (!isSingle || /^BLOCK/.test(node.type) || node.range[0] === node.range[1]) return false
    // A tag is for another type of value.
    if (node.tag && !(typeof before === 'string' && typeof after === 'string')) return false
    const value = this.#scalar(node, before, after)
    if (value.includes('\n')) return false
    this.#replace(node.range[0], node.range[1], value)
    return true
  }

  /** With its quotes, if it was a text and still is one. */
  #scalar(node, before, after) {
    const scalar = new this.#library.Scalar(after)
    const isText = typeof before === 'string' && typeof after === 'string'
    // Within brackets these would end it.
    const isUnsafe = node.type === 'PLAIN' && /[,[\]{}]/.test(String(after))
    if (isText) scalar.type = isUnsafe ? 'QUOTE_DOUBLE' : node.type
    return this.#library.stringify(scalar, this.#options).trimEnd()
  }

  #brackets(node, items, pairs, before, after, depth) {
    const stay = pairs.every((pair) => !pair.includes(undefined))
    if (stay) {
      for (const [old, next] of pairs) this.#inBrackets(items[old], before, after[next], depth)
      return
    }
    const [start, end] = node.range
    const hasSurvivor = pairs.some((pair) => !pair.includes(undefined))
    if (hasSurvivor && /\n|#/.test(this.#text.slice(start, end))) {
      this.#linesInBrackets(items, pairs, before, after, depth)
      return
    }
    const parts = pairs.flatMap(([old, next]) => {
      const item = items[old]
      if (next === undefined) {
        this.#forget(item.value)
        return []
      }
      const isKept =
        item && (!Object.hasOwn(before, item.key) || this.#stays(item.value, before[item.key], after[next]))
      if (isKept) return [this.#text.slice(startOf(item), tokenEnd(item.token))]
      this.#forget(item?.value)
      return [this.#freshInBrackets(after, next)]
    })
    const pad = /^[[{] /.test(this.#text.slice(start, start + 2)) && parts.length > 0 ? ' ' : ''
    this.#replace(start + 1, end - 1, pad + parts.join(', ') + pad)
  }

  #freshInBrackets(after, key) {
    return Array.isArray(after) ? this.#inline(after[key]) : this.#inline({ [key]: after[key] }).slice(1, -1)
  }

  /** One item within brackets, which stays where it is. */
  #inBrackets({ key, value }, before, after, depth) {
    if (!Object.hasOwn(before, key) || this.#stays(value, before[key], after)) return
    if (this.#within(value, before[key], after, depth - 1)) return
    this.#forget(value)
    const [start, end] = value?.range ?? [0, 0]
    this.#replace(start, end, (start === end ? ' ' : '') + this.#inline(after))
  }

  /** Items come and go within brackets that have several lines or comments: what is between those that stay, stays. */
  #linesInBrackets(items, pairs, before, after, depth) {
    let kept
    let fresh = []
    for (const [old, next] of pairs) {
      const item = items[old]
      if (item === undefined) {
        const text = this.#freshInBrackets(after, next)
        if (kept) this.#replace(tokenEnd(kept.token), tokenEnd(kept.token), `, ${text}`)
        else fresh.push(text)
      } else if (next !== undefined) {
        const start = startOf(item)
        if (fresh.length > 0) this.#replace(start, start, `${fresh.join(', ')}, `)
        fresh = []
        kept = item
        this.#inBrackets(item, before, after[next], depth)
      } else {
        this.#forget(item.value)
        this.#removeInBrackets(item, old === items.length - 1 ? kept : undefined)
      }
    }
  }

  /** With the comment behind it on its line, and its comma; the last item with the comma after `kept`, unless a comment stands between. */
  #removeInBrackets(item, kept) {
    const [start, end] = [startOf(item), tokenEnd(item.token)]
    const rest = kept ? /[ \t]*(#[^\r\n]*)?/y : /[ \t]*,?[ \t]*(#[^\r\n]*)?(\r?\n[ \t]*)?/y
    rest.lastIndex = end
    const length = rest.exec(this.#text)[0].length
    const keptEnd = kept ? tokenEnd(kept.token) : start
    this.#replace(this.#text.slice(keptEnd, start).includes('#') ? start : keptEnd, end + length, '')
  }

  /** Where the comment begins that belongs to an item: right above it, in the same column, and below `floor`. */
  #leadOf(start, column, floor) {
    let at = this.#lineStart(start)
    while (at > floor) {
      const above = this.#lineStart(at - 1)
      const line = this.#text.slice(above, at)
      if (above < floor || line.search(/\S/) !== column || line[column] !== '#') break
      at = above
    }
    return at
  }

  #lineStart(at) {
    return at === 0 ? 0 : this.#text.lastIndexOf('\n', at - 1) + 1
  }

  /** Where a line ends that the next one begins at `at`, or the text. */
  #lineEndBefore(at) {
    if (this.#text[at - 1] !== '\n') return at
    return this.#text[at - 2] === '\r' ? at - 2 : at - 1
  }

  /** Where the line after that of `at` begins; `at` itself at the start of a line. */
  #lineAfter(at) {
    if (at > 0 && this.#text[at - 1] === '\n') return at
    const end = this.#text.indexOf('\n', at)
    return end < 0 ? this.#text.length : end + 1
  }
}

const isEmpty = (value) => typeof value === 'object' && value !== null && Object.keys(value).length === 0

const indentAt = (text, at) => /[ \t]*/y.exec(text.slice(at, at + 200))[0].length

/** As the library names it in an object, if it is a single value. */
const nameOf = (key) => String(key?.value ?? '')

module.exports = { edited }
