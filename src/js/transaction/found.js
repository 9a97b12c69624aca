// The files of a group of transactions: each path is followed once.

class Found {
  /** What the addon has found. */
  session
  #root
  #elsewhere
  #files = new Map()
  #directories = new Map()
  /** By position: that among the files of another group. */
  #positions = new Map()
  /** In the order in which they were found. */
  #wanted = []

  /** `elsewhere`: files of a group before, which are to be told from these. */
  constructor(root, elsewhere) {
    this.#root = root
    this.#elsewhere = elsewhere
  }

  /** Finds the files of these calls as well. */
  async add(calls, steps) {
    const wanted = new Map()
    const add = (file, mkdir, isDirectory) => {
      if (typeof this.at(file, isDirectory) === 'number') return
      const key = `${isDirectory} ${file.absolute}`
      const known = wanted.get(key)
      wanted.set(key, { file, isDirectory, mkdir: mkdir || known?.mkdir === true })
    }
    for (const { ops, reads } of calls) {
      for (const { file } of reads) add(file, false, false)
      for (const op of ops) {
        add(op.file, op.how?.mkdir ?? op.kind === 'rename', op.kind === 'mkdir')
        if (op.from) add(op.from, false, false)
        if (op.backup) add(op.backup, op.how.mkdir, false)
      }
    }
    const all = [...wanted.values()]
    if (all.length > 0 || this.session === undefined) await this.#find(all, steps)
  }

  async #find(wanted, steps) {
    const { session: before } = this
    const files = wanted.map(({ file, mkdir, isDirectory }) => [file.handle, mkdir, isDirectory])
    const find = () => native.find(this.#root, files, before, this.#elsewhere)
    this.session = undefined
    const [session, found, positions] = await native.timed(steps, find).catch((error) => {
      this.#forget()
      throw error
    })
    this.session = session
    this.#wanted.push(...wanted)
    for (const [at, { file, isDirectory }] of wanted.entries()) {
      this.#places(isDirectory).set(file.absolute, found[at])
      const position = positions[at]
      if (typeof position === 'number') this.#positions.set(found[at], position)
    }
  }

  #forget() {
    this.#wanted = []
    for (const known of [this.#files, this.#directories, this.#positions]) known.clear()
  }

  /**
   * Follows all paths once more: those who have waited for the group before may have changed where they lead. `false`: to other files, or there
   * are fewer or more.
   */
  async again(steps) {
    const wanted = this.#wanted
    const places = () =>
      wanted.map(({ file, isDirectory }) => {
        const position = this.at(file, isDirectory)
        return typeof position === 'number' ? `${position} ${this.elsewhere(position)}` : ''
      })
    const before = places()
    await this.release()
    this.#forget()
    await this.#find(wanted, steps)
    const after = places()
    return before.every((place, at) => place === after[at])
  }

  #places(isDirectory) {
    return isDirectory ? this.#directories : this.#files
  }

  /** The position of a file, or why it has none. */
  at(file, isDirectory = false) {
    return this.#places(isDirectory).get(file.absolute)
  }

  /** The position among the files of the group before of the file that has this one. */
  elsewhere(position) {
    return this.#positions.get(position)
  }

  /** What was found for a call, but for what may be missing with its directory. */
  #of({ reads, ops }) {
    const mayBeMissing = ops.filter((op) => op.kind === 'remove' && !op.must)
    const others = ops.filter((op) => !mayBeMissing.includes(op))
    return [
      ...[...reads, ...mayBeMissing].map(({ file }) => this.at(file)).filter((found) => !isMissing(found)),
      ...others.map((op) => this.at(op.file, op.kind === 'mkdir')),
      ...others.flatMap(({ from, backup }) => [from, backup].filter(Boolean).map((file) => this.at(file))),
    ]
  }

  /** Why a call cannot be committed. */
  failureOf(call) {
    return this.#of(call).find((found) => typeof found !== 'number')
  }

  /** Lets go what it has. The garbage collector would let it go later, and descriptors are open for it. */
  async close() {
    const elsewhere = this.#elsewhere
    this.#elsewhere = undefined
    if (elsewhere !== undefined) native.forget(elsewhere)
    await this.release()
  }

  /** Lets the session go, unless somebody has taken it. */
  async release() {
    const { session } = this
    this.session = undefined
    if (session !== undefined) await native.release(session)
  }
}

const isMissing = (found) => found?.code === 'ENOENT' || found?.code === 'ENOTDIR'

/** What calls need locked and looked at. `indexes`: the first update of each, by position; `counts`: how many there are. */
function neededBy(calls, found, ahead) {
  const indexes = new Map()
  const counts = new Map()
  const seen = []
  for (const { ops, reads } of calls) {
    for (const op of ops) {
      if (op.kind !== 'update') continue
      const position = found.at(op.file)
      counts.set(position, (counts.get(position) ?? 0) + 1)
      if (!indexes.has(position)) indexes.set(position, op)
    }
    for (const { file, seen: before } of reads) {
      const position = found.at(file)
      if (typeof position === 'number') seen.push([position, before])
    }
  }
  const updates = [...indexes].map(([position, op]) => [
    position,
    op.how.handle,
    op.file.shown,
    op.text,
    ahead?.expected(position),
  ])
  return { indexes, counts, updates, seen }
}

/** What is read under the locks. `indexes`, `counts`: as `neededBy` tells. */
function underLocks(locked, indexes, counts) {
  const snapshots = new Map([...indexes.keys()].map((position, entry) => [position, locked.indexes[entry]]))
  const all = {
    ...locked,
    index: (position) => snapshots.get(position),
    parse: (position, handle, shown) => {
      const snapshot = snapshots.get(position)
      if (snapshot instanceof Error) throw own(snapshot)
      return ours(() => native.parse(snapshot, handle, shown))
    },
    /** With which options an index was read. */
    readAs: (position) => indexes.get(position).how.handle,
    updates: (position) => counts.get(position),
  }
  return { ...all, stored: new StoredValues(all) }
}

/** Entries of a plan: what calls have read is to be as they have read it. */
function looksOf(calls, found) {
  const look = ({ file, seen }) => {
    const position = found.at(file)
    const what = typeof position === 'number' ? [position, 'keep', seen] : [0, 'absent', file.handle]
    return { file, what }
  }
  return calls.flatMap(({ reads }) => reads.map(look))
}

/** The calls that do something with a file, or have read it. */
function callsWith(position, calls, found) {
  const isIt = (file) => file && found.at(file) === position
  return calls.filter(({ ops, reads }) =>
    [...ops, ...reads].some(({ file, from }) => isIt(file) || isIt(from)),
  )
}
