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
  return Object.assign(new Error(`${code}: ${problem(name, cause?.code, first)}`), { code, cause })
}

/** What is wrong where `name` cannot be loaded, and what to do. */
function problem(name, code, message) {
  if (code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`)) {
    return `this codec needs another package: npm install ${name}`
  }
  if (message.startsWith('Dynamic require of')) {
    return `a bundler has put this codec into an ES module, which cannot require ${name}: mark @pipeline/atomic as external, or bundle to CommonJS`
  }
  const isModule = code === 'ERR_REQUIRE_ESM' || /import statement|unexpected token '?export/i.test(message)
  if (isModule && process.env.JEST_WORKER_ID !== undefined) {
    return `jest cannot load ${name}, which is an ES module: set transformIgnorePatterns to ['/node_modules/(?!${name}/)'], with a transform to CommonJS such as @babel/preset-env`
  }
  if (isModule) {
    return `${name} is an ES module, which this version of Node.js cannot require: use Node.js 20.19, 22.12 or newer`
  }
  return `${name} cannot be loaded: ${message}; install it again: npm install ${name}`
}

/**
 * A codec over a library; `open(text)` returns an object with the `value`. Its functions are getters: a library that is missing is found out when the codec
 * is given to a call, and not when an index is parsed, which would count as broken. With `isPlain` the addon refuses what plain JSON would lose.
 */
function codec(extension, library, { open, print, edit, isPlain = false, reread }) {
  const parse = (text) => open(text).value
  const stringify = printer({ open, print, edit, reread: reread ?? parse })
  return Object.freeze({
    extension,
    isPlain,
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

/**
 * What makes a text of a value, in the place of a `previous` one. `print(value, previous, isOld)` prints plainly; with `isOld` it is what
 * `previous` says itself. `reread` parses what is printed.
 * `edit(opened, old, after)` changes a text as `open` gives it, which says what the plain text `old` does, into one that says `after`; it returns
 * `undefined` if it cannot.
 *
 * What a text says is compared after it was put through the same print: what the format cannot say again is no change, and stays as it is.
 */
function printer({ open, print, reread, edit = () => undefined }) {
  return (value, previous) => {
    const printed = print(value, previous)
    // What cannot be read again is refused, and not written.
    const after = reread(printed)
    if (previous === undefined) return printed
    const opened = open(previous)
    const old = print(opened.value, previous, true)
    return old === printed ? previous : (edit(opened, old, after) ?? printed)
  }
}

module.exports = { lazily, codec }
