;(native) => {
  'use strict'

  const expected = 'of type string or an instance of Iterable with strings; other values need { json: true }'

  const isIterable = (value) =>
    typeof value === 'object' && value !== null && typeof value[Symbol.iterator] === 'function'

  function line(line, at) {
    if (typeof line !== 'string')
      throw native.wrongType(`lines[${at}]`, 'of type string, or JSON with { json: true }', line)
    if (/[\n\0\p{Surrogate}]/u.test(line)) {
      throw native.wrongValue(
        `lines[${at}]`,
        'must be one line of text: without line feeds, NUL characters and lone surrogates',
        line,
      )
    }
    return line
  }

  function json(value, at) {
    const name = `lines[${at}]`
    const reason = 'must be a value that JSON.stringify can write'
    let text
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      throw Object.assign(native.wrongValue(name, reason, value), { cause })
    }
    if (typeof text !== 'string') throw native.wrongValue(name, reason, value)
    // An empty object is what is left of a Map.
    if (text.includes('{}')) native.checkLost(name, value, text)
    return text
  }

  /** The lines as one text, and how many there are. */
  function joined(lines, isJson) {
    if (typeof lines === 'string' && !isJson) return [`${line(lines, 0)}\n`, 1]
    if (!isIterable(lines)) {
      throw native.wrongType('lines', isJson ? 'an instance of Iterable' : expected, lines)
    }
    const texts = Array.from(lines, isJson ? json : line)
    texts.push('')
    return [texts.join('\n'), texts.length - 1]
  }

  /** An iterable that fails: a function that returns one has no other way to reject. */
  const failing = (error) => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) })

  /**
   * Whole lines that are none: the file is another one than the caller thinks, or other programs write to it. (Of a crash of an append they are where a power cut
   * leaves old blocks of the disk in a file.)
   */
  const isForeign = ({ reason }) => reason === 'json' || reason === 'utf8'

  /** The files that were warned of, as far as they are remembered. */
  const warned = new Set()
  const MOST_WARNED = 1000

  /** Once for a file: a program may read it again and again. */
  function warn({ line }, count, shown) {
    if (warned.has(shown)) return
    if (warned.size === MOST_WARNED) warned.clear()
    warned.add(shown)
    const lines = count === 1 ? '1 line' : `${count} lines`
    const which = `${count === 1 ? 'is' : 'are'} not JSON or not UTF-8; the first is line ${line}`
    const told = `readLines has skipped ${lines} of '${shown}' that ${which}: give onTorn to hear of each`
    globalThis.process?.emitWarning?.(told, 'Warning', 'ATOMIC_LINES_SKIPPED')
  }

  /** The lines of a file, which is opened by the first step. */
  async function* read(file, isJson, given, shown) {
    let first
    let foreign = 0
    const count = (line) => {
      if (isForeign(line) && foreign++ === 0) first = line
    }
    const onTorn = given ?? count
    const reader = await native.open(file, isJson)
    try {
      for (let isLast = false; !isLast; ) {
        const [items, places, last] = await native.next(reader, file)
        isLast = last
        for (let at = 0; at < items.length; at++) {
          const item = items[at]
          if (typeof item !== 'string') {
            onTorn(item)
          } else if (!isJson) {
            yield item
          } else if (/\S/.test(item)) {
            let value
            try {
              value = JSON.parse(item)
            } catch {
              onTorn(native.place(places, at))
              continue
            }
            yield value
          }
        }
      }
    } finally {
      native.close(reader)
      if (first) warn(first, foreign, shown)
    }
  }

  return { joined, failing, read }
}
