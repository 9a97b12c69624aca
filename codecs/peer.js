// What the codecs have in common: each is over a library that its users install.

'use strict'

/** A library that `load` requires when it is needed first. */
function lazily(name, load) {
  let loaded
  return () => {
    if (loaded === undefined) {
      try {
        loaded = load()
      } catch (cause) {
        throw failure(name, cause)
      }
    }
    return loaded
  }
}

function failure(name, cause) {
  const code = 'ERR_ATOMIC_NO_CODEC'
  const [first] = String(cause?.message ?? cause).split('\n')
  const isMissing = cause?.code === 'MODULE_NOT_FOUND' && first.includes(`'${name}'`)
  const problem = isMissing
    ? `this codec needs another package: npm install ${name}`
    : cause?.code === 'ERR_REQUIRE_ESM'
      ? `${name} is an ES module, which this version of Node.js cannot require: use Node.js 20.19, 22.12 or newer`
      : `${name} cannot be loaded: ${first}; install it again: npm install ${name}`
  return Object.assign(new Error(`${code}: ${problem}`), { code, cause })
}

/**
 * A codec over a library. Its functions are getters: a library that is missing is found out when the codec is given to a call, and
 * not when an index is parsed, which would count as broken.
 */
function codec(extension, library, { parse, stringify }) {
  return Object.freeze({
    extension,
    get parse() {
      library()
      return parse
    },
    get stringify() {
      library()
      return stringify
    },
  })
}

/** Throws for what would be lost without a word: a text of plain objects has no place for the entries of a `Map`. */
function refuseCollections(value, path = 'index') {
  if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return
  for (const [Class, instead] of [
    [Map, 'Object.fromEntries(map)'],
    [Set, '[...set]'],
  ]) {
    if (value instanceof Class)
      throw new TypeError(`there is a ${Class.name} at ${path}: put ${instead} there`)
  }
  for (const key of Object.keys(value)) refuseCollections(value[key], `${path}[${JSON.stringify(key)}]`)
}

module.exports = { lazily, codec, refuseCollections }
