// Patches of one index that are called one right after the other, while an earlier one of them is under way, are one call for the addon: their
// texts go there in one piece, and what came of all of them comes back in one. Each has its own promise, and its errors know its caller.

/** So many patches, and so much text, are one call. */
const MOST_GATHERED = 1000
const MOST_GATHERED_TEXT = 1 << 20

/** The last call that others can join. */
let last
/** The call that is gathered. */
let crowd

const isPrimitive = (value) => (typeof value !== 'object' && typeof value !== 'function') || value === null

/** What calls have in common that can be one; `undefined`: this one is alone. What only the second of them needs is left to it. */
function callOf(path, options) {
  const given = options ?? nothing
  if (typeof path !== 'string' || !isPlain(given) || given.onCorrupt !== undefined) return undefined
  const call = { path, options: {}, names: undefined, place: undefined, folder: undefined }
  // (A loop: a spread and a function for each took a call that is alone 13 µs.)
  for (const name of Object.keys(given)) {
    const value = given[name]
    if (!isPrimitive(value)) {
      // It could be another one by then, and would be kept until then.
      call.options = undefined
      break
    }
    call.options[name] = value
  }
  return call
}

/** Whether a call with these arguments has all in common with an earlier one. */
function isAlike(call, path, options) {
  if (call.options === undefined || path !== call.path) return false
  const given = options ?? nothing
  if (!isPlain(given)) return false
  call.names ??= Reflect.ownKeys(call.options)
  const { names } = call
  if (Reflect.ownKeys(given).length !== names.length) return false
  for (let at = 0; at < names.length; at++) {
    const name = names[at]
    if (!own(given, name) || !Object.is(given[name], call.options[name])) return false
  }
  const folder = process.cwd()
  if (call.place === undefined) {
    call.place = native.place(path)
    call.folder = folder
  }
  return call.place !== undefined && folder === call.folder
}

/** An error for one more caller: with the stack of where it is made. */
function sameError(error) {
  const { stack, message, ...rest } = Object.getOwnPropertyDescriptors(error)
  return Object.defineProperties(new error.constructor(error.message), rest)
}

/** Patches that are one call. */
class Crowd {
  texts = []
  /** Of those that took a closer look. */
  #patches = new Map()
  #size = 0
  #start
  #over = new Promise((resolve) => {
    this.#start = resolve
  })

  constructor(call) {
    this.call = call
  }

  get isFull() {
    return this.texts.length >= MOST_GATHERED || this.#size >= MOST_GATHERED_TEXT
  }

  /** Adds a patch, and promises what comes of it. */
  add(text, patch) {
    const at = this.texts.push(text) - 1
    this.#size += text.length
    if (patch !== undefined) this.#patches.set(at, patch)
    return this.#tell(at)
  }

  /** The functions of updates that do the same as those from `from` to `to`, each by itself. */
  functions(shown, numbers, from, to) {
    return this.texts.slice(from, to).map((text, at) => {
      const patch = this.#patches.get(from + at)
      return patch?.toFunction(shown, numbers) ?? Patch.functionOf(text, shown, numbers)
    })
  }

  async #tell(at) {
    let told
    try {
      told = await this.#over
      // Some of them, or all, are calls by themselves: there is no text, or they take too long for one commit.
      while (told.alone !== undefined && at < told.count) told = await told.first
    } catch (error) {
      throw sameError(error)
    }
    if (told.alone !== undefined) return await told.alone[at - told.count]
    told.faultsByPlace ??= new Map(told.faults.map((fault) => [fault.at, fault]))
    const fault = told.faultsByPlace.get(at)
    if (fault !== undefined) throw failureOf(fault, told.shown)
    if (told.error !== undefined) throw sameError(told.error)
    return { ...told.result }
  }

  start() {
    const made = (async () => native.startCrowd(this, this.call, this.texts.join('\0')))()
    this.#start(made)
  }
}

/** Starts the call that is gathered: at the end of what the program does in one go, or ahead of its next call. */
function startGathered() {
  const gathered = crowd
  crowd = undefined
  native.gathered.join = undefined
  gathered?.start()
}

async function startSoon(gathered) {
  await undefined
  if (crowd === gathered) startGathered()
}

/**
 * What comes of a patch that has joined others; or the patch, copied, that has to be a call by itself, as what it was made of may be another
 * by now; or its text, if that is all there is to its call. `undefined`: it was not looked at. `isRunning`: a call that it could join is under way.
 */
function gather(path, patch, options, isRunning) {
  const call = last
  last = undefined
  if (call === undefined || !isRunning || !attempted(isAlike, call, path, options)) {
    const alone = attempted(callOf, path, options)
    // This may run code of the caller's, which may make calls.
    const text = alone && attempted(plainTextOf, patch)
    last = alone
    return text
  }
  // This may run code of the caller's, which may make calls.
  const text = attempted(plainTextOf, patch)
  if (text !== undefined) return joined(call, text)
  const copy = new Patch(patch)
  const copied = copy.toTexts()
  if (copied !== undefined) return joined(call, copied, copy)
  last = call
  return copy
}

/** A patch that has all in common with `call` is gathered with others. */
function joined(call, text, copy) {
  if (crowd !== undefined && crowd.call !== call) startGathered()
  last = call
  if (crowd === undefined) {
    const isOutside = native.gather()
    crowd = new Crowd(call)
    if (isOutside) native.gathered.join = join
    startSoon(crowd)
  }
  const told = crowd.add(text, copy)
  if (crowd.isFull) startGathered()
  return told
}

/**
 * As `gather`, for a patch that joins those that are gathered and becomes text at once, while no call can be inside of a function: the way into the addon
 * and back takes twice as long as all of this. `undefined`: it is to go there.
 */
function join(path, patch, options) {
  const call = last
  if (crowd === undefined || crowd.call !== call || typeof patch === 'function') return undefined
  last = undefined
  if (attempted(isAlike, call, path, options)) {
    const text = attempted(plainTextOf, patch)
    if (text !== undefined) return attempted(joined, call, text)
  }
  // Those that follow are as this one, most likely.
  native.gathered.join = undefined
  last ??= call
  return undefined
}
