// Group commit: the transactions of this thread on one root that wait while others commit are committed together.

/** So many are committed together. */
const MOST = 1000
/** And so many operations, as many as a record takes. */
const MOST_OPS = 4096
/** So many indexes are locked at once, unless one transaction needs more. */
const MOST_INDEXES = 48
/** So many functions of one group may fail before the rest waits for the next group. */
const MOST_FAILURES = 8
/** Functions that have run so long (ms) are committed, and the rest waits. */
const LONGEST = 50
/** So often (ms) calls that wait are looked at. */
const LOOK = 100
/** So long (ms) others wait for a transaction that is built anew. */
const PATIENCE = 1000

/** The calls of each root that wait, by its absolute path. */
const queues = new Map()

/** Puts a call in the queue of its root. */
function enqueue(call) {
  let queue = queues.get(call.queueKey)
  if (queue === undefined) {
    queue = { calls: [], group: [], isServed: false, timer: undefined }
    queues.set(call.queueKey, queue)
  }
  call.waitsSince = native.now()
  queue.calls.push(call)
  if (!queue.isServed) {
    queue.isServed = true
    serve(queue, call.queueKey)
  }
}

async function serve(queue, key) {
  // Calls that are made in the same turn of the event loop are to be in the same group.
  await undefined
  watch(queue)
  while (queue.calls.length > 0) {
    const next = queue.calls[0]
    if (next.isStale) {
      queue.calls.shift()
      await rebuilt(queue, next)
      continue
    }
    const group = take(queue)
    queue.group = group
    try {
      const left = await new Group(group).commit()
      queue.calls.unshift(...left)
    } catch (error) {
      for (const call of group) call.fail(error)
    }
  }
  queue.isServed = false
  native.stop(queue.timer)
  queues.delete(key)
}

/** Tells calls whose time is up, while others let them wait. */
function watch(queue) {
  queue.timer = native.after(LOOK, () => {
    // It may have been due already when it was stopped.
    if (!queue.isServed) return
    const now = native.now()
    for (const call of [...queue.calls, ...queue.group]) call.checkTime(now)
    watch(queue)
  })
}

/** What it had read is not what it was: it is built again, before others change that once more. */
async function rebuilt(queue, call) {
  let isLate = false
  const built = call.build().then((isBuilt) => {
    if (!isBuilt) return
    if (isLate) enqueue(call)
    else queue.calls.unshift(call)
  })
  await new Promise((resolve) => {
    const timer = native.after(PATIENCE, () => {
      isLate = true
      resolve()
    })
    built.then(() => {
      native.stop(timer)
      resolve()
    })
  })
}

/** The calls that are committed next. */
function take(queue) {
  const group = []
  const indexes = new Set()
  let ops = 0
  for (const call of queue.calls) {
    if (call.isOver) continue
    if (group.length > 0) {
      if (call.isStale || call.isAlone || group[0].isAlone) break
      if (call.scope.options.flush !== group[0].scope.options.flush) break
    }
    const own = call.ops.filter((op) => op.kind === 'update').map((op) => op.file.absolute)
    ops += call.ops.length * 2
    if (group.length > 0 && (ops > MOST_OPS || new Set([...indexes, ...own]).size > MOST_INDEXES)) break
    for (const path of own) indexes.add(path)
    group.push(call)
    if (group.length === MOST) break
  }
  const last = group.at(-1)
  queue.calls.splice(0, last === undefined ? queue.calls.length : queue.calls.indexOf(last) + 1)
  return group
}

/** Transactions that are committed together. */
class Group {
  #calls
  /** Calls that are to be committed after this group. */
  #later = []
  #cancel = native.cancel()
  #since = native.now()
  #waited = 0
  #recovered = null
  /** Calls that have failed, and why: they are told when the locks are free. */
  #failed = []

  constructor(calls) {
    this.#calls = calls
  }

  /** Commits what can be committed, tells the callers, and returns those that are to come next. */
  async commit() {
    for (let round = 0; this.#calls.length > 0; round++) {
      if (round > 0 && this.#isLate()) break
      if (await this.#attempt()) break
    }
    return this.#later
  }

  #isLate() {
    const waited = native.now() - this.#since
    const late = this.#calls.filter((call) => waited > call.scope.timeout)
    for (const call of late) this.#fail(call, native.failure('', call.scope.shownRoot, waited))
    this.#tell()
    return this.#calls.length === 0
  }

  #fail(call, error) {
    this.#failed.push([call, error])
    this.#calls = this.#calls.filter((other) => other !== call)
  }

  #tell() {
    for (const [call, error] of this.#failed.splice(0)) call.fail(error)
  }

  /** `true`: all are told. */
  async #attempt() {
    let session
    try {
      const files = await this.#find()
      if (files === undefined) return true
      const locked = await this.#lock(files)
      if (locked === undefined) return true
      session = locked.session
      const states = await this.#applyAll(files, locked)
      if (this.#calls.length === 0) return true
      const plan = this.#plan(files, states)
      if (plan === undefined) return this.#calls.length === 0
      const taken = session
      session = undefined
      return await this.#write(taken, files, states, plan)
    } finally {
      if (session !== undefined) await native.release(session)
      this.#tell()
    }
  }

  /** Finds the files of all calls: each path is followed once. Those of which a path is wrong fail. */
  async #find() {
    const places = new Map()
    const wanted = []
    const add = (file, mkdir, isDirectory) => {
      const key = `${isDirectory}${file.absolute}`
      const known = places.get(key)
      if (known === undefined) {
        places.set(key, wanted.length)
        wanted.push([file.handle, mkdir, isDirectory])
      } else {
        wanted[known][1] ||= mkdir
      }
    }
    for (const { ops, reads } of this.#calls) {
      for (const { file } of reads) add(file, false, false)
      for (const op of ops) {
        add(op.file, op.how?.mkdir ?? op.kind === 'rename', op.kind === 'mkdir')
        if (op.from) add(op.from, false, false)
        if (op.backup) add(op.backup, op.how.mkdir, false)
      }
    }
    const root = this.#calls[0].root
    const [session, found] = await native.find(root, wanted)
    const at = (file, isDirectory = false) => found[places.get(`${isDirectory}${file.absolute}`)]
    const failed = []
    for (const call of this.#calls) {
      // What is to be missing may be missing with its directory.
      const mayBeMissing = call.ops.filter((op) => op.kind === 'remove' && !op.must)
      const files = [
        ...[...call.reads, ...mayBeMissing].map(({ file }) => at(file)).filter((found) => !isMissing(found)),
        ...call.ops
          .filter((op) => !mayBeMissing.includes(op))
          .flatMap((op) => [
            at(op.file, op.kind === 'mkdir'),
            ...[op.from, op.backup].filter(Boolean).map((file) => at(file)),
          ]),
      ]
      const error = files.find((found) => typeof found !== 'number')
      if (error !== undefined) failed.push([call, error])
    }
    if (failed.length === 0) return { session, at }
    await native.release(session)
    for (const [call, error] of failed) this.#fail(call, error)
    return this.#calls.length === 0 ? undefined : this.#find()
  }

  /** Takes the turns and the locks. */
  async #lock({ session, at }) {
    const [first] = this.#calls
    const indexes = new Map()
    const seen = []
    for (const { ops, reads } of this.#calls) {
      for (const op of ops)
        if (op.kind === 'update' && !indexes.has(at(op.file))) indexes.set(at(op.file), op)
      for (const read of reads) if (typeof at(read.file) === 'number') seen.push([at(read.file), read.seen])
    }
    const updates = [...indexes].map(([position, op]) => [position, op.how.handle, op.file.shown])
    const timeout = Math.max(...this.#calls.map((call) => call.scope.timeout))
    const only = this.#calls.length === 1 ? first : undefined
    only?.whileWaiting(() => native.abort(this.#cancel))
    let locked
    try {
      locked = await native.lock(session, updates, seen, first.inside, timeout, this.#cancel, first.root)
    } catch (error) {
      for (const call of this.#calls) call.fail(only ? (call.aborted ?? error) : error)
      return undefined
    }
    this.#waited = native.now() - this.#since
    this.#recovered = locked.recovered ?? this.#recovered
    const positions = [...indexes.keys()]
    return { ...locked, root: first.root, index: (position) => locked.indexes[positions.indexOf(position)] }
  }

  /** Lets the functions of all calls run. A call that fails is left out as a whole, with what its functions have changed. */
  async #applyAll({ at }, locked) {
    const stale = new Set(locked.stale)
    const isStale = (call) => call.reads.some(({ file }) => stale.has(at(file)))
    for (const call of this.#calls) if (isStale(call)) this.#conflict(call)
    const keys = native.keys(locked.session)
    for (let failures = 0; ; failures++) {
      const states = new States(at, locked)
      const failed = await this.#apply(states, keys, at, failures >= MOST_FAILURES)
      if (failed === undefined) return states
      const [call, error] = failed
      if (error === undefined) this.#conflict(call)
      else if (call === this.#calls[0] || call.aborted || call.isOver) this.#fail(call, error)
      // It may have failed on what the functions before it have left: alone it fails by itself, or not at all.
      else this.#postpone([call])
      if (this.#calls.length === 0) return states
    }
  }

  /** Lets all functions run. Returns the call that cannot be committed with the others, and why, if it has failed. */
  async #apply(states, keys, at, isShort) {
    const context = native.enter()
    const since = native.now()
    for (const call of this.#calls) call.isApplied = false
    try {
      for (const [position, call] of this.#calls.entries()) {
        if (position > 0 && (isShort || native.now() - since > LONGEST)) {
          this.#postpone(this.#calls.slice(position))
          break
        }
        if (call.aborted || call.isOver) return [call, call.aborted]
        // What it has read is changed by a call before it.
        if (call.reads.some(({ file }) => states.has(at(file)))) return [call, undefined]
        call.isApplied = true
        const failed = await states.apply(call, keys)
        if (failed) return failed
      }
    } finally {
      native.leave(context)
    }
    const aborted = this.#calls.find((call) => call.aborted)
    return aborted && [aborted, aborted.aborted]
  }

  #postpone(calls) {
    this.#later.push(...calls)
    this.#calls = this.#calls.filter((call) => !calls.includes(call))
  }

  #conflict(call) {
    if (call.isOver) {
      this.#fail(call, undefined)
    } else if (call.attempts > call.scope.retries || !call.canRebuild) {
      this.#fail(call, native.failure('ERR_ATOMIC_CONFLICT', call.scope.shownRoot, 0))
    } else {
      call.isStale = true
      this.#postpone([call])
    }
  }

  /** Tries calls one by one: which of them it was that failed is not known. */
  #separate(calls) {
    for (const call of calls) call.isAlone = true
    this.#postpone(calls)
  }

  /** What is to be written: one entry a file. `undefined`: an index is no JSON, and the calls are tried one by one. */
  #plan({ at }, states) {
    const plan = []
    try {
      plan.push(...states.required())
      for (const [position, state] of states.all()) plan.push([position, ...states.wanted(state)])
    } catch (error) {
      if (this.#calls.length === 1) {
        this.#fail(this.#calls[0], error)
      } else {
        this.#separate(this.#calls)
      }
      return undefined
    }
    for (const { reads } of this.#calls) {
      for (const { file, seen } of reads) {
        const position = at(file)
        if (typeof position === 'number') plan.push([position, 'keep', seen])
      }
    }
    return plan
  }

  async #write(session, { at }, states, plan) {
    const [first] = this.#calls
    const shown = plan.map(([position]) => states.shown(position, this.#calls))
    let done
    try {
      done = await native.commit(session, plan, first.scope.options.flush, this.#cancel, shown, first.root)
    } catch (error) {
      const { entry } = error
      if (typeof entry === 'number') delete error.entry
      const position = plan[entry]?.[0]
      const isOf = (call) =>
        [...call.ops, ...call.reads].some(
          (op) => at(op.file) === position || (op.from && at(op.from) === position),
        )
      const all = [...this.#calls]
      const guilty = position === undefined ? all : all.filter(isOf)
      if (error.committed || all.length === 1) for (const call of all) this.#fail(call, call.aborted ?? error)
      else if (guilty.length === 1) this.#fail(guilty[0], error)
      else this.#separate(guilty.length > 0 ? guilty : all)
      return this.#calls.length === 0
    }
    if (done.changed) {
      const changed = new Set(done.changed.map((entry) => plan[entry][0]))
      for (const call of [...this.#calls]) {
        if (call.reads.some(({ file }) => changed.has(at(file)))) this.#conflict(call)
      }
      return this.#calls.length === 0
    }
    const receipts = new Map()
    for (const [entry, [position, kind]] of plan.entries()) {
      if (kind !== 'keep' && kind !== 'require') receipts.set(position, { kind, ...done.receipts[entry] })
    }
    for (const call of this.#calls) {
      call.succeed({
        transaction: done.transaction || null,
        durable: done.receipts.every(({ durable }) => durable),
        files: states.filesOf(call, receipts),
        batchSize: this.#calls.length,
        lockWaitMs: this.#waited,
        recovered: this.#recovered,
      })
    }
    return true
  }
}

const isMissing = (found) => found?.code === 'ENOENT' || found?.code === 'ENOTDIR'
