// JSON with comments and trailing commas, as in tsconfig.json and the settings of editors. What is not changed stays as it is, character by
// character: an object or a list is divided into its items with what is around each, and put together again.

'use strict'

const { align, isSame, isSameKind } = require('./diff.js')
const { codec, lazily } = require('./peer.js')

const library = lazily('jsonc-parser', () => require('jsonc-parser'))

/** The tree of a text: nodes with their places in it; `undefined` where there are comments alone. */
function treeOf(text) {
  const { parseTree, printParseErrorCode } = library()
  const errors = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const [first] = errors
  const hasOnlyComments = errors.length === 1 && first.offset === text.length && text.trim() !== ''
  if (root === undefined && hasOnlyComments) return undefined
  if (first !== undefined) {
    const reason = printParseErrorCode(first.error)
      .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
      .toLowerCase()
    throw Object.assign(new SyntaxError(reason), { offset: first.offset })
  }
  return root
}

function valueIn(node) {
  if (node.type === 'array') return node.children.map(valueIn)
  if (node.type !== 'object') return node.value
  const object = {}
  for (const { children } of node.children) {
    const [key, value] = children
    // For an assignment it is no key.
    if (key.value === '__proto__') {
      const writable = { configurable: true, enumerable: true, writable: true }
      Object.defineProperty(object, key.value, { value: valueIn(value), ...writable })
    } else object[key.value] = valueIn(value)
  }
  return object
}

/** The text of a change. */
class Printer {
  #text
  #unit
  #lineEnd
  #isCareful
  /** A part of the text in one line, from its start. */
  #line = { start: 0, end: 0 }

  /** With `isCareful` each object and list is checked, and printed anew if it does not say what it is to say. */
  constructor(text, isCareful) {
    this.#text = text
    this.#isCareful = isCareful
    this.#lineEnd = /\r?\n/.exec(text)?.[0] ?? '\n'
    this.#unit = /^[ \t]+(?=["[{])/m.exec(text)?.[0] ?? '  '
  }

  /** What is to be in the place of `node`, which says `before`. */
  print(node, before, after) {
    if (isSame(before, after)) return this.#slice(node.offset, node.offset + node.length)
    if (!isSameKind(before, after)) return this.#fresh(after, this.#indentAt(node.offset))
    const text = node.type === 'array' ? this.#list(node, before, after) : this.#object(node, before, after)
    return !this.#isCareful || says(text, after) ? text : this.#fresh(after, this.#indentAt(node.offset))
  }

  #list(node, before, after) {
    const items = align(before, after).map(([old, next]) => {
      if (next === undefined) return { old }
      const child = node.children[old]
      return {
        old,
        print: (indent) =>
          child ? this.print(child, before[old], after[next]) : this.#fresh(after[next], indent),
      }
    })
    return this.#compose(node, items)
  }

  #object(node, before, after) {
    const names = node.children.map(({ children }) => children[0].value)
    // Of equal keys the last one counts.
    const lastOf = new Map(names.map((name, at) => [name, at]))
    const items = node.children.map((property, old) => {
      const name = names[old]
      if (!Object.hasOwn(after, name)) return { old }
      if (lastOf.get(name) > old) return { old, print: () => this.#slice(property.offset, endOf(property)) }
      const value = property.children[1]
      const print = () =>
        this.#slice(property.offset, value.offset) + this.print(value, before[name], after[name])
      return { old, print }
    })
    for (const key of Object.keys(after).filter((key) => !Object.hasOwn(before, key))) {
      items.push({ print: (indent) => `${JSON.stringify(key)}: ${this.#fresh(after[key], indent)}` })
    }
    return this.#compose(node, items)
  }

  /** `items`: those with `old` were there, at that place; those without `print` go. */
  #compose(node, items) {
    const { open, parts, tail, close, hasTrailingComma } = this.#parts(node)
    const left = items.filter(({ print }) => print)
    const base = this.#indentAt(node.offset)
    const isInline = parts.length > 0 && parts.every(({ before }) => !before.includes('\n'))
    // Where the other items begin, new ones do.
    const sibling = parts.find(({ before }) => before.includes('\n'))?.before
    const indent = isInline
      ? base
      : (sibling?.slice(sibling.lastIndexOf('\n') + 1).match(/^[ \t]*/)[0] ?? base + this.#unit)

    let text = open
    let isInLineComment = false
    const begin = (start, indent) => {
      const isOpen = isInLineComment && !/^[ \t]*\r?\n/.test(start)
      text += isOpen ? this.#lineEnd + indent + start.trimStart() : start
    }
    /** White space, commas and comments: what follows a line comment begins a line. */
    const around = (trivia) => {
      if (trivia === '') return
      begin(trivia, indent)
      isInLineComment = endsInLineComment(trivia)
    }
    const own = (piece) => {
      begin(piece, isInline ? base + this.#unit : indent)
      isInLineComment = false
    }

    // Comments in an empty one come first.
    if (parts.length === 0) around(tail.trimEnd())
    let kept = ''
    let count = 0
    for (const { old, print } of items) {
      const part = parts[old]
      if (!print) {
        kept += detached(part.before)
        continue
      }
      const isFirst = count === 0
      const isLast = ++count === left.length
      around(kept)
      kept = ''
      if (part) around(this.#before(part, old, isFirst, parts))
      else if (!isInline) around(this.#lineEnd + indent)
      else if (!isFirst && !isInLineComment) around(' ')
      own(print(indent))
      const comma = !isLast || hasTrailingComma ? ',' : ''
      // A line comment behind the last item ends the line, so the comma goes before it.
      around(part?.hasComma ? part.behind + comma + part.after : comma + (part?.behind ?? ''))
    }
    if (parts.length === 0) return text + this.#lineEnd + base + close
    if (left.length === 0 && (kept + tail).trim() === '') return open + close
    around(kept)
    around(tail)
    begin(close, base)
    return text
  }

  #before({ before }, old, isFirst, parts) {
    const isBlank = before.trim() === '' && !before.includes('\n')
    if (isFirst && old > 0 && isBlank) return parts[0].before.trim() === '' ? parts[0].before : ''
    return !isFirst && before === '' && old === 0 ? ' ' : before
  }

  /** The items of a node with what is before and after each, up to its comma and to the end of the line. */
  #parts({ offset, length, children }) {
    const end = offset + length - 1
    const parts = []
    let at = offset + 1
    for (const child of children) {
      const behind = endOf(child)
      const { comma, lineEnd } = this.#behind(behind, end)
      const from = comma === undefined ? behind : comma + 1
      parts.push({
        before: this.#slice(at, child.offset),
        behind: comma === undefined ? this.#slice(behind, lineEnd) : this.#slice(behind, comma),
        hasComma: comma !== undefined,
        after: comma === undefined ? '' : this.#slice(from, lineEnd),
      })
      at = lineEnd
    }
    const [open, close] = [this.#slice(offset, offset + 1), this.#slice(end, end + 1)]
    return {
      open,
      parts,
      tail: this.#slice(at, end),
      close,
      hasTrailingComma: parts.at(-1)?.hasComma ?? false,
    }
  }

  /** Where the comma behind an item is, and where the line ends to which what follows belongs: right there, if another item does. */
  #behind(start, end) {
    const { createScanner } = library()
    const scanner = createScanner(this.#text)
    scanner.setPosition(start)
    let comma
    let lineEnd
    for (;;) {
      const token = scanner.scan()
      const at = scanner.getTokenOffset()
      if (at >= end) break
      if (token === COMMA && comma === undefined) {
        comma = at
        // What was a line end before it belongs to what is before the comma.
        lineEnd = undefined
      } else if (token === LINE_BREAK) {
        lineEnd ??= at
        if (comma !== undefined) break
      } else if (token === LINE_COMMENT || token === BLOCK_COMMENT || token === SPACE) {
      } else break
    }
    return { comma, lineEnd: lineEnd ?? (comma === undefined ? start : comma + 1) }
  }

  #fresh(value, indent) {
    return JSON.stringify(value, null, this.#unit).replaceAll('\n', this.#lineEnd + indent)
  }

  #indentAt(offset) {
    return this.#slice(this.#lineStart(offset), offset).match(/^[ \t]*/)[0]
  }

  /** Looks on from where it looked last: in a text of one line a look back from each item would go through all those before. */
  #lineStart(offset) {
    const { start, end } = this.#line
    if (offset < start) return this.#text.lastIndexOf('\n', offset - 1) + 1
    if (offset > end) {
      const at = this.#slice(end, offset).lastIndexOf('\n')
      this.#line = { start: at < 0 ? start : end + at + 1, end: offset }
    }
    return this.#line.start
  }

  #slice(start, end) {
    return this.#text.slice(start, end)
  }
}

// Of the scanner of jsonc-parser: its types are a `const enum`, of which there is nothing at run time.
const COMMA = 5
const LINE_COMMENT = 12
const BLOCK_COMMENT = 13
const LINE_BREAK = 14
const SPACE = 15

const endOf = ({ offset, length }) => offset + length

/** Whether what follows these comments would be part of the last one. */
function endsInLineComment(trivia) {
  const last = trivia.match(/\/\*[\s\S]*?\*\/|\/\/[^\r\n]*/g)?.at(-1)
  return last?.startsWith('//') === true && trivia.endsWith(last)
}

/** Comments before an item that goes: those which an empty line divides from it stay. */
function detached(before) {
  const last = [...before.matchAll(/\r?\n[ \t]*(?=\r?\n)/g)].at(-1)
  const kept = last ? before.slice(0, last.index) : ''
  return kept.trim() === '' ? '' : kept
}

/** What JSON leaves out, or says otherwise, is not there. */
const plain = (value) => JSON.parse(JSON.stringify(value))

const says = (text, value) => {
  try {
    return isSame(plain(open(text).value), value)
  } catch {
    return false
  }
}

function open(text) {
  const root = treeOf(text)
  // There are comments and nothing else.
  return { text, root, value: root === undefined ? {} : valueIn(root) }
}

function print(value) {
  const printed = JSON.stringify(value, null, 2)
  if (printed === undefined) throw new TypeError('it is no JSON')
  return `${printed}\n`
}

function edit({ text: previous, root }, old, after) {
  if (root === undefined) return `${previous.trimEnd()}\n${print(after)}`
  const [start, end] = [previous.slice(0, root.offset), previous.slice(endOf(root))]
  for (const isCareful of [false, true]) {
    const text = start + new Printer(previous, isCareful).print(root, JSON.parse(old), after) + end
    if (says(text, after)) return text
  }
}

exports.jsonc = codec('.jsonc', library, { open, print, edit, isPlain: true, reread: JSON.parse })
