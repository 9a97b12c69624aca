// Checks an index by a Standard Schema (https://standardschema.dev), which many libraries can make. Compiled by the addon,
// as a script.
//
// A schema says whether the index is one; what it would make of it is not taken. An index from which a schema strips what it
// does not know would be written without that.

;(count) => {
  /** Indexes that functions have returned, each with the schema that they are checked by later. */
  const returned = new WeakMap()

  /** A number for each schema. */
  const numbers = new WeakMap()

  /** Schemas that take their time: what functions return is checked in their runs, which end by timeouts and signals. */
  const slow = new WeakSet()

  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function'

  /** `react(value)`, at once unless the value is a promise. */
  function when(value, react) {
    const isThenable = isObject(value) && typeof value.then === 'function'
    return isThenable ? Promise.resolve(value).then(react) : react(value)
  }

  /** The number of a schema, by which the same one is known: at first `fresh`; 0 for what is none. */
  function numberOf(schema, fresh) {
    if (!isObject(schema) || typeof schema['~standard']?.validate !== 'function') return 0
    if (!numbers.has(schema)) numbers.set(schema, fresh)
    return numbers.get(schema)
  }

  /** What can be changed in place: with `keep: 'value'` the index that was read is frozen. */
  function thawed(value) {
    if (!isObject(value) || !Object.isFrozen(value) || JSON.isRawJSON?.(value)) return value
    if (Array.isArray(value)) return value.map(thawed)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, thawed(inner)]))
  }

  function issuesOf(schema, value) {
    const result = schema['~standard'].validate(value)
    if (isObject(result) && typeof result.then === 'function') slow.add(schema)
    return when(result, (result) => {
      if (!isObject(result))
        throw new TypeError('The schema returned no result: ~standard.validate must return one')
      return result.issues
    })
  }

  /** Where an issue is, as JavaScript would get there. */
  function place(path) {
    const keys = (path ?? []).map((step) => (isObject(step) ? step.key : step))
    const step = (key) =>
      typeof key === 'string' && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
        ? `.${key}`
        : `[${JSON.stringify(key) ?? String(key)}]`
    return `index${keys.map(step).join('')}`
  }

  const SHOWN = 3

  function failure(issues, what, shown) {
    // Without a name it is what several functions have made: each is tried with fewer others then.
    if (shown) count()
    const list = [...issues]
    const lines = list.slice(0, SHOWN).map(({ path, message }) => `${place(path)}: ${message}`)
    if (list.length > SHOWN) lines.push(`and ${list.length - SHOWN} more`)
    const code = 'ERR_ATOMIC_SCHEMA'
    const error = new Error(`${code}: ${what} does not pass the schema: ${lines.join('; ')}, '${shown}'`)
    return Object.assign(error, { code, path: shown, issues: list })
  }

  /** The index, if there is one, or what `migrate` makes of it. Throws, or rejects, if that does not pass. */
  function checkRead(index, schema, migrate, shown, signal) {
    if (index === undefined) return index
    return when(issuesOf(schema, index), (issues) => {
      signal?.throwIfAborted()
      if (!issues) return index
      if (migrate === undefined) throw failure(issues, 'the index in the file', shown)
      return when(migrate(thawed(index)), (migrated) =>
        when(issuesOf(schema, migrated), (issues) => {
          if (issues) throw failure(issues, "what the function 'migrate' returned", shown)
          return migrated
        }),
      )
    })
  }

  /** Checks at once what functions have made of an index. @returns {boolean} false: only their runs can check it */
  function isMadeChecked(index, schema, shown) {
    // Each run has checked it.
    if (slow.has(schema)) return true
    const checked = checkMade(index, schema, shown)
    if (checked === undefined) return true
    checked.catch(() => undefined)
    return false
  }

  /** A promise of `value`, if it passes a schema that takes its time; others are checked by `isMadeChecked`. */
  function checkSlowly(value, schema, shown) {
    return slow.has(schema) ? when(checkMade(value, schema, shown), () => value) : value
  }

  /** Throws, or rejects, if what functions, patches or a caller's value have made of an index does not pass. */
  function checkMade(index, schema, shown, what = 'the new index') {
    return when(issuesOf(schema, index), (issues) => {
      if (issues) throw failure(issues, what, shown)
    })
  }

  /**
   * `fn` for an index that is checked before. What an earlier function has returned is not what was read: it is checked
   * when all have run, or with `isEach` when each has. It declares a second parameter in any case: a run that nobody waits
   * for any more does not call `fn`.
   */
  function checkedFunction(fn, schema, migrate, shown, isEach) {
    const call = (index, run) =>
      when(fn.length > 1 ? fn(index, run) : fn(index), (next) => {
        if (isObject(next)) returned.set(next, schema)
        return isEach ? when(checkMade(next, schema, shown), () => next) : checkSlowly(next, schema, shown)
      })
    function checked(index, run) {
      if (returned.get(index) === schema) return call(index, run)
      return when(checkRead(index, schema, migrate, shown, run?.signal), (index) => {
        run?.signal.throwIfAborted()
        return call(index, run)
      })
    }
    // The source is how functions are known (`inside`).
    return Object.assign(checked, { toString: () => String(fn) })
  }

  /** `next` is `made` as JSON has it, for the next function: it is checked by a schema if `made` would be. */
  function passOn(made, next) {
    if (isObject(next) && returned.has(made)) returned.set(next, returned.get(made))
  }

  return { numberOf, passOn, checkRead, checkMade, isMadeChecked, checkSlowly, checkedFunction }
}
