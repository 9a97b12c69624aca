// The forms of a patch, and what each comes to: a list of operations.
//
// A name in `set` is a key where `delete` is given, and a pointer where it begins with `/` and `delete` is not. So a program that has its keys
// from elsewhere can have all of them taken as keys, and what could be either is refused.

const OWN = ['set', 'remove', 'upsert', 'increment', 'append']

/** What the operations of RFC 6902 have beside `op` and `path`. */
const JSON_PATCH = {
  add: 'value',
  remove: undefined,
  replace: 'value',
  move: 'from',
  copy: 'from',
  test: 'value',
}

const FORMS =
  'set, remove, upsert, increment and append (pointers), set and delete (keys), or merge; or it is an array of operations (JSON Patch)'

/** Of which form a patch is. */
function formOf(patch) {
  if (typeof patch !== 'object' || patch === null) throw native.wrongType('patch', 'of type Object', patch)
  if (Array.isArray(patch)) return 'list'
  const given = Object.keys(patch).filter((name) => patch[name] !== undefined)
  const unknown = given.find((name) => name !== 'delete' && name !== 'merge' && !OWN.includes(name))
  if (unknown !== undefined) {
    throw native.wrongValue('patch', `has '${unknown}', which is none of its parts: ${FORMS}`, patch)
  }
  // JSON would leave them out.
  const lost = given.find((name) => ['function', 'symbol'].includes(typeof patch[name]))
  if (lost) throw native.wrongType(`patch.${lost}`, 'of type Object', patch[lost])
  const alone = ['merge', 'delete'].find((name) => given.includes(name))
  const other = given.find((name) => name !== alone && !(alone === 'delete' && name === 'set'))
  if (alone && other) {
    throw native.wrongValue('patch', `has both '${alone}' and '${other}'. A patch has either ${FORMS}`, patch)
  }
  if (alone) return alone === 'merge' ? 'merge' : 'keys'
  if (given.some((name) => name !== 'set')) return 'operations'
  const { set } = patch
  const names = isContainer(set) && !Array.isArray(set) ? Object.keys(set) : []
  const pointers = names.filter((name) => name.startsWith('/'))
  // Nothing to be set is a list of pointers too, which fits any index.
  if (pointers.length === names.length) return 'operations'
  if (pointers.length === 0) return 'keys'
  const key = names.find((name) => !name.startsWith('/'))
  if (key === '') throw emptyName(set)
  throw native.wrongValue(
    'patch.set',
    `must have either pointers ('${pointers[0]}') or keys ('${key}'): write the key as '${pointerOf([key])}', or give { delete: [] } as well, with which all are keys`,
    set,
  )
}

/** By itself the empty name is a key, and as a pointer it would be the whole index. */
function emptyName(set) {
  return native.wrongValue(
    'patch.set',
    "must not have '' beside pointers: write the key as '/', or give { delete: [] } alone with it; for the whole index use [{ op: 'replace', path: '', value }]",
    set,
  )
}

function checkPointer(name, pointer) {
  if (typeof pointer !== 'string') throw native.wrongType(name, 'of type string', pointer)
  const keys = keysOf(pointer)
  if (keys !== undefined && keys.length <= native.mostSteps) return pointer
  throw native.wrongValue(name, native.pointerForm, pointer)
}

/** A member that is merged is a pointer as well: a patch that is merged is as deep as these are long. */
function checkDepth(name, value) {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > native.mostSteps) {
      throw native.wrongValue(name, `must not have objects more than ${native.mostSteps} deep`, value)
    }
    level = level.filter(isRecord).flatMap((record) => Object.values(record))
  }
  return value
}

function checkRecord(name, value) {
  if (isRecord(value)) return value
  throw native.wrongType(name, 'of type Object', value)
}

function checkList(name, value) {
  if (Array.isArray(value)) return value
  throw native.wrongType(name, 'an instance of Array', value)
}

const isKey = (value) => typeof value === 'string' || typeof value === 'number'

function upsertOf(name, given) {
  const { at: pointer, key, records = [], remove = [] } = checkRecord(name, given)
  if (typeof key !== 'string') throw native.wrongType(`${name}.key`, 'of type string', key)
  const faulty = (record) => !isRecord(record) || !own(record, key) || !isKey(record[key])
  const wrong = checkList(`${name}.records`, records).findIndex(faulty)
  if (wrong !== -1) {
    const part = `${name}.records[${wrong}]`
    const record = checkRecord(part, records[wrong])
    throw native.wrongValue(part, `must have its key, a string or a number, as '${key}'`, record)
  }
  const odd = checkList(`${name}.remove`, remove).findIndex((doomed) => !isKey(doomed))
  if (odd !== -1) throw native.wrongType(`${name}.remove[${odd}]`, 'of type string or number', remove[odd])
  return { name, kind: 'upsert', pointer: checkPointer(`${name}.at`, pointer), key, records, remove }
}

/** Of each part the operations, in the order in which they are done. */
const parts = {
  remove: (name, given) =>
    checkList(name, given).map((pointer, at) => ({
      kind: 'remove',
      pointer: checkPointer(`${name}[${at}]`, pointer),
    })),
  set: (name, given) =>
    Object.entries(checkRecord(name, given)).map(([pointer, value]) => {
      if (pointer === '') throw emptyName(given)
      return { kind: 'set', pointer: checkPointer(name, pointer), value }
    }),
  upsert: (name, given) =>
    Array.isArray(given) ? given.map((one, at) => upsertOf(`${name}[${at}]`, one)) : [upsertOf(name, given)],
  increment: (name, given) =>
    Object.entries(checkRecord(name, given)).map(([pointer, value]) => {
      if (typeof value !== 'number' && !isRaw(value)) {
        throw native.wrongType(`${name}['${pointer}']`, 'of type number', value)
      }
      return { kind: 'increment', pointer: checkPointer(name, pointer), value }
    }),
  append: (name, given) =>
    Object.entries(checkRecord(name, given)).map(([pointer, value]) => ({
      kind: 'append',
      pointer: checkPointer(name, pointer),
      value: checkList(`${name}['${pointer}']`, value),
    })),
}

/** One of RFC 6902. */
function stepOf(name, step) {
  checkRecord(name, step)
  const kind = own(step, 'op') ? step.op : undefined
  if (typeof kind !== 'string' || !own(JSON_PATCH, kind)) {
    throw native.wrongValue(`${name}.op`, 'must be one of add, remove, replace, move, copy and test', kind)
  }
  const pointer = checkPointer(`${name}.path`, own(step, 'path') ? step.path : undefined)
  const more = JSON_PATCH[kind]
  const given = own(step, more) ? step[more] : undefined
  if (more === 'from') checkPointer(`${name}.from`, given)
  if (more === 'value' && given === undefined) {
    throw native.wrongValue(`${name}.value`, 'must be given; null is a value', given)
  }
  return { name, kind, pointer, [more]: given }
}

/** What a patch comes to that was copied. */
function stepsOf(form, patch) {
  if (form === 'list') {
    return checkList('patch', patch).map((step, at) => stepOf(`patch[${at}]`, step))
  }
  checkRecord('patch', patch)
  if (form === 'merge')
    return [{ name: 'patch.merge', kind: 'merge', value: checkDepth('patch.merge', patch.merge) }]
  const all = []
  for (const part of Object.keys(parts)) {
    if (!own(patch, part)) continue
    const name = `patch.${part}`
    for (const step of parts[part](name, patch[part])) {
      step.name ??= name
      all.push(step)
    }
  }
  return all
}

/** Sets and deletes keys. */
function patchKeys(index, set, doomed) {
  if (Array.isArray(index)) {
    const message =
      'A patch of keys is for an index that is an object. This one is an array: patch it by pointers, or use atomicIndexUpdate'
    throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  const next = ownedAt(rooted(index), '')
  checkContainer(next)
  for (const key of doomed) delete next[key]
  // Not by assignment, for which __proto__ is no key.
  return Object.defineProperties(next, Object.getOwnPropertyDescriptors(set))
}

/** What may be a number with more digits than JavaScript has, or is what JSON leaves of something else. */
const unusual = /[\d.]{16}|\d[eE]|\{\}/
/** Strings, which may have the same in them: a digest does. */
const strings = /"(?:[^"\\]|\\.)*"/g

const isUnusual = (text) => unusual.test(text) && unusual.test(text.replace(strings, '""'))

/** What UTF-8 has not. */
const lossy = /\p{Surrogate}|\\ud[89a-f]/u

/** A function that returns a copy of what an argument is now, anew each time. */
function copied(name, value) {
  let text
  try {
    text = JSON.stringify(value)
  } catch {
    // The addon says what is wrong.
  }
  return text === undefined || isUnusual(text) ? native.copied(name, value) : () => JSON.parse(text)
}

/** A function that returns what `copy` returns, which is called once more only if that is needed again. */
function anew(copy) {
  let ready = copy()
  return () => {
    const given = ready ?? copy()
    ready = undefined
    return given
  }
}

/** What the patch makes of a parsed index, which has to be copied only once for that. */
function changedBy(patch, index, shown, numbers) {
  const form = formOf(patch)
  const copy = form === 'keys' ? undefined : plainCopy(patch)
  if (copy === undefined) return new Patch(patch).toFunction(shown, numbers)(index)
  return functionOf(() => stepsOf(form, copy), shown, numbers)(index)
}

/** What a call is rejected with. */
function failureOf({ pointer, reached, reason, name }, shown) {
  native.count()
  const what = name === undefined ? 'the result of the patch' : `${name}: '${pointer}'`
  const code = 'ERR_ATOMIC_PATCH'
  const where = shown === undefined ? '' : `, '${shown}'`
  const message = `${code}: ${what} ${reason}. Nothing of the patch was done${where}`
  const path = shown === undefined ? {} : { path: shown }
  return Object.assign(new Error(message), { code, ...path, pointer, reached })
}

/** The function of an update of what the caller calls `shown`, by the steps that `take` returns. */
function functionOf(take, shown, numbers) {
  return (index) => {
    const steps = take()
    try {
      return applied(index, steps, numbers)
    } catch (error) {
      throw error instanceof Failure ? failureOf(error, shown) : error
    }
  }
}

/** Keys to set and to delete, for an inbox. */
const carried = (set, doomed) => ({ set, delete: doomed.length > 0 ? doomed : undefined })

/** A patch that is copied during the call. */
class Patch {
  #form
  #take
  #doomed

  constructor(patch) {
    this.#form = formOf(patch)
    if (this.#form === 'keys') {
      const { set = {}, delete: doomed = [] } = patch
      const copy = copied('patch.set', checkRecord('patch.set', set))
      this.#take = anew(() => checkRecord('patch.set', copy()))
      this.#doomed = checkList('patch.delete', doomed).map(String)
    } else {
      const copy = copied('patch', patch)
      this.#take = anew(() => stepsOf(this.#form, copy()))
    }
  }

  /** As `toFunction`, of a text that `plainTextOf` has made. */
  static functionOf = (text, shown, numbers) => functionOf(() => plainSteps(text), shown, numbers)

  /** See there. */
  static updateOf = updateOf
  static makerOf = makerOf
  static appliedTo = appliedTo
  static forgetRecords = forgetRecords

  /** What a call is rejected with, by what the addon says of it. */
  static toFailure = failureOf

  /** The options of the update: an index begins as an empty object. */
  static toOptions = (options) => (options?.initial === undefined ? { ...options, initial: {} } : options)

  /** As the function of an update of what the caller calls `shown`. */
  toFunction(shown, numbers) {
    if (this.#form === 'keys') return (index) => patchKeys(index, this.#take(), this.#doomed)
    return functionOf(this.#take, shown, numbers)
  }

  /**
   * As operations on the text of an index, for the addon, in one string: how many, and of each its name, kind, pointer, `from` or key, and two lists of JSON
   * texts, what it puts there and the keys to remove, each with its length before it. Between them is a NUL character, which JSON has not.
   * `undefined`: keys are for objects only, which a text does not tell; UTF-8 has no half of a surrogate pair; and what is merged may be nothing.
   */
  toTexts() {
    if (this.#form === 'keys') return undefined
    const parts = []
    const list = (values) => {
      parts.push(values.length)
      for (const value of values) parts.push(JSON.stringify(value))
    }
    const steps = this.#take()
    parts.push(steps.length)
    for (const { name, kind, pointer = '', from, key, value, records, remove = [] } of steps) {
      const other = from ?? key ?? ''
      if (`${pointer}${other}`.includes('\0') || (kind === 'merge' && value === undefined)) return undefined
      parts.push(name, kind, pointer, other)
      list(kind === 'append' ? value : (records ?? (value === undefined ? [] : [value])))
      list(remove)
    }
    const texts = parts.join('\0')
    return lossy.test(texts) ? undefined : texts
  }

  /** As keys to set and to delete, which is what the inbox of a store can carry; `undefined` for any other patch. */
  toKeys() {
    const taken = this.#take()
    if (this.#form === 'keys') return carried(taken, this.#doomed)
    const set = new Map()
    const doomed = new Set()
    const change = (key, value) => {
      set.delete(key)
      doomed.delete(key)
      if (value === undefined) doomed.add(key)
      else set.set(key, value)
    }
    for (const { kind, pointer, value, ...step } of taken) {
      const keys = keysOf(pointer ?? '')
      if (kind === 'set' && keys.length === 1 && this.#form === 'operations') {
        change(keys[0], value)
      } else if (kind === 'upsert' && keys.length === 0) {
        for (const key of step.remove) change(String(key))
        for (const record of step.records) change(String(record[step.key]), record)
      } else {
        return undefined
      }
    }
    return carried(Object.fromEntries(set), [...doomed])
  }
}
