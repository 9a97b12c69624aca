// Group commit: the transactions of this thread on one root that wait while others commit are committed together.

/** So many functions of one group may fail before the rest waits for the next group. */
const MOST_FAILURES = 8
/**
 * So long (ms) the functions of calls behind the first run until they are committed, and the rest waits; and where it takes longer to parse and print the
 * indexes, as long as that. If nothing runs ahead, as long as all else takes, with the commit: locks are then held for twice the time that one call
 * would hold them.
 */
const LONG = 50
/** After so long (ms) in functions the event loop has its turn. */
const TURN = 50
/** So long (ms) the calls before it in a group wait for a function. */
const SLOW = 100

/** Why a call is not committed with the others, if it has not failed. */
const STALE = Symbol('what it has read is changed by a call before it')
const LATE = Symbol('its function takes long')
const GONE = Symbol('its caller has been told')

/** Transactions that are committed together. */
class Group {
  #calls
  /** Calls that are to be committed after this group. */
  #later = []
  #cancel = native.cancel()
  #since = native.now()
  #waited = 0
  #recovered = null
  /** Of the jobs for all calls, if one of these wants to know its steps. */
  #steps
  /** Calls that have failed, and why: they are told when the locks are free. */
  #failed = []
  /** How long the functions of calls behind the first have run. */
  #inFunctions = 0
  /** How long all else takes, from when the locks are held; and what of that is not the commit. */
  #rest
  #printing
  #ran
  /** What was done while the group before was committed. */
  #ahead
  #meanwhile

  /**
   * `rest`, `printing`: how long all but those functions took in the group before, and that without its commit. `meanwhile` is what is done
   * for the calls behind it: `find` when its files are locked, `run` when it is committed.
   */
  constructor(calls, { rest, printing }, ahead, meanwhile) {
    this.#calls = calls
    this.#rest = rest
    this.#printing = printing
    this.#ahead = ahead
    this.#meanwhile = meanwhile
    this.#steps = native.newSteps(calls.find(({ steps }) => steps !== undefined)?.steps)
    // What no caller waits for any more is given up.
    const look = () => {
      if (this.#calls.every((call) => call.isOver || call.aborted)) native.abort(this.#cancel)
    }
    for (const call of calls) call.onGone = look
  }

  /**
   * Commits what can be committed and tells the callers. Returns those that are to come next, how many have run if time was up, and
   * how long all but the functions of calls behind the first has taken.
   */
  async commit() {
    for (let round = 0; this.#calls.length > 0; round++) {
      if (round > 0 && this.#isLate()) break
      if (await this.#attempt()) break
    }
    return { later: this.#later, ran: this.#ran, rest: this.#rest, printing: this.#printing }
  }

  #isLate() {
    const waited = native.now() - this.#since
    const late = this.#calls.filter((call) => waited > call.scope.timeout)
    for (const call of late) this.#fail(call, own(native.failure('changes', call.scope.shownRoot, waited)))
    this.#tell()
    return this.#calls.length === 0
  }

  #fail(call, error) {
    this.#failed.push([call, error])
    this.#leave([call])
  }

  #tell() {
    for (const [call, error] of this.#failed.splice(0)) {
      native.addSteps(call.steps, this.#steps)
      call.fail(error)
    }
  }

  #leave(calls) {
    const gone = new Set(calls)
    this.#calls = this.#calls.filter((call) => !gone.has(call))
  }

  #postpone(calls) {
    // One that is aborted does not come again: its next group would wait for its locks until its time is up, as the abort is over.
    for (const call of calls.filter(({ aborted }) => aborted)) this.#fail(call, call.aborted)
    calls = calls.filter(({ aborted }) => !aborted)
    for (const call of calls) {
      call.isApplied = false
      native.addSteps(call.steps, this.#steps)
    }
    this.#later.push(...calls)
    this.#leave(calls)
  }

  /** Tries calls one by one: which of them it was that failed is not known. */
  #separate(calls) {
    for (const call of calls) call.isAlone = true
    this.#postpone([...calls])
  }

  #conflict(call) {
    if (call.attempts > call.scope.retries || !call.canRebuild) {
      this.#fail(call, own(native.failure('ERR_ATOMIC_CONFLICT', call.scope.shownRoot, 0)))
    } else {
      call.isStale = true
      this.#postpone([call])
    }
  }

  /** `true`: all are told, or are to come later. */
  async #attempt() {
    const [ahead, meanwhile] = [this.#ahead, this.#meanwhile]
    this.#ahead = this.#meanwhile = undefined
    if (ahead === undefined && !meanwhile?.isWanted() && isKnown(this.#calls)) {
      const isOver = await this.#writeAtOnce()
      if (isOver !== undefined) return isOver
    }
    const found = ahead?.found ?? new Found(this.#calls[0].root)
    let session
    let locked
    try {
      locked = (await this.#find(found, ahead)) && (await this.#lock(found, ahead))
      if (locked === undefined) return this.#calls.length === 0
      session = locked.session
      if (locked.isLinked) return false
      meanwhile?.find(() => native.files(locked.session))
      const since = native.now()
      const states = await this.#applyAll(found, locked, ahead)
      const plan = this.#plan(found, states)
      if (plan === undefined) return this.#calls.length === 0
      session = undefined
      this.#printing = native.now() - since - this.#inFunctions + (ahead?.parsing ?? 0)
      const isOver = await this.#write(locked, found, states, plan, meanwhile)
      this.#rest = native.now() - since - this.#inFunctions
      return isOver
    } finally {
      if (session !== undefined) await native.release(session)
      for (const index of locked?.indexes ?? []) if (!(index instanceof Error)) native.forget(index)
      await found.close()
      this.#tell()
    }
  }

  /** As `#attempt`; `undefined`: two names are of one file, and what that is to be is found out step by step. */
  async #writeAtOnce() {
    const [call] = this.#calls
    if (call.isOver) return true
    const waited = native.now() - this.#since
    call.finding = native.finding()
    try {
      const done = await writeAtOnce(call, call.finding, this.#steps, this.#cancel)
      return this.#tellOf(done, waited)
    } catch (error) {
      this.#allFailed(error)
      this.#tell()
      return true
    } finally {
      // Not before the caller has been told: an abort in between would be told of files that are written.
      call.finding = undefined
    }
  }

  /** Tells the caller of what one job has done. */
  #tellOf(done, waited) {
    this.#recovered = done.recovered ?? this.#recovered
    this.#waited = waited + done.waited
    const { committed } = done
    if (committed === null) return undefined
    if (committed.changed) return false
    const { receipts } = committed
    return this.#succeed(committed, ({ ops }) =>
      ops.map(({ file }, at) => doneTo(file, 'write', receipts[at])),
    )
  }

  /** Finds the files of all calls. Those of which a path is wrong fail. `undefined`: all. */
  async #find(found, ahead) {
    try {
      if (ahead && !(await found.again(this.#steps))) ahead.forget()
      await found.add(this.#calls, this.#steps)
    } catch (error) {
      this.#allFailed(error)
      return undefined
    }
    for (const call of [...this.#calls]) {
      const error = found.failureOf(call)
      if (error !== undefined) this.#fail(call, own(error))
    }
    return this.#calls.length > 0 || undefined
  }

  /** What concerns the root, or nobody knows whom. */
  #allFailed(error) {
    if (this.#calls.length > 1 && !error.committed) return this.#separate(this.#calls)
    for (const call of [...this.#calls]) this.#fail(call, call.aborted ?? own(error))
  }

  /** Takes the turns and the locks. */
  async #lock(found, ahead) {
    const [first] = this.#calls
    const { indexes, counts, updates, seen } = neededBy(this.#calls, found, ahead)
    const timeout = Math.max(...this.#calls.map((call) => call.scope.timeout))
    // Those are told by the job, which knows more.
    for (const call of this.#calls) call.isTimed = call.scope.timeout === timeout
    const { session } = found
    found.session = undefined
    let locked
    try {
      const lock = () => native.lock(session, updates, seen, first.inside, timeout, this.#cancel, first.root)
      locked = await native.timed(this.#steps, lock)
    } catch (error) {
      const { entry } = error
      delete error.entry
      const isOf = ({ ops }) => ops.some((op) => op.kind === 'update' && found.at(op.file) === entry)
      const guilty = this.#calls.filter(isOf)
      for (const call of guilty) this.#fail(call, call.aborted ?? own(error))
      if (this.#calls.length > 0) this.#allFailed(error)
      return undefined
    } finally {
      for (const call of this.#calls) call.isTimed = false
    }
    this.#waited = native.now() - this.#since
    this.#recovered = locked.recovered ?? this.#recovered
    return underLocks({ ...locked, root: first.root }, indexes, counts)
  }

  /** Lets the functions of all calls run. A call that fails is left out as a whole, with what its functions have changed. */
  async #applyAll(found, locked, ahead) {
    const at = (file, isDirectory) => found.at(file, isDirectory)
    const stale = new Set(locked.stale)
    for (const call of [...this.#calls]) {
      if (call.reads.some(({ file }) => stale.has(at(file)))) this.#conflict(call)
    }
    const keys = native.keys(locked.session)
    let known = ahead?.statesFor(locked, this.#calls)
    let isEach = known === undefined && this.#calls.length === 1
    for (let failures = 0; ; failures++) {
      const states = known ?? new States(at, locked, isEach)
      const failed = await this.#apply(states, keys, at, failures, known && ahead)
      known = undefined
      if (failed === undefined) {
        if (isEach || states.passes()) return states
        isEach = true
        continue
      }
      const { call, error } = failed
      if (error === GONE && call.isOver) this.#leave([call])
      else if (error === GONE) this.#fail(call, call.aborted)
      else if (error === STALE) this.#conflict(call)
      else if (error === LATE) this.#postpone(this.#calls.slice(this.#calls.indexOf(call)))
      else if (call === this.#calls[0]) this.#fail(call, error)
      // It may have failed on what the functions before it have left: alone it fails by itself, or not at all.
      else this.#postpone([call])
    }
  }

  /** Lets all functions run, but for those that have run ahead. Returns the call that cannot be committed with the others, and why. */
  async #apply(states, keys, at, failures, ahead) {
    const context = native.enter()
    // What has failed may run for nothing once more.
    const most = failures > 0 ? 0 : ahead ? this.#printing : this.#rest
    // Of a group that has run ahead no more is left to do under the locks than of another.
    const left = ahead ? Math.max(LONG_AHEAD, most) - ahead.took : Number.POSITIVE_INFINITY
    const time = Math.min(Math.max(LONG, most), left)
    const start = ahead?.ran ?? 0
    const now = () => native.now() - states.parsing
    let since = now()
    let turned = since
    try {
      for (const [position, call] of [...this.#calls.entries()].slice(start)) {
        // What the first call costs (an index is checked by its schema) it would cost alone, too.
        if (position <= 1) since = now()
        const isLate = now() - since > time
        if (position > 0 && (isLate || failures >= MOST_FAILURES)) {
          if (isLate) this.#ran = position
          this.#postpone(this.#calls.slice(position))
          break
        }
        if (now() - turned > TURN) {
          turned = now()
          await new Promise(native.turn)
        }
        if (call.isOver || call.aborted) return { call, error: GONE }
        if (call.reads.some(({ file }) => states.has(at(file)))) return { call, error: STALE }
        call.isApplied = true
        const failed = await states.apply(call, keys, position > 0)
        if (failed) return failed
      }
      this.#inFunctions = this.#calls.length > 1 ? now() - since : 0
    } finally {
      native.leave(context)
    }
    // What it has changed is not to be there.
    const gone = this.#calls.find((call) => call.isOver || call.aborted)
    return gone && { call: gone, error: GONE }
  }

  /** What is to be done: one entry a file. `undefined`: nothing, or an index is no JSON. */
  #plan(found, states) {
    if (this.#calls.length === 0) return undefined
    try {
      return [...states.required(), ...states.wanted(), ...looksOf(this.#calls, found)]
    } catch (error) {
      this.#allFailed(error)
      return undefined
    }
  }

  async #write({ session, stored }, found, states, plan, meanwhile) {
    const [first] = this.#calls
    const wanted = plan.map(({ what }) => what)
    const shown = plan.map(({ file }) => file.shown)
    const { flush } = first.scope.options
    const timeout = Math.max(...this.#calls.map((call) => call.scope.timeout))
    for (const call of this.#calls) call.isCommitting = true
    const isWanted = meanwhile?.isWanted() || this.#later.length > 0
    const commit = meanwhile && isWanted && commitOf(states, wanted)
    if (commit) meanwhile.find(() => native.files(session), this.#later.splice(0))
    let done
    try {
      const start = () => native.commit(session, wanted, flush, this.#cancel, shown, first.root, timeout)
      const committing = native.timed(this.#steps, start)
      if (commit) meanwhile.run(commit)
      done = await committing
    } catch (error) {
      const entry = plan[error.entry]
      delete error.entry
      const guilty = entry?.call ? [entry.call] : callsWith(entry?.what?.[0], this.#calls, found)
      if (guilty.length === 1 && !error.committed) this.#fail(guilty[0], guilty[0].aborted ?? own(error))
      else this.#allFailed(error)
      return this.#calls.length === 0
    } finally {
      for (const call of this.#calls) call.isCommitting = false
    }
    if (done.changed) {
      const changed = new Set(done.changed.map((entry) => plan[entry]?.file.absolute))
      for (const call of [...this.#calls]) {
        if (call.reads.some(({ file }) => changed.has(file.absolute))) this.#conflict(call)
      }
      return this.#calls.length === 0
    }
    const receipts = new Map()
    for (const [entry, { what, isDone }] of plan.entries()) {
      if (isDone) receipts.set(what[0], [what[1], done.receipts[entry]])
    }
    stored.keep()
    return this.#succeed(done, (call) => states.filesOf(call, receipts))
  }

  /** Tells all callers; `filesOf` is what was done to the files of a call. */
  #succeed({ transaction, durable }, filesOf) {
    native.committed(this.#calls.length)
    for (const call of this.#calls) {
      native.addSteps(call.steps, this.#steps)
      call.succeed({
        transaction: transaction || null,
        durable,
        files: filesOf(call),
        batchSize: this.#calls.length,
        lockWaitMs: this.#waited,
        recovered: this.#recovered,
      })
    }
    return true
  }
}
