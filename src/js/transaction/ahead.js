// While a group of transactions is being committed, the functions of the calls behind it run on the texts that it gives the indexes. When these are
// locked, it is looked whether they have those texts; if not, the functions run again. So it does not matter what becomes of that commit.

/** So many calls are found at once. */
const STRETCH = 64
/** After so long (ms) in functions it is looked whether the commit has ended. */
const GLANCE = 10

/** The calls that are to be committed next. */
class Ahead {
  /** Those whose files are found. */
  calls = []
  /** So many of them have run. */
  ran = 0
  /** How long (ms) their functions took. */
  took = 0
  /** Some have run. */
  hasRun = false
  /** Not for nothing. */
  isUsed = false
  found
  #commit
  #states
  #isStopped = false
  #running

  /**
   * `commit`: the one that is under way. It has `texts`, which it writes, and `files`, by position; `changes` tells which of these.
   * `choose` gives that many calls.
   */
  constructor(root, commit, choose) {
    this.#commit = commit
    this.found = new Found(root, commit.files)
    this.#states = new States((file, isDirectory) => this.found.at(file, isDirectory), this.#indexes(), false)
    this.#running = this.#run(choose)
  }

  /** What functions are given. */
  #indexes() {
    return {
      parse: (position, handle, shown) =>
        ours(() => native.parseUpcoming(this.#textAt(position).upcoming, handle, shown)),
      // See `#isFrozen`.
      updates: () => Number.POSITIVE_INFINITY,
    }
  }

  #textAt(position) {
    return this.#commit.texts.get(this.found.elsewhere(position))
  }

  /** The commit has ended: no more functions are to run. */
  async stop() {
    this.#isStopped = true
    await this.#running
  }

  async #run(choose) {
    try {
      while (!this.#isStopped) {
        const calls = choose(this.calls.length + STRETCH)
        const more = calls.slice(this.calls.length)
        if (more.length === 0 || !this.leads(calls)) return
        await this.found.add(more)
        this.calls.push(...more)
        if (!(await this.#apply())) return
      }
    } catch {
      // Whoever calls it again is told.
      this.#drop()
    }
  }

  async #apply() {
    const context = native.enter()
    try {
      const keys = native.keys(this.found.session)
      const counts = this.#counts()
      let turned = native.now()
      for (const call of this.calls.slice(this.ran)) {
        if (native.now() - turned > GLANCE) {
          await new Promise(native.turn)
          turned = native.now()
        }
        if (this.#isStopped || !this.#canRun(call, counts)) return false
        const since = native.now() - this.#states.parsing
        const failed = await this.#states.apply(call, keys, true)
        this.took += native.now() - this.#states.parsing - since
        // It is told that only on the strength of what has been committed.
        if (failed) {
          this.hasRun = true
          return this.#drop()
        }
        this.ran++
        this.hasRun = true
      }
      return true
    } finally {
      native.leave(context)
    }
  }

  /** How many updates of each file there are. */
  #counts() {
    const counts = new Map()
    for (const { ops } of this.calls) {
      for (const { kind, file } of ops) {
        const position = this.found.at(file)
        if (kind === 'update') counts.set(position, (counts.get(position) ?? 0) + 1)
      }
    }
    return counts
  }

  #canRun(call, counts) {
    if (call.isOver || call.aborted || call.isStale || call.isAlone || call.reads.length > 0) return false
    return call.ops.every((op) => op.kind === 'mkdir' || this.#isKnown(op, counts))
  }

  /** Whether all is known that an operation works on: the text of an index, or that the commit does not change a file. */
  #isKnown({ kind, file, from, backup, how, text }, counts) {
    if (kind !== 'update') return [file, from].every((one) => one === undefined || this.#isApart(one))
    const position = this.found.at(file)
    const upcoming = this.#textAt(position)
    const isFrozen = how.keeps && counts.get(position) <= MOST_FROZEN
    if (upcoming === undefined || text !== undefined || isFrozen) return false
    if (!isSameUpdate(upcoming.handle, how.handle)) return false
    return backup === undefined || this.#isApart(backup) || upcoming.backup === this.#elsewhere(backup)
  }

  #elsewhere(file) {
    return this.found.elsewhere(this.found.at(file))
  }

  #isApart(file) {
    const position = this.#elsewhere(file)
    return typeof this.found.at(file) === 'number' && !this.#commit.changes(position)
  }

  #drop() {
    this.ran = 0
    this.took = 0
    this.#states = undefined
    return false
  }

  /** So many calls are to be committed together: as many as would have run, were it not for those that have run ahead. */
  most({ most, printing }) {
    if (this.ran === 0) return Math.max(most, this.calls.length)
    const left = Math.max(LONG, printing) - this.took
    return Math.max(this.ran, Math.min(most, this.ran + Math.ceil((left * this.ran) / this.took)))
  }

  get parsing() {
    return this.#states?.parsing ?? 0
  }

  /** Whether its calls come first among these. */
  leads(calls) {
    return this.calls.slice(0, this.ran).every((call, at) => call === calls[at])
  }

  /** The text that functions were given, if the file at this position is one of their indexes. */
  expected(position) {
    return this.ran > 0 ? this.#textAt(position)?.upcoming : undefined
  }

  /** What the functions of the first `ran` calls have made, if the indexes are what they were given. */
  statesFor(locked, calls) {
    const known = this.calls.slice(0, this.ran)
    const isGood = locked.isExpected && this.leads(calls) && !known.some((call) => call.isOver || call.aborted)
    if (this.ran === 0 || !isGood) {
      this.#drop()
      return undefined
    }
    for (const call of known) call.isApplied = true
    this.isUsed = true
    this.#states.settle(locked)
    return this.#states
  }
}
