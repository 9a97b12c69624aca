// Reads an index, or where that is broken the newest of its backups that is not. Compiled by the addon, as a script.

;(() => {
  /** What an index fails with that cannot be used, and one that is on a bad place of its disk. */
  const broken = new Set(['ERR_ATOMIC_CORRUPT_INDEX', 'ERR_ATOMIC_SCHEMA', 'EIO'])

  /** What an older backup is no better for: there is no memory for one, or no string can be as long. */
  const tooLarge = new Set(['ENOMEM', 'ERR_STRING_TOO_LONG', 'ERR_MEMORY_ALLOCATION_FAILED'])

  /** Of backups that are renamed at this moment, one at most is missing in between. */
  const MOST_MISSING = 2
  /** As many as can be kept. */
  const MOST_GENERATIONS = 1000

  const isThere = ({ source, version }) => source === 'file' || version !== undefined

  const isBroken = (error) => broken.has(error?.code)

  /** The result of `steps`, which are told what each promise comes to that they yield. */
  async function later(steps) {
    let step = steps.next()
    while (!step.done) {
      let value
      try {
        value = await step.value
      } catch (error) {
        step = steps.throw(error)
        continue
      }
      step = steps.next(value)
    }
    return step.value
  }

  /** The result of `steps` that yield no promises. */
  function now(steps) {
    let step = steps.next()
    while (!step.done) step = steps.next(step.value)
    return step.value
  }

  /**
   * The newest backup that `attempt(suffix)` can read, and the end of its name; `undefined` without one. `goOn()` throws if no
   * other one is to be tried.
   */
  function* newest(attempt, goOn) {
    let missing = 0
    for (let generation = 0; missing < MOST_MISSING && generation < MOST_GENERATIONS; generation++) {
      const suffix = generation === 0 ? '.backup' : `.backup.${generation}`
      try {
        const found = yield* attempt(suffix)
        if (isThere(found)) return { found, suffix }
        missing++
      } catch (error) {
        goOn?.()
        if (tooLarge.has(error?.code)) throw error
        // The next one may be better, unless it is the name that cannot be read.
        missing = isBroken(error) ? 0 : missing + 1
      }
    }
  }

  /**
   * `read(suffix)` reads the file whose name ends in that as well, `check(value, suffix)` passes on an index that is as it is
   * to be; `nameOf(suffix)` is what the caller would call the file.
   */
  function* reading(read, check, nameOf) {
    function* attempt(suffix) {
      const found = yield read(suffix)
      if (isThere(found)) found.value = yield check(found.value, suffix)
      return found
    }

    let first, corrupt
    try {
      first = yield* attempt('')
      if (isThere(first)) return first
    } catch (error) {
      if (!isBroken(error)) throw error
      corrupt = error
    }
    const { found, suffix } = (yield* newest(attempt)) ?? {}
    if (found) return Object.assign(found, { source: 'backup', backup: nameOf(suffix), corrupt })
    if (corrupt !== undefined) throw corrupt
    first.value = yield check(first.value, '')
    return first
  }

  function newestBackup(attempt, goOn) {
    function* step(suffix) {
      return yield attempt(suffix)
    }
    return later(newest(step, goOn))
  }

  const readWithBackups = (...how) => later(reading(...how))
  const readWithBackupsNow = (...how) => now(reading(...how))

  /** Records, piece by piece; `open` has none if there is no such container. */
  async function* records(open, next, close) {
    const reader = await open()
    if (reader === undefined) return
    try {
      for (let isLast = false; !isLast; ) {
        const [piece, last] = await next(reader)
        isLast = last
        yield* piece
      }
    } finally {
      close(reader)
    }
  }

  return { readWithBackups, readWithBackupsNow, newestBackup, isBroken, records }
})()
