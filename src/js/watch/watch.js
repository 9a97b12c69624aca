// The iterator of `watchIndex`.

/** What is missing or broken counts when it has been so for that long (ms): another program may be in the middle of a write. */
const DOUBT = 1000

/** A file that has rested for so long (ms) when it is read is known by its times; the coarsest clocks tick every two seconds. */
const AT_REST = 3000

/** Keeps the process alive while anybody waits for a change. */
const alive = setInterval(() => {}, 2 ** 30).unref()
let waiting = 0

/** Of a link, which leads to what is to be looked at. */
const LINK = Symbol('link')
const MISSING = 'missing'

/** What is another one with each version of the file. */
async function versionAt(path) {
  if (path === undefined) return { is: MISSING }
  try {
    const stat = await fs.promises.lstat(bytesOf(path), { bigint: true })
    if (stat.isSymbolicLink()) return { is: LINK }
    const { dev, ino, size, mtimeNs, ctimeNs } = stat
    return { is: [dev, ino, size, mtimeNs, ctimeNs].join(), changedMs: Number(ctimeNs / 1_000_000n) }
  } catch (error) {
    return { is: error.code === 'ENOENT' || error.code === 'ENOTDIR' ? MISSING : error.code }
  }
}

/**
 * `native.shown` is what the caller calls the file, `native.read()` reads it, `native.print(value)` makes a text by which values are compared, `native.check(value)` passes on a value that is as it is to be, `native.listen(react)` listens
 * to the signal until `native.unlisten()`, and `native.aborted()` is the error of that.
 */
class Watch {
  #native
  #hasInitial
  #onError
  #route
  /** The step before: one at a time. */
  #step = Promise.resolve()
  #isStarted = false
  #isOver = false
  /** What the next step rejects with. */
  #failure
  /** There may be another version than was looked at. */
  #mayDiffer = true
  #wake = () => {}
  /** Ends the waiting for code of the caller's. */
  #giveUp = () => {}
  #timer
  /** The version that was read last, if it can be told from the next. */
  #known
  /** What is missing or broken, since when, and whether that was told. */
  #doubt
  /** The last event, and its text: a caller may change the value. */
  #value
  #text

  constructor(native, path, hasInitial, onError) {
    this.#native = native
    this.#hasInitial = hasInitial
    this.#onError = onError
    this.#route = new Route(path, native.shown, () => this.#look())
  }

  next() {
    const step = this.#step.then(() => this.#next())
    this.#step = step.catch(() => {})
    return step
  }

  async return(value) {
    this.#end()
    return { value, done: true }
  }

  async throw(error) {
    this.#end()
    throw error
  }

  async #next() {
    try {
      if (!this.#isStarted) {
        this.#isStarted = true
        this.#native.listen(() => this.#end(this.#native.aborted()))
      }
      while (!this.#isOver) {
        if (this.#mayDiffer) {
          const found = await this.#changed()
          if (found && !this.#isOver) return { value: found, done: false }
        } else {
          await this.#event()
        }
      }
    } catch (error) {
      this.#end(error)
    }
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure.error
    return { value: undefined, done: true }
  }

  #end(...errors) {
    if (this.#isOver) return
    this.#isOver = true
    if (errors.length > 0) this.#failure = { error: errors[0] }
    clearTimeout(this.#timer)
    this.#route.leave()
    this.#native.unlisten()
    this.#wake()
    this.#giveUp()
  }

  #look() {
    this.#mayDiffer = true
    this.#wake()
  }

  async #event() {
    if (waiting++ === 0) alive.ref()
    await new Promise((resolve) => {
      this.#wake = resolve
    })
    if (--waiting === 0) alive.unref()
  }

  /** What code of the caller's has returned, which may never settle: until then, or until all is over. */
  #unlessOver(returned) {
    // It may have ended all itself.
    if (this.#isOver) return Promise.race([returned, undefined])
    const over = new Promise((resolve) => {
      this.#giveUp = resolve
    })
    return Promise.race([returned, over])
  }

  /** The next event, if there is one. */
  async #changed() {
    this.#mayDiffer = false
    if (this.#route.isStale) await this.#route.follow()
    // Its watches were made after the end.
    if (this.#isOver) return this.#route.leave()
    const { file } = this.#route
    const before = await versionAt(file)
    if (before.is === LINK) {
      this.#route.isStale = true
      return this.#look()
    }
    if (before.is === this.#known) {
      // What is missing or broken again after that has not been so all the time.
      this.#doubt = undefined
      return
    }
    try {
      const { value: read, source } = await this.#native.read()
      const isAtRest = (await versionAt(file)).is === before.is
      if (this.#isOver) return
      // What was read is a version all the same: of a file that is always being replaced there would be none otherwise.
      if (!isAtRest) this.#look()
      const isThere = source === 'file'
      if (!isThere && (!this.#hasInitial || (this.#text !== undefined && !this.#isSettled(MISSING)))) return
      const text = this.#printed(read, before.is)
      const isNew = text !== this.#text
      const value = isNew ? await this.#unlessOver(this.#native.check(read)) : undefined
      if (this.#isOver) return
      this.#doubt = undefined
      this.#known = isThere && isAtRest && Date.now() - before.changedMs > AT_REST ? before.is : undefined
      if (!isNew) return
      const previous = this.#value
      this.#value = value
      this.#text = text
      return { value, previous }
    } catch (error) {
      if (this.#isOver || !this.#isSettled(before.is) || this.#doubt.isTold) return
      const onError = this.#onError
      if (onError === undefined) throw error
      this.#doubt.isTold = true
      await this.#unlessOver(onError(error))
    }
  }

  /** A text by which a value is compared. One that a codec cannot print is as good as others, and another one in each version of the file. */
  #printed(value, version) {
    try {
      return this.#native.print(value)
    } catch {
      return `not printed: ${String(version)}`
    }
  }

  /** Whether the file has been as it is for long enough. Otherwise there will be another look. */
  #isSettled(version) {
    if (this.#doubt?.version !== version) this.#doubt = { version, until: performance.now() + DOUBT }
    const left = this.#doubt.until - performance.now()
    if (left <= 0) return true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(), left + 1).unref()
    return false
  }
}

// `for await`, and what else Node.js gives to async iterators.
Object.setPrototypeOf(
  Watch.prototype,
  Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype),
)

const watch = (native, path, hasInitial, onError) => new Watch(native, path, hasInitial, onError)
