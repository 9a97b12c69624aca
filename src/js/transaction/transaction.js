// One transaction: what it is to do, and what it reads meanwhile. Compiled by the addon together with the other scripts here;
// `native` is what the addon has for them.

const asyncHooks = globalThis.process.getBuiltinModule?.('node:async_hooks')

/** Runs functions later in the async context of now. (`AsyncLocalStorage.snapshot` does the same at ten times the cost.) */
function contextOfNow() {
  const { AsyncResource } = asyncHooks ?? {}
  if (AsyncResource === undefined) return (run, ...args) => run(...args)
  const context = new AsyncResource('ATOMIC_TRANSACTION')
  return (run, ...args) => context.runInAsyncScope(run, undefined, ...args)
}

const isThenable = (value) =>
  value !== null &&
  (typeof value === 'object' || typeof value === 'function') &&
  typeof value.then === 'function'

function checkFunction(name, value) {
  if (typeof value !== 'function') throw native.wrongType(name, 'of type function', value)
}

/** Also where no file is there to be read in it. */
function checkEncoding(encoding) {
  if (encoding !== undefined && encoding !== null) native.write({ encoding })
}

/** What `tx.update` returns: the index as it was written, once it is. */
class Updated {
  #state
  constructor(state) {
    this.#state = state
  }
  get value() {
    const state = this.#state
    if (!state.isWritten) {
      native.ended('the index is known only after the transaction has been committed')
    }
    if (state.read !== undefined) {
      state.value = state.read()
      // It has the text.
      state.read = undefined
    }
    return state.value
  }
}

/** `known`: what these arguments have come to before. */
function fileAt(root, name, path, known) {
  const [handle, shown, absolute] = known ?? native.file(root, name, path)
  return { handle, shown, absolute, identity: undefined }
}

/** The class of patches. */
let Patches

function patches() {
  Patches ??= native.patches()
  return Patches
}

/** Whether two updates of one file can be made to the same parsed index. */
function sharesIndex(one, other) {
  return one.backup?.absolute === other.backup?.absolute && isSameUpdate(one.how.handle, other.how.handle)
}

const isSameUpdate = (one, other) => one === other || native.isSame(one, other)

/** What `build` has in its hands. It only registers; see `group.js` for what becomes of it. */
class Transaction {
  #root
  #scope
  #isOver = false
  /** What is to be done, in the order of the calls. */
  #ops = []
  /** What was read from disk, by absolute path. */
  #reads = new Map()
  /** So many reads look at what was registered. */
  #views = 0
  #isForgotten = false

  constructor(root, scope) {
    this.#root = root
    this.#scope = scope
  }

  get root() {
    return this.#scope.shownRoot
  }

  write(path, data, options) {
    const file = this.#file('path', path)
    const how = writes.of(options, this.#scope.options, '', () => {
      const [handle, exclusive, mkdir] = native.write(this.#defaults(options))
      return { handle, exclusive, mkdir }
    })
    const isLater = typeof data === 'function'
    const op = { kind: 'write', file, how, data: isLater ? undefined : native.data(data, how.handle) }
    if (isLater) op.make = data
    this.#ops.push(op)
  }

  update(path, fn, options) {
    return this.#update(path, fn, options)
  }

  #update(path, fn, options, { patch, maker } = {}) {
    const file = this.#file('path', path)
    checkFunction('fn', fn)
    const make = () => this.#howOf(file, options)
    const known = updates.of(options, this.#scope.options, file.absolute, make)
    const { path: backupPath, beside } = known
    const backup =
      backupPath === undefined
        ? beside && {
            handle: beside,
            absolute: `${file.absolute}.backup`,
            shown: `${file.shown}.backup`,
          }
        : this.#file('options.backup', backupPath)
    const result = {}
    const text = patch && native.textPatch(patch, known.how.handle)
    const isPatch = patch !== undefined || maker !== undefined
    const how = isPatch ? { ...known.how, keeps: false } : known.how
    const { numbers } = options ?? {}
    const op = { kind: 'update', file, fn, text, maker, isPatch, numbers, how, backup, result }
    const same = this.#ops.find((op) => op.kind === 'update' && op.file.absolute === file.absolute)
    if (same && !sharesIndex(op, same)) {
      throw native.wrongType('options', 'the same for all updates of one file (but for initial)', options)
    }
    this.#ops.push(op)
    return new Updated(result)
  }

  /** How to update a file, and the path of its backup or, if that is beside the file, its handle. */
  #howOf(file, options) {
    const { backup, ...rest } = this.#defaults(options)
    // The addon checks what else is in there. Its path goes by the root.
    const wanted = backup?.path ?? backup
    if (wanted !== backup) native.update(file.handle, { ...rest, backup })
    const isPath = typeof wanted === 'string' || ArrayBuffer.isView(wanted) || wanted?.href !== undefined
    if (!isPath) rest.backup = wanted
    const [handle, mkdir, beside, keeps, isText] = native.update(file.handle, rest)
    return { how: { handle, mkdir, keeps, isText }, path: isPath ? wanted : undefined, beside }
  }

  patch(path, patch, options) {
    const { shown } = this.#file('path', path)
    if (typeof patch === 'function') {
      const given = patches().toOptions(options)
      return this.#update(path, patches().updateOf(patch, shown, given.numbers), given, { maker: patch })
    }
    const [fn, given, copy] = native.patch(patch, shown, options)
    return this.#update(path, fn, given, { patch: copy })
  }

  remove(path, options) {
    const file = this.#file('path', path)
    const missing = options?.missing ?? 'error'
    if (missing !== 'error' && missing !== 'ignore') {
      throw native.wrongType('options.missing', "'error' or 'ignore'", missing)
    }
    this.#ops.push({ kind: 'remove', file, must: missing === 'error' })
  }

  rename(from, to) {
    const source = this.#file('from', from)
    this.#ops.push({ kind: 'rename', from: source, file: this.#file('to', to) })
  }

  mkdir(path) {
    this.#ops.push({ kind: 'mkdir', file: this.#file('path', path) })
  }

  async read(path, options) {
    const file = this.#file('path', path)
    const encoding = typeof options === 'string' ? options : options?.encoding
    checkEncoding(encoding)
    const content = await this.#look(file)
    return content === null || encoding === undefined || encoding === null
      ? content
      : content.toString(encoding)
  }

  async readIndex(path, options) {
    const file = this.#file('path', path)
    const [update] = native.update(file.handle, options ?? {})
    const value = native.parseBytes(await this.#look(file), update, file.shown)
    return native.checkRead(value, update, file.shown)
  }

  /** What a file will be after all that was registered so far. */
  async #look(file) {
    this.#views++
    try {
      return await this.#view(file, this.#ops.length)
    } finally {
      this.#views--
      if (this.#isForgotten) Transaction.forget(this)
    }
  }

  /** What a file will be after the first `upTo` operations: a buffer, or `null`. What is on disk counts as read. */
  async #view(file, upTo) {
    const ops = this.#ops.slice(0, upTo).filter((op) => op.kind !== 'mkdir')
    // What is known of a file's identity is kept: each path is followed once.
    const unknown = new Set(ops.flatMap((op) => (op.from ? [op.file, op.from] : [op.file])))
    for (const other of unknown) if (other.identity !== undefined) unknown.delete(other)
    const others = [...unknown]
    const found = await native.read(
      this.#root,
      file.handle,
      others.map(({ handle }) => handle),
    )
    for (const [at, identity] of found.identities.entries()) others[at].identity = identity ?? undefined
    const isSame = (other) =>
      other !== undefined &&
      (other.absolute === file.absolute || (found.identity && other.identity === found.identity))
    const own = ops.filter((op) => isSame(op.file) || isSame(op.from))
    const first = own[0]
    if (first === undefined || first.kind === 'update' || (first.kind === 'rename' && isSame(first.from))) {
      if (!this.#reads.has(file.absolute)) this.#reads.set(file.absolute, { file, seen: found.seen })
    }
    let content = found.content
    for (const op of own) {
      if (op.kind === 'write') content = native.bytes(op.data ?? native.data(await op.make(), op.how.handle))
      else if (op.kind === 'update') content = await this.#updated(op, content)
      else if (op.kind === 'rename' && isSame(op.file))
        content = await this.#view(op.from, this.#ops.indexOf(op))
      else content = null
    }
    return content
  }

  async #updated({ fn, how, file }, content) {
    const fnAlone = native.checked(fn, how.handle, file.shown, true)
    // Not frozen in any case: how many updates there will be, with which it is not, is not known yet.
    const next = await fnAlone(native.parseBytes(content, how.handle, file.shown))
    return native.bytes(native.stringify(native.check(next, how.handle), undefined, how.handle, file.shown))
  }

  #defaults(options) {
    const { flush, verify } = this.#scope.options
    if (typeof options === 'string') return { flush, verify, encoding: options }
    if (options !== undefined && options !== null && typeof options !== 'object') {
      throw native.wrongType('options', 'of type Object', options)
    }
    // A signal is the whole transaction's, and so is whether anything is flushed.
    return { verify, ...options, flush, signal: undefined }
  }

  #file(name, path) {
    if (this.#isOver) native.ended('the transaction has ended')
    return fileBelow(this.#scope.at, name, path)
  }

  /** Ends the registration. */
  static finish(tx) {
    tx.#isOver = true
    return { ops: tx.#ops, reads: [...tx.#reads.values()] }
  }

  /** Lets the data of its writes go: V8 takes them for a few bytes, and would leave gigabytes before it looks for garbage. */
  static forget(tx) {
    tx.#isForgotten = true
    // A read that `build` has not waited for may be about to look at them.
    if (tx.#views > 0) return
    for (const { kind, data } of tx.#ops) if (kind === 'write' && data !== undefined) native.forget(data)
  }
}

/** The options of an operation that has none. */
const NONE = Object.freeze({})

/** Registers operations that are given as a list. What is wrong with one says its position, as the entry of a batch does. */
function register(tx, operations) {
  for (const [at, operation] of operations.entries()) {
    try {
      registerOne(tx, operation)
    } catch (error) {
      // It may be what a getter of the caller's throws.
      if (error instanceof Error && !('entry' in error)) Reflect.defineProperty(error, 'entry', entry(at))
      throw error
    }
  }
}

const entry = (value) => ({ value, writable: true, enumerable: true, configurable: true })

const ONE_OF = 'one of write, update, patch, remove, rename or mkdir'

/** Whether it is meant as a path, right or wrong. */
const isPath = (value) => typeof value === 'string' || (typeof value === 'object' && value !== null)

/** Of each operation, by its name, what else it has to have. */
const WITH = {
  write: ({ data }) => data !== undefined,
  update: ({ fn }) => typeof fn === 'function',
  patch: ({ change }) => change !== undefined,
  remove: () => true,
  rename: ({ to }) => canBePath(to),
  mkdir: () => true,
}

const canBePath = (value) => typeof value === 'string' || ArrayBuffer.isView(value) || value instanceof URL

/** Whether a value can only be meant as such a list, and is not an empty one. */
function isOperations(value) {
  try {
    return Array.isArray(value) && value.length > 0 && Array.from(value).every(isOperation)
  } catch {
    // Of a getter of the value's.
    return false
  }
}

function isOperation(value) {
  if (value === null || typeof value !== 'object') return false
  const [kind, ...more] = Object.keys(WITH).filter((name) => canBePath(value[name]))
  return kind !== undefined && more.length === 0 && WITH[kind](value)
}

function registerOne(tx, operation) {
  if (operation === null || typeof operation !== 'object') {
    throw native.wrongType('operation', 'of type Object', operation)
  }
  const { write, data, update, fn, patch, change, remove, rename, to, mkdir, ...rest } = operation
  // Beside an operation that has options it is one of them, unless it is a path.
  const isOption = mkdir !== undefined && (write ?? update ?? patch) !== undefined && !isPath(mkdir)
  if (isOption) rest.mkdir = mkdir
  // What comes of none is remembered.
  const options = Object.keys(rest).length > 0 ? rest : NONE
  const paths = { write, update, patch, remove, rename, mkdir: isOption ? undefined : mkdir }
  const given = Object.keys(paths).filter((name) => paths[name] !== undefined)
  if (given.length !== 1) {
    const what = given.length > 1 ? given.join(' and ') : 'none'
    throw native.wrongType('operation', `an object with ${ONE_OF}, not ${what}`, operation)
  }
  if (patch !== undefined && (change === null || !['object', 'function'].includes(typeof change))) {
    throw native.wrongType('change', 'of type Object or function', change)
  }
  if (write !== undefined) tx.write(write, data, options)
  else if (update !== undefined) tx.update(update, fn, options)
  else if (patch !== undefined) tx.patch(patch, change, options)
  else if (remove !== undefined) tx.remove(remove, options)
  else if (rename !== undefined) tx.rename(rename, to)
  else tx.mkdir(mkdir)
}
