// The text of patches that programs make most, members that are set and numbers that are incremented: for a tenth of what a copy costs.

const nothing = {}

const isPlain = (value) =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

/** What `look` says of these; `undefined`: it runs code of the caller's that throws, or there is no working directory. The addon says so in its own way. */
function attempted(look, one, two, three) {
  try {
    return look(one, two, three)
  } catch {
    return undefined
  }
}

/** The text of an object; `undefined`: there is none, or a raw number is in it that JavaScript would print in another way. */
function objectText(value) {
  const text = JSON.stringify(value)
  if (JSON.rawJSON === undefined || text === undefined) return text
  return JSON.stringify(JSON.parse(text)) === text ? text : undefined
}

/** The text of a value; `undefined`: it takes a closer look. */
function plainText(value) {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? `${value === 0 ? 0 : value}` : undefined
    case 'string': {
      const text = JSON.stringify(value)
      return text.includes(escaped) ? undefined : text
    }
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object': {
      if (value === null) return 'null'
      const text = typeof value.toJSON === 'function' ? undefined : objectText(value)
      return text === undefined || isUnusual(text) || text.includes(escaped) ? undefined : text
    }
    default:
      return undefined
  }
}

/** What JSON makes of half of a surrogate pair begins so. */
const escaped = '\\ud'

/** What a pointer has in it that takes a closer look. */
const odd = /[~\0]/

/** The operations of a part of a patch, each with a NUL character before it; `undefined`: it takes a closer look. Only `undefined` says that there is no such part. */
function plainPart(part, name, kind, count) {
  if (part === undefined) return { text: '', count }
  // `in`: objects of pointers are of ever new kinds for V8, and what it looks for in vain in one of a new kind takes it microseconds after a pause.
  if (!isPlain(part) || 'toJSON' in part) return undefined
  const pointers = Object.keys(part)
  let text = ''
  for (let at = 0; at < pointers.length; at++) {
    const pointer = pointers[at]
    const value = part[pointer]
    const isFit = pointer[0] === '/' && pointer.length <= native.mostSteps && !odd.test(pointer)
    const made = isFit && (kind === 'set' || typeof value === 'number') ? plainText(value) : undefined
    if (made === undefined) return undefined
    text += `\0${name}\0${kind}\0${pointer}\0\x001\0${made}\x000`
  }
  return { text, count: count + pointers.length }
}

/**
 * As `Patch.toTexts`, of the patches that programs make most: for a tenth of what a copy costs. `undefined`: it takes a closer look. After a
 * pause each function that was not used lately costs microseconds, whatever it does: so here are few different ones.
 */
function plainTextOf(patch) {
  if (!isPlain(patch) || patch.toJSON !== undefined) return undefined
  const names = Object.keys(patch)
  // (Before one is read, which may run code of the caller's.)
  for (let at = 0; at < names.length; at++)
    if (names[at] !== 'set' && names[at] !== 'increment') return undefined
  let set
  let increment
  for (let at = 0; at < names.length; at++) {
    if (names[at] === 'set') set = patch.set
    else increment = patch.increment
  }
  const first = plainPart(set, 'patch.set', 'set', 0)
  if (first === undefined) return undefined
  const all = plainPart(increment, 'patch.increment', 'increment', first.count)
  if (all === undefined || all.count === 0) return undefined
  const text = all.count + first.text + all.text
  return text.isWellFormed() ? text : undefined
}

/** The steps of such a text. */
function plainSteps(text) {
  const parts = text.split('\0')
  const steps = []
  for (let at = 1; at < parts.length; at += 7) {
    steps.push({
      name: parts[at],
      kind: parts[at + 1],
      pointer: parts[at + 2],
      value: JSON.parse(parts[at + 5]),
    })
  }
  return steps
}
