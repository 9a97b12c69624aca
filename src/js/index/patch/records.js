// Which records of a list have a key, for the thousands of patches that share a commit: to look through the list for each would take longer than all else.
//
// A table is of a list that patches alone have changed since it was made: they keep it right. What any other function may have changed is forgotten
// (`forgetRecords`), and then looked through again. A list that is asked for once only is looked through, which costs less than a table.

/** By list. */
const tables = new WeakMap()
/** By index: what the tables of its lists are made for, until they are forgotten. */
const eras = new WeakMap()

function eraOf(index) {
  let era = eras.get(index)
  if (era === undefined) {
    era = {}
    eras.set(index, era)
  }
  return era
}

/** Others than patches may have changed the index. */
const forgetRecords = (index) => eras.delete(index)

const keyOf = (item, key) => {
  const value = isRecord(item) && own(item, key) ? item[key] : undefined
  return isKey(value) ? value : undefined
}

/** The records of one list by one key. */
class Records {
  /** By key: a position, or several. Each was right when it was noted; how many there are, always is. */
  #positions = new Map()
  #key
  #length

  constructor(list, key) {
    this.#key = key
    this.#length = list.length
    for (let at = 0; at < list.length; at++) this.#note(keyOf(list[at], key), at)
  }

  #note(value, at) {
    if (value === undefined) return
    const known = this.#positions.get(value)
    if (known === undefined) this.#positions.set(value, at)
    else if (typeof known === 'number') this.#positions.set(value, [known, at])
    else known.push(at)
  }

  #drop(value, at) {
    if (value === undefined) return
    const known = this.#positions.get(value)
    if (typeof known === 'object' && known.length > 1) {
      const place = known.indexOf(at)
      known[place === -1 ? 0 : place] = known.at(-1)
      known.pop()
    } else {
      this.#positions.delete(value)
    }
  }

  /** A record came to this position, or one that was there has gone. */
  came(item, at) {
    this.#length++
    this.#note(keyOf(item, this.#key), at)
  }

  left(item, at) {
    this.#length--
    this.#drop(keyOf(item, this.#key), at)
  }

  keyOf = (item) => keyOf(item, this.#key)

  /** The key of a record is another one than it was. */
  changed(item, at, before) {
    const after = this.keyOf(item)
    if (after === before) return
    this.#drop(before, at)
    this.#note(after, at)
  }

  /** Whether it may be of the list. */
  isOf = (list) => list.length === this.#length

  /** The positions of all records with this key, in their order. */
  find(list, value) {
    const known = this.#positions.get(value)
    if (known === undefined) return []
    const found = typeof known === 'number' ? [known] : known.sort((one, other) => one - other)
    const isThere = (at, place) => at !== found[place - 1] && keyOf(list[at], this.#key) === value
    if (found.every(isThere)) return [...found]
    // Others have come before them.
    const now = positionsOf(list, this.#key, value)
    if (now.length === 0) this.#positions.delete(value)
    else this.#positions.set(value, now)
    return [...now]
  }
}

/** The positions of all records with this key: by looking through the list. */
function positionsOf(list, key, value) {
  const found = []
  for (let at = 0; at < list.length; at++) if (keyOf(list[at], key) === value) found.push(at)
  return found
}

/** The table of a list in `index`; `undefined`: it is asked for the first time. */
function recordsOf(index, list, key) {
  const era = eraOf(index)
  let known = tables.get(list)
  if (known?.era !== era) {
    known = { era, byKey: new Map() }
    tables.set(list, known)
  }
  let records = known.byKey.get(key)
  if (records?.isOf(list)) return records
  if (records === undefined && !known.byKey.has(key)) {
    known.byKey.set(key, undefined)
    return undefined
  }
  records = new Records(list, key)
  known.byKey.set(key, records)
  return records
}

/** The positions in a list of `index` of all records with this key, in their order. */
const findRecords = (index, list, key, value) =>
  recordsOf(index, list, key)?.find(list, value) ?? positionsOf(list, key, value)

/** The tables of a list, if there are any. */
const tablesOf = (list) => tables.get(list)?.byKey.values() ?? []

function forgetList(list) {
  tables.delete(list)
}

/** An item of a list is another one now. */
function setItem(list, at, item) {
  for (const records of tablesOf(list)) {
    records?.left(list[at], at)
    records?.came(item, at)
  }
  list[at] = item
}

/** An item comes before the one that is there, or behind the last one. */
function insertItem(list, at, item) {
  for (const records of tablesOf(list)) records?.came(item, at)
  if (at === list.length) list.push(item)
  else list.splice(at, 0, item)
}

function removeItem(list, at) {
  for (const records of tablesOf(list)) records?.left(list[at], at)
  list.splice(at, 1)
}

/** Items of lists in which something is changed, and what keys they had. */
let inside = []

/** Something in an item is about to be changed. */
function enterItem(list, at) {
  for (const records of tablesOf(list)) {
    if (records !== undefined) inside.push({ records, item: list[at], at, before: records.keyOf(list[at]) })
  }
}

/** What was about to be changed is. */
function leaveItems() {
  if (inside.length === 0) return
  for (const { records, item, at, before } of inside) records.changed(item, at, before)
  inside = []
}
