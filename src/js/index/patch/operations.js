// What the operations of a patch do with a parsed index. They change it in place: of a call that fails nothing is kept, as the index is
// parsed anew then.

/** The sum of two numbers. With `numbers: 'lossy'` it may lose digits. */
function sumOf(one, other, numbers, fail) {
  const isWhole = (value) => (isRaw(value) ? /^-?\d+$/.test(value.rawJSON) : Number.isInteger(value))
  const bothWhole = isWhole(one) && isWhole(other)
  if (!isRaw(one) && !isRaw(other)) {
    const sum = one + other
    const isKept = !bothWhole || Number.isSafeInteger(sum) || numbers === 'lossy'
    if (Number.isFinite(sum) && isKept) return sum
  }
  const whole = (value) => BigInt(isRaw(value) ? value.rawJSON : value)
  if (!bothWhole || numbers !== 'exact') throw fail()
  const parts = [whole(one), whole(other), whole(one) + whole(other)]
  // As many digits as the engine adds.
  if (parts.some((part) => part <= -(10n ** 38n) || part >= 10n ** 38n)) throw fail()
  return JSON.rawJSON(String(parts[2]))
}

function merge(container, key, patch) {
  if (!isRecord(patch)) return put(container, key, patch)
  const before = own(container, key) ? ownedAt(container, key) : undefined
  const next = isRecord(before) ? before : {}
  checkContainer(next)
  for (const name of Object.keys(patch)) {
    if (patch[name] === null) delete next[name]
    else merge(next, name, patch[name])
  }
  if (next !== before) put(container, key, next)
}

/** Puts records into an array that has each of them at most once. */
function upsertList(index, list, { key, records, remove }) {
  const doomed = new Set(remove)
  if (doomed.size > 0 && list.some((item) => doomed.has(keyOf(item, key)))) {
    const kept = list.filter((item) => !doomed.has(keyOf(item, key)))
    for (let at = 0; at < kept.length; at++) list[at] = kept[at]
    list.length = kept.length
    forgetList(list)
  }
  const known = copies === undefined ? recordsOf(index, list, key) : undefined
  const first = known ? undefined : firstPositions(list, key, records)
  for (const record of records) {
    const name = record[key]
    const at = (known ? known.find(list, name)[0] : first.get(name)) ?? list.length
    if (at < list.length) {
      setItem(list, at, record)
    } else {
      insertItem(list, at, record)
      first?.set(name, at)
    }
  }
}

/** Where the records of these keys are first. */
function firstPositions(list, key, records) {
  const wanted = new Set(records.map((record) => record[key]))
  const first = new Map()
  for (let at = 0; at < list.length && first.size < wanted.size; at++) {
    const name = keyOf(list[at], key)
    if (name !== undefined && wanted.has(name) && !first.has(name)) first.set(name, at)
  }
  return first
}

const operations = {
  set(root, { pointer, value }) {
    const { keys, container, key } = placeOf(root, pointer)
    if (!Array.isArray(container) || has(container, key)) return put(container, key, value)
    if (key !== '-' && key !== String(container.length)) {
      throw missing(pointer, keys, keys.length - 1, container)
    }
    insertItem(container, container.length, value)
  },

  add(root, { pointer, value }) {
    const { container, key } = placeOf(root, pointer)
    if (Array.isArray(container) && has(container, key)) insertItem(container, Number(key), value)
    else operations.set(root, { pointer, value })
  },

  replace(root, { pointer, value }) {
    const { container, key } = takenPlaceOf(root, pointer)
    put(container, key, value)
  },

  remove(root, { pointer }) {
    const { container, key } = takenPlaceOf(root, pointer)
    if (Array.isArray(container)) removeItem(container, Number(key))
    else delete container[key]
  },

  move(root, { pointer, from }) {
    const { container, key } = takenPlaceOf(root, from)
    if (pointer.startsWith(`${from}/`)) {
      throw new Failure(pointer, from, `is inside of '${from}', which is to be moved there`)
    }
    const value = container[key]
    if (pointer === from) return
    operations.remove(root, { pointer: from })
    operations.add(root, { pointer, value })
  },

  copy(root, { pointer, from }) {
    const { container, key } = takenPlaceOf(root, from)
    operations.add(root, { pointer, value: clone(container[key]) })
  },

  test(root, { pointer, value }) {
    const { container, key } = takenPlaceOf(root, pointer)
    if (!isSame(container[key], value)) {
      throw new Failure(pointer, pointer, 'has another value than the patch is made for')
    }
  },

  increment(root, { pointer, value }, numbers) {
    const { keys, container, key } = placeOf(root, pointer)
    if (!has(container, key) && Array.isArray(container)) {
      throw missing(pointer, keys, keys.length - 1, container)
    }
    const old = has(container, key) ? container[key] : 0
    if (typeof old !== 'number' && !isRaw(old)) {
      throw new Failure(pointer, pointer, `cannot be incremented: it is ${kindOf(old)}`)
    }
    const reason =
      "cannot be incremented: the sum would lose digits; { numbers: 'exact' } keeps those of whole numbers, up to 38"
    put(
      container,
      key,
      sumOf(old, value, numbers, () => new Failure(pointer, pointer, reason)),
    )
  },

  append(root, { pointer, value }) {
    const { keys, container, key } = placeOf(root, pointer)
    if (!has(container, key)) {
      if (Array.isArray(container)) throw missing(pointer, keys, keys.length - 1, container)
      return put(container, key, value)
    }
    const list = ownedAt(container, key)
    if (!Array.isArray(list)) {
      throw new Failure(pointer, pointer, `cannot be appended to: it is ${kindOf(list)}`)
    }
    checkContainer(list)
    for (const item of value) insertItem(list, list.length, item)
  },

  upsert(root, { pointer, ...change }) {
    const { container, key } = takenPlaceOf(root, pointer)
    const records = ownedAt(container, key)
    if (!isContainer(records)) {
      throw new Failure(pointer, pointer, `cannot have records: it is ${kindOf(records)}`)
    }
    checkContainer(records)
    if (Array.isArray(records)) return upsertList(root[''], records, change)
    for (const name of change.remove) delete records[name]
    for (const record of change.records) put(records, String(record[change.key]), record)
  },

  merge(root, { value }) {
    merge(root, '', value)
  },
}

/** The index after all operations. */
function applied(index, steps, numbers) {
  const root = rooted(index)
  for (const step of steps) {
    try {
      operations[step.kind](root, step, numbers)
    } catch (error) {
      throw error instanceof Failure ? Object.assign(error, { name: step.name }) : error
    } finally {
      leaveItems()
    }
  }
  if (!isContainer(root[''])) {
    throw new Failure(
      '',
      '',
      `would be ${own(root, '') ? kindOf(root['']) : 'nothing'}: an index is an object or an array`,
    )
  }
  return root['']
}
