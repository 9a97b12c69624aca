// TOML. The file is printed anew with each change: comments are not kept.

'use strict'

const { align } = require('./diff.js')
const { codec, lazily } = require('./peer.js')

const library = lazily('smol-toml', () => require('smol-toml'))

function open(text) {
  const { parse } = library()
  try {
    return { value: parse(text) }
  } catch {
    // An integer that no number can be is no fault of the file: it is rounded here, and keeps its digits there.
    return { value: plain(parse(text, { integersAsBigInt: true })) }
  }
}

/** What the library prints as a date or a time. */
const isTime = (value) => value instanceof Date || /^Temporal\./.test(value[Symbol.toStringTag])

const isObject = (value) => typeof value === 'object' && value !== null && !isTime(value)

/**
 * `value` with whole numbers as BigInt, which the library prints without a point, but for those that are floats in the old file: there `model` has
 * numbers, and BigInt for what is whole by its type.
 */
function typed(value, model, path = 'index') {
  if (value === null || value === undefined) {
    throw new TypeError(`there is ${value} at ${path}, for which TOML has nothing: leave it out`)
  }
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) {
    throw new TypeError(`there is a lone surrogate at ${path}, for which TOML has nothing`)
  }
  if (typeof value === 'bigint' && BigInt(Number(value)) !== value) {
    throw new TypeError(
      `there is ${value} at ${path}, which would be read as ${Number(value)}: make it a string`,
    )
  }
  if (typeof value === 'number') {
    if (typeof model === 'bigint' && Number(model) === value) return model
    // One that is too large for a whole number of TOML, and -0, are floats.
    const isFloat = typeof model === 'number' || !Number.isSafeInteger(value) || Object.is(value, -0)
    return isFloat ? value : BigInt(value)
  }
  if (Array.isArray(value)) {
    const old = Array.isArray(model) ? model : []
    return models(old, value).map((item, at) => typed(value[at], item, `${path}[${at}]`))
  }
  if (!isObject(value)) return value
  if (typeof value.toJSON === 'function') return typed(value.toJSON(), model, path)
  const table = Object.create(null)
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue
    const old = isObject(model) && Object.hasOwn(model, key) ? model[key] : undefined
    table[key] = typed(value[key], old, `${path}[${JSON.stringify(key)}]`)
  }
  return table
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

function print(value, previous) {
  const { parse, stringify } = library()
  const model = previous === undefined ? undefined : parse(previous, { integersAsBigInt: true })
  // An empty file is what a power cut leaves.
  return `${stringify(typed(value, model), { numbersAsFloat: true }).trimEnd()}\n`
}

exports.toml = codec('.toml', library, { open, print, isPlain: true })
