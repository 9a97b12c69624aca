// What the package exports: each function answers with a promise.

/** Errors that the addon has made, for which no code of the user's is on the stack. */
const oursAlone = new WeakSet()

/** Marks one of these. */
function own(error) {
  if (error instanceof Error) oursAlone.add(error)
  return error
}

/** Marks what `make` throws. */
function ours(make) {
  try {
    return make()
  } catch (error) {
    throw own(error)
  }
}

/**
 * Lets an error that was made where the caller is not on the stack any more lead to those who wait for `called`, which has just waited for it: V8 knows
 * them. (To note the stack in each call took a tenth of all that it costs the thread.)
 */
function ledToCaller(error, called) {
  if (!oursAlone.delete(error)) return error
  const site = {}
  Error.captureStackTrace(site, called)
  const [, ...frames] = String(site.stack).split('\n')
  const [message] = String(error.stack).split('\n    at ')
  error.stack = [message, ...frames].join('\n')
  return error
}

/** Of a `build` that has registered nothing, and seems to have meant to. */
function listReturned() {
  const message =
    'The function build returned a list of operations, and has registered none: give the list in the place of build, or call ' +
    'tx.write, tx.update, tx.patch, tx.remove, tx.rename and tx.mkdir in it'
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_RETURN_VALUE' })
}

/** One call, until it is told what came of it. */
class Call {
  isOver = false
  isStale = false
  isAlone = false
  attempts = 0
  ops = []
  reads = []
  /** Its functions have run, or are running. */
  isApplied = false
  /** The job that waits for the locks has its timeout. */
  isTimed = false
  isCommitting = false
  /** Of a job that finds the files, takes their locks and commits. */
  finding = undefined
  /** Since when it waits to be committed. */
  waitsSince = 0
  /** The error of an abort. */
  aborted
  /** Is called when the caller has been told, or has aborted. */
  onGone = undefined
  #value
  #make
  /** With what was registered last. */
  #tx
  #settle
  #stopListening
  #isGone = false
  #onceGone = []

  constructor(scope, make) {
    this.scope = scope
    this.root = scope.root
    this.queueKey = scope.absolute
    this.inside = native.inside()
    this.steps = native.takeSteps()
    this.inContext = contextOfNow()
    this.#make = make
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#stopListening = listen(scope.signal, () => this.#abort())
  }

  /** Resolves when its caller has been told, or has aborted it. */
  get gone() {
    return new Promise((resolve) => {
      if (this.#isGone) resolve()
      else this.#onceGone.push(resolve)
    })
  }

  #leave() {
    this.#isGone = true
    for (const resolve of this.#onceGone.splice(0)) resolve()
    this.onGone?.()
  }

  /** Whether what it has read can be read again. */
  get canRebuild() {
    return this.#make !== undefined
  }

  /** Begins; its operations follow from what `make` does. */
  start() {
    this.build().then((isBuilt) => {
      if (isBuilt) enqueue(this)
    })
    return this.promise
  }

  /** Begins with what was registered. */
  startWith(tx) {
    this.attempts++
    this.#take(tx)
    enqueue(this)
    return this.promise
  }

  #take(tx) {
    this.#tx = tx
    Object.assign(this, Transaction.finish(tx))
  }

  /** Lets `make` register its operations. `false`: that has failed, or nobody waits for it any more. */
  async build() {
    this.attempts++
    this.isStale = false
    this.isApplied = false
    if (this.#tx) Transaction.forget(this.#tx)
    const tx = new Transaction(this.root, this.scope)
    try {
      const made = this.inContext(this.#make, tx)
      this.#value = isThenable(made) ? await made : made
      this.#take(tx)
      if (this.ops.length === 0 && isOperations(this.#value)) throw own(listReturned())
    } catch (error) {
      Transaction.finish(tx)
      this.#tx = tx
      this.fail(error)
    }
    // It may have been told meanwhile.
    if (this.isOver) Transaction.forget(tx)
    return !this.isOver
  }

  #abort() {
    this.aborted = own(native.aborted(this.scope.signal))
    // Its group tells it, when the locks are free, and it is known whether a commit could be given up.
    if (this.finding ? !native.giveUp(this.finding) : this.isCommitting || this.isApplied) {
      this.#leave()
    } else {
      this.fail(this.aborted)
    }
  }

  /** For a call that may be waiting for others. */
  checkTime(now) {
    const { timeout, shownRoot } = this.scope
    const waited = now - this.waitsSince
    if (waited < timeout || this.isApplied || this.isTimed || this.isCommitting) return
    if (this.finding === undefined || native.giveUp(this.finding)) {
      this.fail(own(native.failure('earlier', shownRoot, waited)))
    }
  }

  succeed(result) {
    if (this.isOver) return
    for (const { result } of this.ops) if (result) result.isWritten = true
    this.#settle.resolve({ value: this.#value, ...result, attempts: this.attempts })
    this.#end()
  }

  fail(error) {
    if (this.isOver) return
    this.#settle.reject(error)
    this.#end()
  }

  #end() {
    this.isOver = true
    if (this.#tx) Transaction.forget(this.#tx)
    this.#stopListening()
    this.#leave()
  }
}

/** One listener for all calls that share a signal: Node.js warns of many. */
const listeners = new WeakMap()

function listen(signal, react) {
  if (signal === undefined) return () => undefined
  let reactions = listeners.get(signal)
  if (reactions === undefined) {
    reactions = {
      all: new Set(),
      handle: () => {
        for (const react of [...reactions.all]) react()
      },
    }
    listeners.set(signal, reactions)
  }
  if (reactions.all.size === 0) signal.addEventListener('abort', reactions.handle)
  reactions.all.add(react)
  return () => {
    reactions.all.delete(react)
    if (reactions.all.size === 0) signal.removeEventListener('abort', reactions.handle)
  }
}

/** Where and how. */
function scopeOf(root, options) {
  const found = rootAt(root)
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw native.wrongType('options', 'of type Object', options)
  }
  const { flush = true, verify, signal, retries = 3, timeout } = options ?? {}
  if (typeof flush !== 'boolean') throw native.wrongType('options.flush', 'of type boolean', flush)
  if (verify !== undefined) native.write({ verify })
  if (!Number.isInteger(retries) || retries < 0) {
    throw native.wrongType('options.retries', 'a whole number, 0 or more', retries)
  }
  checkSignal(signal)
  return {
    root: found.handle,
    at: found,
    absolute: found.absolute,
    shownRoot: found.shown,
    options: { flush, verify },
    signal: signal ?? undefined,
    retries,
    timeout: native.timeout(timeout),
  }
}

function checkSignal(signal) {
  if (signal === undefined || signal === null) return
  if (typeof signal !== 'object' || typeof signal.aborted !== 'boolean') {
    throw native.wrongType('options.signal', 'an instance of AbortSignal', signal)
  }
  if (signal.aborted) throw native.aborted(signal)
}

async function atomicTransaction(root, build, options) {
  const scope = scopeOf(root, options)
  native.checkNested(scope.shownRoot)
  const isList = Array.isArray(build)
  if (!isList && typeof build !== 'function') {
    throw native.wrongType('build', 'of type function or an instance of Array', build)
  }
  const operations = isList ? [...build] : undefined
  try {
    return await new Call(scope, isList ? (tx) => register(tx, operations) : build).start()
  } catch (error) {
    throw ledToCaller(error, atomicTransaction)
  }
}

/** A transaction that is committed by hand. */
class OpenTransaction extends Transaction {
  #scope
  #state = 'open'

  constructor(scope) {
    super(scope.root, scope)
    this.#scope = scope
  }

  async commit() {
    if (this.#state !== 'open') native.ended(`the transaction was ${this.#state} before`)
    native.checkNested(this.#scope.shownRoot)
    checkSignal(this.#scope.signal)
    this.#state = 'committed'
    try {
      return await new Call(this.#scope, undefined).startWith(this)
    } catch (error) {
      throw ledToCaller(error, OpenTransaction.prototype.commit)
    }
  }

  async rollback() {
    if (this.#state === 'open') {
      this.#state = 'rolled back'
      Transaction.finish(this)
      Transaction.forget(this)
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.rollback()
  }
}

async function beginTransaction(root, options) {
  return new OpenTransaction(scopeOf(root, options))
}

async function readAll(root, paths, { timeout, signal } = {}) {
  const handle = native.root(root)
  if (!Array.isArray(paths)) throw native.wrongType('paths', 'an instance of Array', paths)
  const files = paths.map((path, at) => fileAt(handle, `paths[${at}]`, path).handle)
  checkSignal(signal)
  const cancel = native.cancel()
  const stop = listen(signal ?? undefined, () => native.abort(cancel))
  try {
    return await native.snapshot(handle, files, native.timeout(timeout), cancel)
  } catch (error) {
    throw error?.name === 'AbortError' ? native.aborted(signal) : error
  } finally {
    stop()
  }
}

async function snapshotRead(root, paths, options) {
  const given = typeof options === 'string' ? { encoding: options } : (options ?? {})
  const encoding = given.encoding === undefined ? 'utf8' : given.encoding
  checkEncoding(encoding)
  const contents = await readAll(root, paths, given)
  return contents.map((content) =>
    content === null || encoding === null ? content : content.toString(encoding),
  )
}

async function snapshotReadIndex(root, paths, options) {
  const handle = native.root(root)
  const contents = await readAll(root, paths, options ?? {})
  return contents.map((content, at) => {
    if (content === null) return undefined
    const file = fileAt(handle, 'paths', paths[at])
    const [update] = native.update(file.handle, { numbers: 'lossy', codec: options?.codec })
    return native.parseBytes(content, update, file.shown)
  })
}

async function recover(root, options) {
  const handle = native.root(root)
  const { giveUp = false, timeout, signal } = options ?? {}
  if (typeof giveUp !== 'boolean') throw native.wrongType('options.giveUp', 'of type boolean', giveUp)
  checkSignal(signal)
  const cancel = native.cancel()
  const stop = listen(signal ?? undefined, () => native.abort(cancel))
  try {
    return await native.recover(handle, giveUp, native.timeout(timeout), cancel)
  } catch (error) {
    throw error?.name === 'AbortError' ? native.aborted(signal) : error
  } finally {
    stop()
  }
}
