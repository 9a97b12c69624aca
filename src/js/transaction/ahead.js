// While a group of transactions is being committed, the functions of the calls behind it run on the texts that it gives the indexes. When these are
// locked, it is looked whether they have those texts; if not, the functions run again. So it does not matter what becomes of that commit.

/** The files of so many calls are found at once, while the functions of those before them run. */
const STRETCH = 128
/** So long (ms) may functions run ahead for one commit: nothing is locked meanwhile, and each commit has indexes parsed and printed. */
const LONG_AHEAD = 80
/** After so long (ms) in functions it is looked whether the commit has ended. */
const GLANCE = 10

/** The calls that are to be committed next. */
class Ahead {
  found
  /** So many of them have run. */
  ran = 0
  /** How long (ms) the functions of those behind the first took: an index is checked by its schema for that. */
  took = 0
  /** Some have run. */
  hasRun = false
  /** Not for nothing. */
  isUsed = false
  #choose
  #calls = []
  #commit
  #states
  #isStopped = false
  #running

  /** Begins to find the files of those which `choose` gives, so many of them; `files` are those of the group before. */
  constructor(root, files, choose) {
    this.found = new Found(root, files)
    this.#choose = choose
    this.#running = this.found.add(choose(STRETCH)).catch(() => {
      this.#isStopped = true
    })
  }

  /** A commit begins. It has `texts`, which it writes, by position, and `changes` tells whether it changes the file at one. */
  begin(commit) {
    this.#commit = commit
    this.#states = new States((file, isDirectory) => this.found.at(file, isDirectory), this.#indexes(), false)
    this.#running = this.#running.then(() => this.#run()).catch(() => this.#drop())
  }

  /** What functions are given. */
  #indexes() {
    return {
      parse: (position, handle, shown) =>
        ours(() => native.parseUpcoming(this.#textAt(position).upcoming, handle, shown)),
      // With few updates some would get a frozen value: these do not run ahead.
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

  async #run() {
    let calls
    // The group before may have given some back since.
    let next = this.#choose(STRETCH)
    if (!this.#isStopped) await this.found.add(next)
    for (
      let goesOn = true;
      goesOn && !this.#isStopped && this.leads(next) && calls?.length !== next.length;
    ) {
      calls = next
      this.#calls = calls
      next = this.#choose(calls.length + STRETCH)
      const keys = native.keys(this.found.session)
      const added = this.found.add(next).then(
        () => true,
        () => false,
      )
      // What becomes of the one is looked at when both are over.
      goesOn = await this.#apply(keys)
      if (!(await added)) this.#drop()
      goesOn &&= this.#states !== undefined
    }
  }

  async #apply(keys) {
    const context = native.enter()
    try {
      const counts = this.#counts()
      let turned = native.now()
      for (const call of this.#calls.slice(this.ran)) {
        if (native.now() - turned > GLANCE) {
          await new Promise(native.turn)
          turned = native.now()
        }
        if (this.#isStopped || !this.#canRun(call, counts)) return false
        this.hasRun = true
        const since = native.now() - this.#states.parsing
        const failed = await this.#states.apply(call, keys, true)
        // Its caller is told on the strength of what is committed only.
        if (failed) return this.#drop()
        if (this.ran > 0) this.took += native.now() - this.#states.parsing - since
        this.ran++
      }
      return true
    } finally {
      native.leave(context)
    }
  }

  /** How many updates of each file there are. */
  #counts() {
    const counts = new Map()
    for (const { ops } of this.#calls) {
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
  #isKnown({ kind, file, from, backup, how, text, maker }, counts) {
    if (kind !== 'update') return [file, from].every((one) => one === undefined || this.#isApart(one))
    const position = this.found.at(file)
    const upcoming = this.#textAt(position)
    const isFrozen = how.keeps && counts.get(position) <= MOST_FROZEN
    const isViewed = maker !== undefined && how.isText && counts.get(position) <= MOST_VIEWING
    if (upcoming === undefined || text !== undefined || isFrozen || isViewed) return false
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

  /** So many calls are to be committed together: no more where workers would wait for their functions. */
  most({ most, printing }) {
    const left = Math.max(LONG_AHEAD, printing) - this.took
    if (this.ran === 0) return most
    const more = this.ran === 1 ? STRETCH : (left * (this.ran - 1)) / this.took
    return Math.max(this.ran, Math.min(most, this.ran + Math.ceil(more)))
  }

  get parsing() {
    return this.#states?.parsing ?? 0
  }

  /** Whether its calls come first among these. */
  leads(calls) {
    return this.#calls.slice(0, this.ran).every((call, at) => call === calls[at])
  }

  /** The text that functions were given, if the file at this position is one of their indexes. */
  expected(position) {
    return this.ran > 0 ? this.#textAt(position)?.upcoming : undefined
  }

  /** What was made is not to be used. */
  forget() {
    this.#drop()
  }

  /** What the functions of the first `ran` calls have made, if the indexes are what they were given. */
  statesFor(locked, calls) {
    if (this.ran === 0 || !locked.isExpected || !this.leads(calls)) {
      this.#drop()
      return undefined
    }
    for (const call of calls.slice(0, this.ran)) call.isApplied = true
    this.isUsed = true
    this.#states.settle(locked)
    return this.#states
  }
}

/** What those that run ahead are to know of a commit. */
function commitOf(states, wanted) {
  const texts = new Map()
  for (const [position, kind, text, handle, index, backup] of wanted) {
    if (kind !== 'index') continue
    texts.set(position, { upcoming: native.upcoming(text, index, handle), handle, backup })
  }
  return { texts, changes: (position) => states.has(position) }
}
