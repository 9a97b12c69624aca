// TOML. The file is printed anew with each change: comments are not kept.

'use strict'

const { align } = require('./diff.js')
const { codec, lazily } = require('./peer.js')

const library = lazily('smol-toml', () => require('smol-toml'))

/** Whole numbers that JavaScript would round are rounded in the value, and keep their digits in the file: see `printable`. */
function open(text) {
  const value = library().parse(text, { integersAsBigInt: 'asNeeded' })
  return { value: largeOf(value).hasWhole ? plain(value) : value }
}

/** What the library prints as a date or a time. */
const isTime = (value) => value instanceof Date || /^Temporal\./.test(value[Symbol.toStringTag])

const isObject = (value) => typeof value === 'object' && value !== null && !isTime(value)

/**
 * The numbers of a file beyond 2^53, where several have one value in JavaScript: what stands in the file for each value, and `undefined` if there
 * is more than one; and whether one of them is a whole number by its type.
 */
function largeOf(model, large = { found: new Map(), hasWhole: false }) {
  if (typeof model === 'bigint') {
    checkRange(model)
    add(large, Number(model), model)
    large.hasWhole ||= !Number.isSafeInteger(Number(model))
  } else if (typeof model === 'number') {
    add(large, model, model)
  } else if (Array.isArray(model)) {
    for (const item of model) largeOf(item, large)
  } else if (isObject(model)) {
    for (const key of Object.keys(model)) largeOf(model[key], large)
  }
  return large
}

function add({ found }, value, written) {
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return
  found.set(value, found.has(value) && found.get(value) !== written ? undefined : written)
}

function checkRange(whole, where = '') {
  if (BigInt.asIntN(64, whole) === whole) return
  const digits = String(whole)
  const start = digits.length > 40 ? `${digits.slice(0, 40)}…` : digits
  throw new RangeError(
    `there is the whole number ${start}${where}, and TOML has 64 bits for one: make it a string`,
  )
}

/**
 * `value` with whole numbers as BigInt, which the library prints without a point, but for those that are floats in the old file: there `model` has
 * numbers, and BigInt for what is whole by its type. A number beyond 2^53 is written as the old file has it, wherever it stands now; where that
 * cannot be told, it is refused. Of the value of the file itself (`isOld`) each is where it was.
 */
function printable(value, model, large, isOld, path = 'index') {
  if (value === null || value === undefined) {
    throw new TypeError(`there is ${value} at ${path}, for which TOML has nothing: leave it out`)
  }
  if (typeof value === 'string') checkText(value, `at ${path}`)
  if (typeof value === 'bigint') return checkedWhole(value, path)
  if (typeof value === 'number') return numberOf(value, model, large, isOld, path)
  if (Array.isArray(value)) {
    const old = Array.isArray(model) ? model : []
    return models(old, value).map((item, at) => printable(value[at], item, large, isOld, `${path}[${at}]`))
  }
  if (!isObject(value)) return value
  if (typeof value.toJSON === 'function') return printable(value.toJSON(), model, large, isOld, path)
  const table = Object.create(null)
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue
    checkText(key, `in a key of ${path}`)
    const old = isObject(model) && Object.hasOwn(model, key) ? model[key] : undefined
    table[key] = printable(value[key], old, large, isOld, `${path}[${JSON.stringify(key)}]`)
  }
  return table
}

function checkText(text, where) {
  if (!text.isWellFormed()) {
    throw new TypeError(`there is a lone surrogate ${where}, for which TOML has nothing`)
  }
}

function checkedWhole(value, path) {
  checkRange(value, ` at ${path}`)
  if (BigInt(Number(value)) !== value) {
    throw new TypeError(
      `there is ${value} at ${path}, which would be read as ${Number(value)}: make it a string`,
    )
  }
  return value
}

function numberOf(value, model, { found, hasWhole }, isOld, path) {
  // -0 is a float.
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    return typeof model === 'number' ? value : BigInt(value)
  }
  if (found.get(value) !== undefined) return found.get(value)
  if (found.has(value)) {
    if (isOld) return model
    throw new TypeError(
      `there is ${value} at ${path}, and the file has several numbers that JavaScript rounds to that one: make them strings in the file`,
    )
  }
  // Such as one of the file plus 1.
  if (hasWhole && Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) <= 2 ** 63) {
    throw new TypeError(
      `there is ${value} at ${path}, and the file has whole numbers that JavaScript rounds, of which it may be made: give a BigInt, or a string`,
    )
  }
  // A new one that is too large to be exact is a float.
  return value
}

/** What each item of a list was before; of a new one, the first. */
function models(old, list) {
  const found = Array.from(list, () => old[0])
  for (const [at, next] of align(old.map(plain), list)) {
    if (at !== undefined && next !== undefined) found[next] = old[at]
  }
  return found
}

/** With numbers in the place of BigInt. */
function plain(value) {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

function print(value, previous, isOld) {
  const { parse, stringify } = library()
  const model = previous === undefined ? undefined : parse(previous, { integersAsBigInt: true })
  // An empty file is what a power cut leaves.
  return `${stringify(printable(value, model, largeOf(model), isOld), { numbersAsFloat: true }).trimEnd()}\n`
}

exports.toml = codec('.toml', library, { open, print, isPlain: true })
