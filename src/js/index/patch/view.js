// What the function of a patch is given: the index, to be looked at. It is the text or the value of one; the function cannot tell which.

const isPromise = (value) =>
  value !== null &&
  (typeof value === 'object' || typeof value === 'function') &&
  typeof value.then === 'function'

/** The value at these keys; `undefined`: there is none. */
function valueAt(value, keys) {
  for (const key of keys) {
    if (!isContainer(value)) return undefined
    checkPlain(value)
    if (!has(value, key)) return undefined
    value = value[key]
  }
  return value
}

function countOf(value) {
  if (!isContainer(value)) return undefined
  checkPlain(value)
  return Array.isArray(value) ? value.length : Object.keys(value).length
}

/** Looks into a parsed index. What it finds is copied. `find` finds records in a list, as `findRecords` does. */
class ValueLook {
  #index
  #find

  constructor(index, find = findRecords) {
    this.#index = index
    this.#find = find
  }

  at = (pointer) => clone(valueAt(this.#index, keysOf(pointer)))

  count = (pointer) => countOf(valueAt(this.#index, keysOf(pointer)))

  findAll(pointer, key, value) {
    const list = valueAt(this.#index, keysOf(pointer))
    if (!Array.isArray(list)) return []
    checkPlain(list)
    return this.#find(this.#index, list, key, value).map((at) => [at, clone(list[at])])
  }
}

/** What a text is asked for. */
const [AT, COUNT, FIND_ALL] = [0, 1, 2]

/** Looks into the text of an index: `look(kind, pointer, key, value)` finds JSON texts, or says `null` when the text is not there any more. What UTF-8 cannot say is looked for in what is around it. */
class TextLook {
  #look
  #parse

  constructor(look, parse) {
    this.#look = look
    this.#parse = parse ?? JSON.parse
  }

  #found(...wanted) {
    const found = this.#look(...wanted)
    if (found === null) throw viewHasEnded()
    return found
  }

  at(pointer) {
    if (!pointer.isWellFormed()) return this.#around(pointer)
    const text = this.#found(AT, pointer)
    return text === undefined ? undefined : this.#parse(text)
  }

  count = (pointer) => (pointer.isWellFormed() ? this.#found(COUNT, pointer) : countOf(this.#around(pointer)))

  findAll(pointer, key, value) {
    if (pointer.isWellFormed() && key.isWellFormed()) {
      const found = this.#found(FIND_ALL, pointer, key, JSON.stringify(value))
      return found.map(([at, text]) => [at, this.#parse(text)])
    }
    const list = this.at(pointer)
    return Array.isArray(list) ? positionsOf(list, key, value).map((at) => [at, list[at]]) : []
  }

  #around(pointer) {
    const keys = keysOf(pointer)
    const odd = keys.findIndex((key) => !key.isWellFormed())
    return valueAt(this.at(pointerOf(keys.slice(0, odd))), keys.slice(odd))
  }
}

function viewHasEnded() {
  const message =
    'The view has ended with the run of its function. Look before that function returns, or its promise settles; afterwards use readIndexAt'
  return Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' })
}

/** What the function has in its hands. Its methods are bound, as in `({ at }) => …`. */
class View {
  #look

  constructor(look) {
    this.#look = look
  }

  #now() {
    if (this.#look !== undefined) return this.#look
    throw viewHasEnded()
  }

  at = (pointer) => this.#now().at(checkPointer('pointer', pointer))

  count = (pointer) => this.#now().count(checkPointer('pointer', pointer))

  findAll = (at, key, value) => {
    const look = this.#now()
    checkPointer('at', at)
    if (typeof key !== 'string') throw native.wrongType('key', 'of type string', key)
    if (typeof value !== 'string' && !Number.isFinite(value)) {
      throw native.wrongType('value', 'of type string, or a finite number', value)
    }
    return look
      .findAll(at, key, value)
      .map(([position, record]) => ({ pointer: `${at}/${position}`, value: record }))
  }

  static end(view) {
    view.#look = undefined
  }
}

/** Calls a function with a view, and `react` with the patch that it makes; or promises that. */
function withView(look, fn, run, react) {
  const view = new View(look)
  let made
  try {
    made = fn(view, ...run)
  } catch (error) {
    View.end(view)
    throw error
  }
  if (isPromise(made)) return whenMade(view, made, react)
  View.end(view)
  return react(made)
}

async function whenMade(view, promise, react) {
  let made
  try {
    made = await promise
  } finally {
    View.end(view)
  }
  return react(made)
}

/** A function that declares a second parameter is told of its run, so what calls it declares that too. */
const declaredAs = (fn, call) => (fn.length < 2 ? (given) => call(given) : (given, run) => call(given, run))

/** What a function has made as a patch, copied; `undefined`: nothing is to be changed. */
const madePatch = (made) => (made === undefined ? undefined : new Patch(made))

/** The function of an update that changes a parsed index as the patch says which `fn` makes. */
function updateOf(fn, shown, numbers) {
  return declaredAs(fn, (index, ...run) => {
    // What is no index is none also if nothing is to be changed.
    const nothing = () => (isContainer(index) ? index : changedBy([], index, shown, numbers))
    const change = (made) => (made === undefined ? nothing() : changedBy(made, index, shown, numbers))
    return withView(new ValueLook(index), fn, run, change)
  })
}

/** A function that makes the patch, or `undefined`, when it is given what looks into a text. */
const makerOf = (fn, parse) =>
  declaredAs(fn, (look, ...run) => withView(new TextLook(look, parse), fn, run, madePatch))

/** The index that a patch makes of one, which stays as it is; the same one if nothing changes. */
function appliedTo(index, patch) {
  if (!isContainer(index)) throw native.wrongType('index', 'of type Object', index)
  const isFunction = typeof patch === 'function'
  // Its caller may change it between two calls.
  const look = new ValueLook(index, (_, list, key, value) => positionsOf(list, key, value))
  const made = isFunction ? withView(look, patch, [], (made) => made) : patch
  if (isPromise(made)) {
    made.then(undefined, () => undefined)
    throw native.wrongType('patch', 'a patch, or a function that returns one and no promise', patch)
  }
  if (made === undefined && isFunction) return index
  // The patch is copied ahead: what is the caller's in it may do the same with another index.
  const change = new Patch(made).toFunction(undefined, 'strict')
  const next = copying(() => change(index))
  return isUnchanged(index, next) ? index : next
}
