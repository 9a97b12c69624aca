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
      return lossy.test(text) ? undefined : text
    }
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object': {
      if (value === null) return 'null'
      const text = typeof value.toJSON === 'function' ? undefined : objectText(value)
      return text === undefined || unusual.test(text) || lossy.test(text) ? undefined : text
    }
    default:
      return undefined
  }
}

/** What a pointer has in it that takes a closer look. */
const odd = /[~\0]|\p{Surrogate}/u

/** The operations of a part of a patch, each with a NUL character before it; `undefined`: it takes a closer look. */
function plainPart(name, kind, values, pointers) {
  if (values.toJSON !== undefined) return undefined
  let text = ''
  for (let at = 0; at < pointers.length; at++) {
    const pointer = pointers[at]
    const value = values[pointer]
    const isFit = pointer[0] === '/' && pointer.length <= native.mostSteps && !odd.test(pointer)
    const made = isFit && (kind === 'set' || typeof value === 'number') ? plainText(value) : undefined
    if (made === undefined) return undefined
    text += `\0${name}\0${kind}\0${pointer}\0\x001\0${made}\x000`
  }
  return text
}

/** As `Patch.toTexts`, of the patches that programs make most: for a tenth of what a copy costs. `undefined`: it takes a closer look. */
function plainTextOf(patch) {
  if (!isPlain(patch) || patch.toJSON !== undefined) return undefined
  const [set, increment] = [partOf(patch, 'set'), partOf(patch, 'increment')]
  if (!isPlain(set) || !isPlain(increment)) return undefined
  if (!Object.keys(patch).every((name) => name === 'set' || name === 'increment')) return undefined
  const [toSet, toIncrement] = [Object.keys(set), Object.keys(increment)]
  const first = plainPart('patch.set', 'set', set, toSet)
  if (first === undefined) return undefined
  const second = plainPart('patch.increment', 'increment', increment, toIncrement)
  const count = toSet.length + toIncrement.length
  return second === undefined || count === 0 ? undefined : count + first + second
}

/** Only `undefined` says that there is none; what JSON leaves out is none. */
const partOf = (patch, name) => {
  const part = Object.prototype.propertyIsEnumerable.call(patch, name) ? patch[name] : undefined
  return part === undefined ? nothing : part
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
