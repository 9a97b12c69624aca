;(() => {
  'use strict'

  /**
   * What is left of an iterator of which `first` was taken already, as an iterable for the peer. `check` throws for an entry
   * that is not one of a store.
   */
  function remaining(iterator, isAsync, first, check) {
    let isGiven = false
    let isClosed = false
    const steps = {
      next() {
        if (isGiven) return iterator.next()
        isGiven = true
        const step = { value: first, done: false }
        return isAsync ? Promise.resolve(step) : step
      },
      // Once: an iterator may be closed while `for await` waits for it.
      return(value) {
        const isFirst = !isClosed
        isClosed = true
        return isFirst && iterator.return ? iterator.return(value) : { value, done: true }
      },
    }
    let isWaiting = false
    async function* all() {
      try {
        isWaiting = true
        for await (const entry of { [isAsync ? Symbol.asyncIterator : Symbol.iterator]: () => steps }) {
          check(entry)
          isWaiting = false
          yield entry
          isWaiting = true
        }
      } finally {
        isWaiting = false
      }
    }
    const entries = all()
    // The peer may have failed before it has asked for an entry, or may not have said that it wants no more.
    const close = async () => {
      const isAtWork = isWaiting
      try {
        const closed = isGiven && !isAtWork ? undefined : steps.return()
        const over = Promise.allSettled([closed, entries.return()])
        // An iterator that is at work on an entry would have to end that first.
        if (!isAtWork) await over
      } catch {
        // As with `for await`, the caller has an error already.
      }
    }
    return { entries, close }
  }

  /** An iterator that fails: a function that returns one has no other way to reject. */
  // biome-ignore lint/correctness/useYield: its first step is its last.
  async function* failing(error) {
    throw error
  }

  /** What the peer is to know of an update. `initial` is none of it, and may be large. */
  const commitOptions = ({ initial, ...options }, timeout, signal) => ({ ...options, timeout, signal })

  /** How long the peer may begin to write, and how long it may look for what has become of a write. */
  const times = (write, doubt) => ({ write, doubt })

  /** The options of an update in one word, without those in which calls that share a commit may differ. */
  function sameness({ initial, timeout, signal, fnTimeout, schema, migrate, ...options }) {
    try {
      return JSON.stringify(options)
    } catch {
      return undefined
    }
  }

  /** What an update did, from what the peer says of the commit. */
  const result = ({ done, ...commit }, written, bytes, lockWaitMs, batchSize) => ({
    written,
    bytes,
    atomic: true,
    ...commit,
    lockWaitMs,
    batchSize,
  })

  /** Gives an error of a caller's own all that the peer has told of the failure. */
  function describe(own, error) {
    const { stack, message, ...described } = Object.getOwnPropertyDescriptors(error)
    return Object.defineProperties(own, described)
  }

  return { remaining, failing, commitOptions, times, sameness, result, describe }
})()
