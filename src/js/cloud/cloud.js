;(() => {
  /**
   * What is left of an iterator of which `first` was taken already, as an iterable for the peer. `check` throws for an entry
   * that is not one of a store.
   */
  function remaining(iterator, isAsync, first, check) {
    let isGiven = false
    const steps = {
      next() {
        if (isGiven) return iterator.next()
        isGiven = true
        const step = { value: first, done: false }
        return isAsync ? Promise.resolve(step) : step
      },
      return: (value) => (iterator.return ? iterator.return(value) : { value, done: true }),
    }
    async function* all() {
      for await (const entry of { [isAsync ? Symbol.asyncIterator : Symbol.iterator]: () => steps }) {
        check(entry)
        yield entry
      }
    }
    const entries = all()
    // The peer may have failed before it has asked for an entry, or may not have said that it wants no more.
    const close = async () => {
      try {
        if (!isGiven) await steps.return()
        await entries.return()
      } catch {
        // As with `for await`, the caller has an error already.
      }
    }
    return { entries, close }
  }

  /** An iterable that fails: a function that returns one has no other way to reject. */
  const failing = (error) => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) })

  return { remaining, failing }
})()
