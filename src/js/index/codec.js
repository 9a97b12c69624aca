// Parses and prints an index by a codec of the caller's. Compiled by the addon, as a script.

;(count, advice) => {
  /** A number for each codec. */
  const numbers = new WeakMap()

  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function'

  const isCount = (number) => Number.isSafeInteger(number) && number >= 0

  /** The number of a codec, by which the same one is known: at first `fresh`; 0 for what is none. */
  function numberOf(codec, fresh) {
    if (!isObject(codec)) return 0
    // Where a codec's library is missing, its properties throw.
    const { parse, stringify } = codec
    if (typeof parse !== 'function' || typeof stringify !== 'function') return 0
    if (!numbers.has(codec)) numbers.set(codec, fresh)
    return numbers.get(codec)
  }

  /** Where in the text an error is, in UTF-16 units: by its `offset`, or by its `line` and `column`. */
  function offsetOf({ offset, line, column }, text) {
    if (isCount(offset)) return Math.min(offset, text.length)
    if (!isCount(line) || line === 0) return undefined
    let start = 0
    for (let left = line - 1; left > 0; left--) {
      const end = text.indexOf('\n', start)
      if (end < 0) break
      start = end + 1
    }
    return Math.min(start + (isCount(column) && column > 0 ? column - 1 : 0), text.length)
  }

  /** What `look` finds in what was thrown, whose getters may throw in turn; `otherwise` if they do. */
  function within(look, otherwise) {
    try {
      return look()
    } catch {
      return otherwise
    }
  }

  /** The place as other errors tell it: in bytes of the file, in which a byte order mark of `lead` bytes comes first. */
  function placeOf(error, text, lead) {
    const at = within(() => (isObject(error) ? offsetOf(error, text) : undefined))
    if (at === undefined) return {}
    const before = text.slice(0, at)
    const lineStart = before.lastIndexOf('\n') + 1
    const bytes = (text) => globalThis.Buffer.byteLength(text)
    return {
      offset: lead + bytes(before),
      line: before.split('\n').length,
      column: (lineStart === 0 ? lead : 0) + bytes(before.slice(lineStart)) + 1,
    }
  }

  const reasonOf = (error) =>
    within(
      () => String(isObject(error) && error.message ? error.message : error).split('\n')[0],
      'what it threw cannot be shown',
    )

  function refusal(message, cause) {
    const error = Object.assign(new TypeError(message), { code: 'ERR_INVALID_RETURN_VALUE' })
    return cause === undefined ? error : Object.assign(error, { cause: cause.thrown })
  }

  function parse(codec, text, lead, shown) {
    let value
    try {
      value = codec.parse(text)
    } catch (cause) {
      count()
      const code = 'ERR_ATOMIC_CORRUPT_INDEX'
      const place = placeOf(cause, text, lead)
      const where =
        'line' in place ? ` at byte ${place.offset} (line ${place.line}, column ${place.column})` : ''
      const message = `${code}: the codec cannot parse the index: ${reasonOf(cause)}${where}; ${advice}, '${shown}'`
      throw Object.assign(new Error(message), { code, path: shown, ...place, cause })
    }
    if (value === undefined || typeof value?.then === 'function') {
      const what = value === undefined ? 'undefined' : 'a promise'
      throw refusal(`options.codec.parse must return what the text says. Received ${what}`)
    }
    return value
  }

  /** `previous`: the text that is replaced, if there is one. With `isDoubtful` it may be one that cannot be parsed. */
  function stringify(codec, value, previous, isDoubtful, what) {
    let known = previous
    if (isDoubtful && known !== undefined) {
      try {
        codec.parse(known)
      } catch {
        known = undefined
      }
    }
    let text
    try {
      text = codec.stringify(value, known)
    } catch (thrown) {
      throw refusal(`${what} cannot be written by options.codec: ${reasonOf(thrown)}`, { thrown })
    }
    if (typeof text !== 'string') {
      const got =
        text === null ? 'null' : typeof text?.then === 'function' ? 'a promise' : `type ${typeof text}`
      throw refusal(`options.codec.stringify must return a string. Received ${got}`)
    }
    const bare = text.startsWith('\ufeff') ? text.slice(1) : text
    const problem =
      bare === ''
        ? 'an empty text, which a power cut leaves too: return at least a line end'
        : bare.includes('\0')
          ? 'a text with NUL characters, which a power cut leaves too: escape them'
          : bare.isWellFormed()
            ? undefined
            : 'a text with a lone surrogate, which UTF-8 cannot express: escape it'
    if (problem) throw refusal(`options.codec.stringify returned ${problem}`)
    return bare
  }

  return { numberOf, parse, stringify }
}
