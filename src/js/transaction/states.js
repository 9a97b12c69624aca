// What the files of a group of transactions will be: each function works on what those before it have made.

/** The files that are to change, by their positions in the session. */
class States {
  #states = new Map()
  /** Whether a file must have been there, or not, whatever becomes of it later: by position. */
  #required = new Map()
  #at
  #locked

  constructor(at, locked) {
    this.#at = at
    this.#locked = locked
  }

  has(position) {
    return this.#states.has(position)
  }

  all() {
    return this.#states
  }

  /** Makes all of a call's changes. What it fails with is returned, together with it. */
  async apply(call, keys) {
    try {
      for (const op of call.ops) {
        const position = this.#at(op.file, op.kind === 'mkdir')
        if (typeof position !== 'number' || op.kind === 'mkdir') continue
        const before = this.#states.get(position)
        const state = await this[op.kind](op, before, (fn, value) => run(call, keys, op, fn, value))
        if (state !== undefined) this.#states.set(position, state)
      }
    } catch (error) {
      return [call, error]
    }
    return undefined
  }

  /** What must be so, for the addon to check. */
  required() {
    return [...this.#required].map(([position, isThere]) => [position, 'require', isThere])
  }

  async write(op, before, run) {
    if (op.how.exclusive && before !== undefined && before.kind !== 'remove') {
      throw native.failure('EEXIST', op.file.shown, 0)
    }
    if (op.how.exclusive && before === undefined) this.#required.set(this.#at(op.file), false)
    const data = op.data ?? native.data(await run(op.make), op.how.encoding)
    // After a removal in the same transaction the name is free, whatever is on disk.
    const how = before === undefined ? op.how : native.write(op.options ?? {}, false)
    return { kind: 'write', file: op.file, data, how: how.handle }
  }

  async update(op, before, run) {
    const value = await run(op.fn, await this.#valueOf(op, before))
    op.result.next = native.check(value)
    if (before !== undefined && before.kind !== 'index') return { kind: 'value', file: op.file, value, op }
    const backup = before?.backup ?? (op.backup && this.#at(op.backup))
    return { kind: 'index', file: op.file, value, op: before?.op ?? op, backup }
  }

  async #valueOf(op, before) {
    const { handle } = op.how
    if (before === undefined) {
      const snapshot = this.#locked.index(this.#at(op.file))
      if (snapshot instanceof Error) throw snapshot
      return native.parse(snapshot, handle)
    }
    if ('value' in before) return before.value
    if (before.kind === 'remove') return native.parseBytes(null, handle, op.file.shown)
    if (before.kind === 'write') return native.parseBytes(native.bytes(before.data), handle, op.file.shown)
    const { content } = await native.read(this.#locked.root, before.source.handle, [])
    return native.parseBytes(content, handle, op.file.shown)
  }

  remove({ file, must }, before) {
    if (before === undefined) {
      if (must) this.#required.set(this.#at(file), true)
      return { kind: 'remove', file, must }
    }
    if (before.kind === 'remove' && must) throw native.failure('ENOENT', file.shown, 0)
    return { kind: 'remove', file, must: false }
  }

  rename({ from, file }) {
    const source = this.#at(from)
    const moved = this.#states.get(source)
    if (moved?.kind === 'remove') throw native.failure('ENOENT', from.shown, 0)
    if (moved === undefined) this.#required.set(source, true)
    if (source === this.#at(file)) return moved
    this.#states.set(source, { kind: 'remove', file: from, must: false })
    if (moved === undefined) return { kind: 'rename', file, from: source, source: from }
    return { ...moved, kind: moved.kind === 'index' ? 'value' : moved.kind, file }
  }

  /** What the addon is to do for a file. */
  wanted(state) {
    const { kind, file, op, value } = state
    if (kind === 'index') {
      const snapshot = this.#locked.index(this.#at(file))
      const text = native.stringify(value, snapshot, op.how.handle, file.shown)
      return ['index', text, op.how.handle, snapshot, state.backup]
    }
    if (kind === 'value')
      return ['write', native.stringify(value, undefined, op.how.handle, file.shown), op.how.write]
    if (kind === 'write') return ['write', state.data, state.how]
    if (kind === 'rename') return ['rename', state.from]
    return ['remove', state.must]
  }

  /** What the caller calls a file. */
  shown(position, calls) {
    const state = this.#states.get(position)
    const read = () => calls.flatMap(({ reads }) => reads).find(({ file }) => this.#at(file) === position)
    return (state ?? read())?.file.shown ?? ''
  }

  /** What was done to the files of a call. */
  filesOf(call, receipts) {
    const files = new Map()
    for (const { file, from, kind } of call.ops) {
      if (kind === 'mkdir') continue
      for (const one of from ? [from, file] : [file]) {
        const position = this.#at(one)
        const { kind, written, bytes, verified } = receipts.get(position) ?? {
          kind: 'remove',
          bytes: 0,
          verified: false,
        }
        const done = { remove: 'removed', rename: 'renamed' }[kind] ?? 'written'
        files.set(position, { path: one.shown, action: written ? done : 'unchanged', bytes, verified })
      }
    }
    return [...files.values()]
  }
}

/** Calls a function of the user's, in the async context of its call. Calls that it makes are to know that it holds locks. */
async function run(call, keys, op, fn, value) {
  const [returned, running] = call.inContext(native.call, keys, call.inside, op.file.shown, fn, value)
  try {
    return isThenable(returned) ? await returned : returned
  } finally {
    native.release(undefined, running)
  }
}
