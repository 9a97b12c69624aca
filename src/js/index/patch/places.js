// Where a pointer (RFC 6901) leads in a parsed index. Compiled by the addon together with the other scripts here; `native` is what
// the addon has for them.

const tagOf = Object.prototype.toString
const own = (object, key) => Object.hasOwn(object, key)

/** A number with all its digits, which is an object for JavaScript and none for JSON. */
const isRaw = (value) => JSON.isRawJSON?.(value) ?? false
const isContainer = (value) => typeof value === 'object' && value !== null && !isRaw(value)
const isRecord = (value) => isContainer(value) && !Array.isArray(value)

/** A value in a message. */
function kindOf(value) {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (isRaw(value)) return 'a number'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Why a patch cannot be applied: `pointer` is the one that it is about, `reached` how far that leads. */
class Failure {
  constructor(pointer, reached, reason) {
    Object.assign(this, { pointer, reached, reason })
  }
}

/** What cannot be changed as is to be: a call before this one has made it, so this one runs again on what is stored. */
function unfit(what) {
  const message = `The index is frozen, or ${what}: use atomicIndexUpdate`
  return Object.assign(new Error(message), { code: 'ERR_INVALID_STATE' })
}

/** Refuses a container whose members are not what is written of it. */
function checkPlain(value) {
  const isPlain = Array.isArray(value) || tagOf.call(value) === '[object Object]'
  if (typeof value.toJSON === 'function') throw unfit('has a method toJSON that makes another one of it')
  if (!isPlain) throw unfit(`has ${tagOf.call(value).slice(8, -1)}s in it, which are no JSON`)
}

/** As `checkPlain`, of one that is to be changed. */
function checkContainer(value) {
  checkPlain(value)
  if (!Object.isExtensible(value)) throw unfit('a part of it is')
}

/** Containers that nobody else has, if all others are to stay as they are. */
let copies

/** What `change` makes of an index that stays as it is: what it changes is copied, all else is shared. */
function copying(change) {
  // A getter in the index may do the same with another one.
  const outer = copies
  copies = new Set()
  try {
    return change()
  } finally {
    copies = outer
  }
}

/** The container that a member is, to be changed. */
function ownedAt(container, key) {
  const value = container[key]
  if (copies === undefined || copies.has(value) || !isContainer(value)) return value
  checkPlain(value)
  const copy = Array.isArray(value) ? [...value] : { ...value }
  copies.add(copy)
  put(container, key, copy)
  return copy
}

/** The keys of a pointer; `undefined` for what is none. */
function keysOf(pointer) {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) return undefined
  const keys = pointer.slice(1).split('/')
  if (!pointer.includes('~')) return keys
  if (/~(?![01])/.test(pointer)) return undefined
  return keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

const pointerOf = (keys) => keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

const isPosition = (key) => /^(0|[1-9]\d*)$/.test(key)

/** Whether a container has this member; a position in an array is written as RFC 6901 has it. */
function has(container, key) {
  if (!Array.isArray(container)) return own(container, key)
  return isPosition(key) && Number(key) < container.length
}

/** Sets a member, or an item. Not by assignment, for which `__proto__` is no key. */
function put(container, key, value) {
  if (Array.isArray(container)) return setItem(container, Number(key), value)
  Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true })
}

/** A document, as the only member of an object: so the whole of it has a place as well. */
const rooted = (index) => ({ '': index })

const at = (keys) => (keys.length === 0 ? 'the index' : `'${pointerOf(keys)}'`)

/** Where a pointer leads: the container of the last key, which need not have it. */
function placeOf(root, pointer) {
  const keys = keysOf(pointer)
  let container = root
  let key = ''
  for (let depth = 0; depth < keys.length; depth++) {
    const value = has(container, key) ? ownedAt(container, key) : undefined
    if (value === undefined) throw missing(pointer, keys, depth - 1, container)
    if (!isContainer(value)) {
      const before = keys.slice(0, depth)
      throw new Failure(pointer, pointerOf(before), `leads nowhere: ${at(before)} is ${kindOf(value)}`)
    }
    checkContainer(value)
    if (Array.isArray(container)) enterItem(container, Number(key))
    container = value
    key = keys[depth]
  }
  return { pointer, keys, container, key }
}

/** `container`, which is at the first `depth` keys, lacks the next one. */
function missing(pointer, keys, depth, container) {
  const before = keys.slice(0, Math.max(depth, 0))
  const what =
    depth < 0 ? 'the index is nothing' : `${at(before)} is ${kindOf(container)} without '${keys[depth]}'`
  return new Failure(pointer, pointerOf(before), `leads nowhere: ${what}`)
}

/** As `placeOf`, of what is there. */
function takenPlaceOf(root, pointer) {
  const place = placeOf(root, pointer)
  if (!has(place.container, place.key)) {
    throw missing(pointer, place.keys, place.keys.length - 1, place.container)
  }
  return place
}

/** A copy that shares nothing. */
function clone(value) {
  if (!isContainer(value)) return value
  checkPlain(value)
  if (Array.isArray(value)) return value.map(clone)
  const copy = {}
  for (const key of Object.keys(value)) setMember(copy, key, clone(value[key]))
  return copy
}

/** Sets a member of an object that was made here: for a tenth of what it costs to define it. */
function setMember(copy, key, value) {
  if (key === '__proto__') put(copy, key, value)
  else copy[key] = value
}

/** So deep is copied without a detour. */
const MOST_LEVELS = 20

/** A copy as JSON would have it; `undefined`: that takes a closer look. */
function plainCopy(value, levels = MOST_LEVELS) {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : undefined
  if (typeof value !== 'object' || levels === 0 || value.toJSON !== undefined) return undefined
  if (Array.isArray(value)) {
    const copy = []
    for (const item of value) {
      const own = plainCopy(item, levels - 1)
      if (own === undefined) return undefined
      copy.push(own)
    }
    return copy
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
  const copy = {}
  for (const key of Object.keys(value)) {
    const own = plainCopy(value[key], levels - 1)
    if (own === undefined) return undefined
    setMember(copy, key, own)
  }
  return copy
}

/** Whether two values are the same as RFC 6902 has it: members in any order. */
function isSame(one, other) {
  if (isRaw(one) || isRaw(other)) return isRaw(one) && isRaw(other) && one.rawJSON === other.rawJSON
  if (!isContainer(one) || !isContainer(other)) return one === other
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length) return false
  return keys.every((key) => own(other, key) && isSame(one[key], other[key]))
}

/** Whether JSON prints two values alike. They may have parts in common. */
function isUnchanged(one, other) {
  if (one === other) return true
  if (!isContainer(one) || !isContainer(other)) return isSame(one, other)
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const [keys, others] = [Object.keys(one), Object.keys(other)]
  if (keys.length !== others.length) return false
  return keys.every((key, at) => key === others[at] && isUnchanged(one[key], other[key]))
}
