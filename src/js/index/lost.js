// Finds what JSON.stringify writes as {} although there is something in it. Compiled by the addon, as a script.
//
// It is JavaScript because V8 makes machine code of it: a look at each object by way of N-API takes ten times as long.

;(() => {
  const { getPrototypeOf, keys, prototype: plain } = Object
  const tagOf = plain.toString

  const instead = [
    [/^Map$/, 'Object.fromEntries(map)'],
    [/^Set$/, '[...set]'],
    [/^Async/, 'an array of what it yields'],
    [/Iterator|Generator$/, 'Array.from(iterator)'],
    [/^Promise$/, 'what it resolves with, by await'],
  ]

  // JSON has the primitives that are in these.
  const boxed = /^(Number|String|Boolean)$/

  const isPlain = (proto) => proto === null || proto === plain || getPrototypeOf(proto) === null

  function look(value, isIndex) {
    if (typeof value.toJSON === 'function') return
    const tag = tagOf.call(value).slice(8, -1)
    const name = tag === 'Object' ? value.constructor?.name : tag
    const isCollection = tag === 'Map' || tag === 'Set'
    if (boxed.test(tag)) return
    // An empty object of a class may be meant: only as the index itself it cannot.
    if (!isCollection && ((tag === 'Object' && !isIndex) || keys(value).length > 0)) return
    const [, better] = instead.find(([kind]) => kind.test(tag)) ?? [
      '',
      'a plain object, or give it a method toJSON',
    ]
    return { what: name || 'object', better, path: [] }
  }

  function search(value) {
    // What it makes of the object is not known here.
    if (typeof value.toJSON === 'function') return
    if (Array.isArray(value)) {
      for (let at = 0; at < value.length; at++) {
        const found = into(value[at], at)
        if (found) return found
      }
      return
    }
    if (!isPlain(getPrototypeOf(value))) {
      const found = look(value, false)
      // Elements of a view are no objects.
      if (found || ArrayBuffer.isView(value)) return found
    }
    for (const key in value) {
      const found = into(value[key], key)
      if (found) return found
    }
  }

  function into(value, key) {
    if (typeof value !== 'object' || value === null) return
    const found = search(value)
    found?.path.unshift(key)
    return found
  }

  /**
   * Looks at a value, or at all that is in it, and says what would be lost: of an argument of that `name`, or of what the
   * function has returned. `keeper` is what loses it.
   */
  return (value, isDeep, name, keeper) => {
    const found = isDeep ? search(value) : isPlain(getPrototypeOf(value)) ? undefined : look(value, true)
    if (!found) return
    const { what, better, path } = found
    const of = `${/^[aeiou]/i.test(what) ? 'an' : 'a'} ${what}`
    const where = path.map((key) => `[${JSON.stringify(key)}]`).join('')
    const lost = `of which ${keeper} keeps nothing.`
    if (name !== undefined) {
      return path.length === 0
        ? `"${name}" is ${of}, ${lost} Give ${better}`
        : `"${name}" has ${of} at ${where}, ${lost} Put ${better} there`
    }
    return path.length === 0
      ? `The function returned ${of}, ${lost} Return ${better}`
      : `The function returned ${of} at index${where}, ${lost} Put ${better} there`
  }
})()
