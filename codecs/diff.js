// How two values differ: what the codecs that keep comments print anew, and what they leave alone.

'use strict'

/** More pairs than this are not compared: a list that is changed all over is paired by position. */
const MOST_PAIRS = 1_000_000

/** So few are compared one by one, which ends where they first differ: a text is made of all that is in an item. */
const FEW_PAIRS = 16

const isObject = (value) => typeof value === 'object' && value !== null

/** Whether both are lists, or both are objects with keys: then one can be changed into the other. */
function isSameKind(one, other) {
  return isObject(one) && isObject(other) && Array.isArray(one) === Array.isArray(other)
}

/** A date of TOML says in its text whether it is local, and whether it has a time. */
const isSameDate = (one, other) =>
  one instanceof Date && other instanceof Date && one.toJSON() === other.toJSON()

/** Whether two values of JSON say the same. The order of keys does not count. */
function isSame(one, other) {
  if (Object.is(one, other)) return true
  if (!isSameKind(one, other)) return false
  if (one instanceof Date || other instanceof Date) return isSameDate(one, other)
  if (Array.isArray(one)) {
    return one.length === other.length && one.every((item, at) => isSame(item, other[at]))
  }
  const keys = Object.keys(one)
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && isSame(one[key], other[key]))
  )
}

/** A text that two values have in common if, and only if, they are the same. */
function textOf(value) {
  if (value instanceof Date) return `date ${value.toJSON()}`
  if (Array.isArray(value)) return `[${Array.from(value, textOf)}]`
  if (isObject(value)) {
    const keys = Object.keys(value).sort()
    return `{${keys.map((key) => `${JSON.stringify(key)}:${textOf(value[key])}`)}}`
  }
  if (typeof value === 'string') return JSON.stringify(value)
  return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`
}

/**
 * Which items of the list `after` are those of `before`, as pairs of positions in the order of `after`: `undefined` in the first place for
 * an item that is new, in the second for one that is gone. Items that are the same are paired first, by a longest common subsequence;
 * of what is between those, the one is changed into the other.
 */
function align(before, after) {
  let start = 0
  const shorter = Math.min(before.length, after.length)
  while (start < shorter && isSame(before[start], after[start])) start++
  let end = 0
  while (end < shorter - start && isSame(before.at(-1 - end), after.at(-1 - end))) end++
  const [oldEnd, newEnd] = [before.length - end, after.length - end]

  const pairs = Array.from({ length: start }, (_, at) => [at, at])
  let [oldAt, newAt] = [start, start]
  const common = commonItems(before.slice(start, oldEnd), after.slice(start, newEnd))
  for (const [one, other] of [...common.map((pair) => pair.map((at) => at + start)), [oldEnd, newEnd]]) {
    while (oldAt < one || newAt < other) {
      pairs.push([oldAt < one ? oldAt++ : undefined, newAt < other ? newAt++ : undefined])
    }
    if (one < oldEnd) pairs.push([oldAt++, newAt++])
  }
  for (; oldAt < before.length; oldAt++, newAt++) pairs.push([oldAt, newAt])
  return pairs
}

/** The positions of a longest common subsequence. */
function commonItems(before, after) {
  const count = before.length * after.length
  // The first items differ, so one and one have nothing in common.
  if (count <= 1 || count > MOST_PAIRS) return []
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1))
  const isPair = count <= FEW_PAIRS ? (i, j) => isSame(before[i], after[j]) : numbered(before, after)
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i][j] = isPair(i, j)
        ? lengths[i + 1][j + 1] + 1
        : Math.max(lengths[i + 1][j], lengths[i][j + 1])
    }
  }
  const pairs = []
  for (let i = 0, j = 0; i < before.length && j < after.length; ) {
    if (isPair(i, j)) pairs.push([i++, j++])
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++
    else j++
  }
  return pairs
}

/** Each item is looked through once, and not once for each pair. */
function numbered(before, after) {
  const seen = new Map()
  const number = (item) => {
    const text = textOf(item)
    if (!seen.has(text)) seen.set(text, seen.size)
    return seen.get(text)
  }
  const [ones, others] = [Array.from(before, number), Array.from(after, number)]
  return (i, j) => ones[i] === others[j]
}

module.exports = { align, isSame, isSameKind, textOf }
