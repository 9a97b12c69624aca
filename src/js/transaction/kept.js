// `keep: 'value'`: the functions of transactions get a frozen value, which is that of the last commit if nobody has written since.

/**
 * So many updates of one index in a group are given a frozen value. With more of them all get one that they can change, as without the option: frozen
 * arrays are slow to copy, which is worth it for the few functions after which the text need not be printed.
 */
const MOST_FROZEN = 8

/** The values of indexes that are locked, as they are stored. Functions that run again get the same: nobody can have changed it. */
class StoredValues {
  #locked
  /** By position. */
  #values = new Map()
  /** What is kept once it is committed. */
  #made = []

  constructor(locked) {
    this.#locked = locked
  }

  /** For the function of an update of the file at a position. */
  valueOf(position, { how, file }) {
    const known = this.#values.get(position)
    // Another path of the file may have been given with other options.
    const isSame = isSameUpdate(this.#locked.readAs(position), how.handle)
    if (known !== undefined && isSame) return known.value
    const [value, isPrinted, canBeKept] = ours(() =>
      native.storedValue(this.#locked.index(position), how.handle, file.shown),
    )
    if (canBeKept && isSame) this.#values.set(position, { value, isPrinted })
    return value
  }

  /** What is to be written of what functions have made of an index; `undefined`: nothing of it will be kept. */
  next(position, { op, value, file }) {
    const stored = this.#values.get(position)
    const { handle } = op.how
    if (stored === undefined || !isSameUpdate(this.#locked.readAs(position), handle)) return undefined
    const index = this.#locked.index(position)
    const { value: before, isPrinted } = stored
    const found = ours(() => native.nextOfKept(before, isPrinted, value, index, handle, file.shown))
    if (found === undefined) return undefined
    const [content, edition, next, size] = found
    this.#made.push({ edition, handle, size, next })
    return ['kept', content, edition, handle, index]
  }

  /** All is committed. */
  keep() {
    for (const { edition, handle, size, next } of this.#made) native.keepValue(edition, handle, size, next)
  }
}

/**
 * Calls a function with a frozen value. One that returns this has changed nothing, or its changes were lost without an error, as in sloppy mode: it runs
 * once more, with a copy that it can change.
 */
async function runWithFrozen(run, given, copy, handle) {
  const next = await run(given)
  if (next !== given || typeof given !== 'object' || given === null) return next
  const thawed = copy()
  const again = await run(thawed)
  return ours(() => native.unchanged(given, thawed, again, handle))
}
