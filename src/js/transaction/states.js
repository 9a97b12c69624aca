// What the files of a group of transactions will be: each function works on what those before it have made.

/** So many functions of patches look into the text of an index in a group. */
const MOST_VIEWING = 8

/** The files that are to change, by their positions in the session. */
class States {
  #states = new Map()
  /** Whether a file must have been there, or not, whatever becomes of it later: by position. */
  #required = new Map()
  /** What was read to be moved. */
  #read = []
  /** What functions have made of indexes that a schema is still to check. */
  #made = new Set()
  #at
  #locked
  #isEach
  /** How long (ms) indexes were parsed. */
  parsing = 0

  /** `isEach`: what a function returns is checked by its schema at once, and not when all have run. */
  constructor(at, locked, isEach) {
    this.#at = at
    this.#locked = locked
    this.#isEach = isEach
  }

  /** What was made of texts that the indexes were about to have goes on with these, now that they are locked and have them. */
  settle(locked) {
    this.#locked = locked
  }

  has(position) {
    return this.#states.has(position)
  }

  /** Makes all of a call's changes. Returns what it fails with. `isBehind`: calls before it wait for its functions. */
  async apply(call, keys, isBehind) {
    try {
      for (const op of call.ops) {
        const position = this.#at(op.file, op.kind === 'mkdir')
        if (typeof position !== 'number' || op.kind === 'mkdir') continue
        const before = this.#states.get(position)
        const made = this[op.kind](op, before, call, (fn, value) => run(call, keys, op, fn, value, isBehind))
        // (To wait for what is no promise costs as much as many a function.)
        const state = isThenable(made) ? await made : made
        if (state !== undefined) this.#put(position, state)
      }
    } catch (error) {
      return { call, error }
    }
    return undefined
  }

  /** The last change comes last: a backup that is written later than a file of that name replaces it. */
  #put(position, state) {
    this.#states.delete(position)
    this.#states.set(position, state)
  }

  #require(file, isThere, call) {
    this.#required.set(this.#at(file), { file, isThere, call })
  }

  write({ file, how, data, make }, before, call, run) {
    if (how.exclusive) {
      if (before === undefined) this.#require(file, false, call)
      else if (before.kind !== 'remove') throw own(native.failure('EEXIST', file.shown, 0))
    }
    // After a removal in the same transaction the name is free, whatever is on disk.
    const isFree = before !== undefined
    const state = (data) => ({ kind: 'write', file, data, how, isFree })
    return data === undefined
      ? when(run(make), (given) => state(native.data(given, how.handle)))
      : state(data)
  }

  update(op, before, _call, run) {
    const isText = this.#patchText(op, before)
    const backup = before?.backup ?? (op.backup && this.#at(op.backup))
    const atBackup = backup === undefined ? undefined : this.#states.get(backup)
    // The backup's name is taken from here on.
    if (backup !== undefined && before?.backup === undefined)
      this.#put(backup, { kind: 'backup', file: op.backup })
    const { file } = op
    if (isText) return this.#patched(op, before, backup)
    if (this.#canView(op, before)) return this.#patchByView(op, before, backup, run)
    const fn = native.checked(op.fn, op.how.handle, file.shown, this.#isEach)
    if (op.how.keeps && this.#locked.updates(this.#at(file)) <= MOST_FROZEN)
      return this.#updateFrozen(op, before, backup, fn, run)
    return when(this.#valueOf(op, before), (given) => {
      // Others than patches may have changed what is known of its records.
      if (op.maker && (before?.isForeign || !op.how.isText)) patches().forgetRecords(given)
      const isMissing = op.maker && (before === undefined ? this.#isMissing(op) : before.kind === 'remove')
      const printed = isMissing ? JSON.stringify(given) : undefined
      return when(run(fn, given), (value) => {
        if (isMissing && JSON.stringify(value) === printed)
          return this.#untouched(op, value, backup, atBackup)
        return this.#updated(op, before, backup, value)
      })
    })
  }

  /** Nothing is made of an index that is not there, or was removed, nor of its backup, which was to be that before. */
  #untouched({ result }, value, backup, atBackup) {
    if (atBackup !== undefined) this.#put(backup, atBackup)
    else if (backup !== undefined) this.#states.delete(backup)
    result.read = () => value
    return undefined
  }

  #isMissing({ file }) {
    const index = this.#locked.index?.(this.#at(file))
    return index !== undefined && !(index instanceof Error) && native.isMissing(index)
  }

  /**
   * Whether the function of a patch can look into the text of its index. With many updates it gets the value: to parse and to print that once takes less
   * time than so many looks.
   */
  #canView({ maker, file, how }, before) {
    if (maker === undefined || (before !== undefined && before.kind !== 'patched')) return false
    const position = this.#at(file)
    if (!how.isText || this.#locked.updates(position) > MOST_VIEWING) return false
    const index = this.#locked.index(position)
    if (index instanceof Error || !isSameUpdate(this.#locked.readAs(position), how.handle)) return false
    return native.viewText(index, before === undefined)
  }

  #patchByView(op, before, backup, run) {
    const { maker, file, how } = op
    const index = this.#locked.index(this.#at(file))
    let isOver = false
    const look = (...wanted) => (isOver ? null : native.findInText(index, how.handle, ...wanted))
    const end = () => {
      isOver = true
    }
    const take = (patch) => {
      // What is no index is none also if nothing is to be changed.
      const made = patch ?? new (patches())([])
      const text = native.textPatch(made, how.handle)
      if (text && this.#patchText({ ...op, text }, before)) return this.#patched(op, before, backup)
      return when(this.#valueOf(op, before), (given) => {
        const value = made.toFunction(file.shown, op.numbers)(given)
        return this.#updated(op, before, backup, value)
      })
    }
    return ending(() => run(native.makerOf(maker, how.handle), look), end, take)
  }

  /** The state of an index whose text patches have changed. */
  #patched(op, before, backup) {
    const { written = native.written(), results = [] } = before ?? {}
    results.push(op.result)
    op.result.read = () => ours(() => native.parseWritten(written, op.how.handle))
    return { kind: 'patched', file: op.file, op: before?.op ?? op, backup, written, results }
  }

  async #updateFrozen(op, before, backup, fn, run) {
    const frozen = await this.#frozenFor(op, before)
    const copy = this.#copyOf(op, before, frozen)
    const value = await runWithFrozen((value) => run(fn, value), frozen, copy, op.how.handle)
    return this.#updated(op, before, backup, value, frozen)
  }

  /** The state of an index of which a function has made this. */
  #updated(op, before, backup, value, frozen) {
    const made = this.#madeOf(op, before)
    made.value = value
    ours(() => native.check(value, op.how.handle))
    op.result.read = () => value
    const isIndex = before === undefined || before.kind === 'index' || before.kind === 'patched'
    const kind = isIndex ? 'index' : 'value'
    const { file, isPatch, maker } = op
    // Others than patches have had it since it was looked into.
    const isForeign = !isPatch || (before?.isForeign === true && !maker)
    return { kind, file, value, frozen, op: before?.op ?? op, backup, made, isForeign }
  }

  /** The frozen value for the function of an update. */
  async #frozenFor(op, before) {
    if (before === undefined && !(this.#locked.index(this.#at(op.file)) instanceof Error)) {
      const since = native.now()
      const value = this.#locked.stored.valueOf(this.#at(op.file), op)
      this.parsing += native.now() - since
      return value
    }
    if (before !== undefined && 'value' in before)
      return ours(() => native.passOn(before.frozen, before.value, op.how.handle))
    return native.freeze(await this.#valueOf(op, before))
  }

  /** How to copy that value. */
  #copyOf({ file, how }, before, given) {
    const index = before === undefined ? this.#locked.index(this.#at(file)) : undefined
    const parse = () => native.parse(index, how.handle, file.shown)
    return () => ours(index === undefined ? () => native.thaw(given, how.handle) : parse)
  }

  /** Applies a patch to the text of an index that only patches have changed. `false`: it has to be parsed. */
  #patchText({ text, file, how }, before) {
    if (text === undefined || (before !== undefined && before.kind !== 'patched')) return false
    const position = this.#at(file)
    const index = this.#locked.index(position)
    if (index instanceof Error || !isSameUpdate(this.#locked.readAs(position), how.handle)) return false
    return ours(() => native.patchText(index, text, how.handle, file.shown, before === undefined))
  }

  /** What patches have made of the text of an index, which is a value from here on. */
  #parsePatched({ file, op, results }) {
    const since = native.now()
    const index = this.#locked.index(this.#at(file))
    const value = ours(() => native.parsePatched(index, op.how.handle))
    for (const result of results) result.read = () => value
    this.parsing += native.now() - since
    return value
  }

  /** Where the value of an update is noted: with that of the one before it, which it was made from, if their schema is the same. */
  #madeOf(op, before) {
    const known = before?.made
    if (known && isSameUpdate(known.op.how.handle, op.how.handle)) return known
    const made = { op, value: undefined }
    this.#made.add(made)
    return made
  }

  /**
   * Whether all that functions have made passes its schema. `false`: each has to be checked by itself, because one has failed, or because
   * the schema takes its time.
   */
  passes() {
    try {
      return [...this.#made].every(({ op, value }) => native.isMade(value, op.how.handle))
    } catch {
      return false
    }
  }

  /** What the function of an update is given, or a promise of it. */
  #valueOf(op, before) {
    const { handle } = op.how
    const { shown } = op.file
    if (before === undefined) {
      const since = native.now()
      const value = this.#locked.parse(this.#at(op.file), handle, shown)
      this.parsing += native.now() - since
      return value
    }
    if ('value' in before) {
      // What was made of a frozen value has parts of that.
      const { value, frozen } = before
      return frozen === undefined ? value : ours(() => native.thaw(value, handle))
    }
    if (before.kind === 'patched') return this.#parsePatched(before)
    const parse = (content) => ours(() => native.parseBytes(content, handle, shown))
    if (before.kind === 'remove' || before.kind === 'backup') return parse(null)
    if (before.kind === 'write') return parse(native.bytes(before.data))
    return native.read(this.#locked.root, before.source.handle, []).then(({ content, seen }) => {
      this.#read.push({ file: before.source, what: [before.from, 'keep', seen] })
      return parse(content)
    })
  }

  remove({ file, must }, before, call) {
    if (before === undefined) {
      if (must) this.#require(file, true, call)
      return { kind: 'remove', file, must }
    }
    if (before.kind === 'remove' && must) throw own(native.failure('ENOENT', file.shown, 0))
    return { kind: 'remove', file, must: false }
  }

  rename({ from, file }, _before, call) {
    const source = this.#at(from)
    const moved = this.#states.get(source)
    if (moved?.kind === 'remove') throw own(native.failure('ENOENT', from.shown, 0))
    if (moved === undefined) this.#require(from, true, call)
    if (source === this.#at(file)) return moved
    this.#put(source, { kind: 'remove', file: from, must: false })
    if (moved === undefined) return { kind: 'rename', file, from: source, source: from }
    if (moved.kind === 'patched') {
      return { kind: 'value', file, op: moved.op, value: this.#parsePatched(moved) }
    }
    return { ...moved, kind: moved.kind === 'index' ? 'value' : moved.kind, file, backup: undefined }
  }

  /** What must be so, for the addon to check. */
  required() {
    const all = [...this.#required].map(([position, { file, isThere, call }]) => ({
      file,
      call,
      what: [position, 'require', isThere],
    }))
    return [...all, ...this.#read]
  }

  /** What the addon is to do, for each file. */
  wanted() {
    const all = []
    for (const [position, state] of this.#states) {
      const what = this.#wanted(state)
      if (what) all.push({ file: state.file, what: [position, ...what], isDone: true })
    }
    return all
  }

  #wanted({ kind, file, op, value, written, data, how, isFree, from, must, backup }) {
    // A file that was written to that name later is what is to be there.
    const kept = this.#states.get(backup)?.kind === 'backup' ? backup : undefined
    const text = (snapshot) => ours(() => native.stringify(value, snapshot, op.how.handle, file.shown))
    if (kind === 'index') {
      const position = this.#at(file)
      const next = this.#locked.stored.next(position, { op, value, file })
      if (next) return [...next, kept]
      const snapshot = this.#locked.index(position)
      return ['index', text(snapshot), op.how.handle, snapshot, kept]
    }
    if (kind === 'patched') {
      return ['patched', this.#locked.index(this.#at(file)), op.how.handle, written, kept]
    }
    if (kind === 'value') return ['value', text(undefined), op.how.handle, kept]
    if (kind === 'write') return ['write', data, how.handle, isFree]
    if (kind === 'rename') return ['rename', from]
    return kind === 'remove' ? ['remove', must] : undefined
  }

  /** What was done to the files of a call. */
  filesOf(call, receipts) {
    const files = new Map()
    for (const { file, from, kind } of call.ops) {
      if (kind === 'mkdir') continue
      for (const one of from ? [from, file] : [file]) {
        const position = this.#at(one)
        const [done, receipt] = receipts.get(position) ?? NOTHING
        files.set(position, doneTo(one, done, receipt))
      }
    }
    return [...files.values()]
  }
}

/** What was done to a file that is not there any more, and was not there before. */
const NOTHING = ['remove', [false, 0, false]]

/** What was done to a file. */
function doneTo({ shown }, kind, [written, bytes, verified]) {
  const done = { remove: 'removed', rename: 'renamed' }[kind] ?? 'written'
  return { path: shown, action: written ? done : 'unchanged', bytes, verified }
}

/** `react(call())`, and `end` before it, however that ends; at once unless it is a promise. */
function ending(call, end, react) {
  let made
  try {
    made = call()
  } catch (error) {
    end()
    throw error
  }
  if (isThenable(made)) return Promise.resolve(made).finally(end).then(react)
  end()
  return react(made)
}

/** `react(value)`, at once unless the value is a promise. */
const when = (value, react) => (isThenable(value) ? value.then(react) : react(value))

/**
 * Calls a function of the user's, in the async context of its call. Calls that it makes are to know that it holds locks. Returns what it returns, or a
 * promise of it.
 */
function run(call, keys, op, fn, value, isBehind) {
  const [returned, running] = call.inContext(
    native.call,
    keys,
    call.inside,
    op.file.shown,
    fn,
    value,
    op.maker,
  )
  return isThenable(returned) ? waited(call, returned, running, isBehind) : returned
}

async function waited(call, returned, running, isBehind) {
  let timer
  const givenUp = new Promise((_, reject) => {
    call.gone.then(() => reject(GONE))
    if (isBehind) timer = native.after(SLOW, () => reject(LATE))
  })
  try {
    // A thenable's own method runs in that context, too.
    const result = call.inContext(() => Promise.resolve(returned))
    return await Promise.race([result, givenUp])
  } finally {
    native.stop(timer)
    native.release(undefined, running)
  }
}
