// Where a path leads, and the directories to watch for that to change. Compiled by the addon, as a part of one script.
//
// Paths are strings with one character a byte: a name need not be UTF-8.

const isLinux = process.platform === 'linux'

const bytesOf = (path) => Buffer.from(path, 'latin1')

/** Names of a folder that ignores case are the same in any; a look too many does no harm. */
const folded = (name) => name.toLowerCase()

/** As Linux follows. */
const MOST_LINKS = 40

/** The system drops events without a word when 16,384 wait, so after so many of other files there is another look. */
const MOST_OTHERS = 1000
let others = 0

/** Whether this process may open another file. */
function hasDescriptors() {
  try {
    fs.closeSync(fs.openSync('/', 'r'))
    return true
  } catch {
    return false
  }
}

/**
 * An error of the system that has nothing more to watch with, and what to do about that, for a caller who watches `shown`: Node.js tells the directory
 * on the way there that was tried, and of many open files, whichever limit it is.
 */
function explained(error, shown) {
  const { code, errno, syscall } = error
  const reasons = {
    ENOSPC: [
      'no more inotify watches',
      'this user has as many as fs.inotify.max_user_watches allows: end programs that watch many files, or raise it with sysctl(8)',
    ],
    EMFILE: hasDescriptors()
      ? [
          'no more inotify instances',
          'this user has as many as fs.inotify.max_user_instances allows, one for each thread that watches: end such programs, or raise it with sysctl(8)',
        ]
      : ['too many open files', 'this process may open no more: see ulimit -n'],
  }
  if (!isLinux || !Object.hasOwn(reasons, code)) return error
  const [what, todo] = reasons[code]
  const told = new Error(`${code}: ${what}, ${syscall} '${shown}': ${todo}`)
  return Object.assign(told, { errno, code, syscall, path: shown })
}

/** What the system watches, by path: one for all routes through it. */
const watched = new Map()

/**
 * A directory at a path. It is *retired* when another one may have come to that path: routes that still have it hear of
 * events in the old one, and those that come later get the new one.
 */
class Directory {
  #path
  #watcher
  #listeners = new Set()

  /** The one at `path`, with one more listener: `listener(isRename, name)`, for events of whatever entry without a name. */
  static at(path, listener) {
    const directory = watched.get(path) ?? new Directory(path)
    watched.set(path, directory)
    directory.#listeners.add(listener)
    return directory
  }

  constructor(path) {
    this.#path = path
    const self = folded(basename(path))
    // It does not keep the process alive; a step that waits does.
    this.#watcher = fs.watch(bytesOf(path), { persistent: false, encoding: 'buffer' })
    this.#watcher.on('change', (type, bytes) => {
      const name = bytes && folded(bytes.latin1Slice())
      const isRename = type === 'rename'
      // What happens to the directory itself comes under its own name.
      if (isRename && (!name || name === self)) this.#replaced()
      else this.#tell(isRename, name)
    })
    // On Windows: the directory is gone.
    this.#watcher.on('error', () => this.#replaced())
  }

  retire() {
    if (watched.get(this.#path) === this) watched.delete(this.#path)
  }

  leave(listener) {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    this.retire()
    this.#watcher.close()
  }

  #replaced() {
    this.retire()
    this.#tell(true, undefined)
  }

  #tell(isRename, name) {
    let isOurs = false
    for (const listener of [...this.#listeners]) isOurs = listener(isRename, name) || isOurs
    if (isOurs || ++others < MOST_OTHERS) return
    others = 0
    for (const directory of watched.values()) {
      for (const listener of [...directory.#listeners]) listener(false, undefined)
    }
  }
}

async function entryAt(path) {
  try {
    return await fs.promises.lstat(bytesOf(path))
  } catch {
    // It is missing, or what is wrong with it is told by reading.
  }
}

/** The names in a path, the last one first. */
const namesIn = (path) => path.split(process.platform === 'win32' ? /[\\/]/ : '/').reverse()

/** A path, followed name by name, with watches on what decides where it leads. */
class Route {
  #path
  #shown
  #onChange
  /** In the order in which the names are looked up: `{ directory, listener }`. */
  #places = []
  /** Which of them has the file. */
  #fileAt = -1
  /** Whether it may lead elsewhere by now. */
  isStale = true
  /** Where it leads; `undefined` where a directory is missing. */
  file

  constructor(path, shown, onChange) {
    this.#path = path
    this.#shown = shown
    this.#onChange = onChange
  }

  /**
   * Follows the path. Each directory is watched *before* a name is looked up in it, so nothing that changes meanwhile is
   * missed: it makes this stale again.
   */
  async follow() {
    this.isStale = false
    const before = this.#places
    this.#places = []
    try {
      await this.#walk()
    } finally {
      // Only now: what stays is shared.
      leaveAll(before)
    }
  }

  async #walk() {
    this.file = undefined
    this.#fileAt = -1
    const { root } = parse(this.#path)
    const rest = namesIn(this.#path.slice(root.length))
    let at = root || '.'
    for (let links = 0; rest.length > 0; ) {
      const name = rest.pop()
      if (name === '' || name === '.') continue
      if (name === '..') {
        // No link is left in front of it.
        at = dirname(at)
        continue
      }
      const isLast = rest.length === 0
      // Elsewhere than on Linux to watch a directory can mean all below it, so it is the two next to the file.
      let isWatched = isLinux || rest.length <= 1
      if (isWatched && !this.#watch(at, name, isLast)) return
      const here = join(at, name)
      let entry = await entryAt(here)
      if (!entry && !isWatched) {
        isWatched = true
        if (!this.#watch(at, name, isLast)) return
        entry = await entryAt(here)
      }
      if (entry?.isSymbolicLink()) {
        if (++links > MOST_LINKS) return
        const to = await fs.promises.readlink(bytesOf(here), 'latin1').catch(() => undefined)
        if (to === undefined) return
        const { root } = parse(to)
        at = root || at
        rest.push(...namesIn(to.slice(root.length)))
      } else if (isLast) {
        this.file = here
        this.#fileAt = this.#places.length - 1
      } else if (entry?.isDirectory()) {
        at = here
      } else {
        return
      }
    }
  }

  /** Watches for `name` in `at`. `false`: the directory is gone again. */
  #watch(at, name, isLast) {
    // Those of the walk before still listen while the path is followed anew, and are shared by it.
    const places = this.#places
    const index = places.length
    const wanted = folded(name)
    const listener = (isRename, changed) => {
      if (isLinux && changed && changed !== wanted) return false
      // The file at the end is looked at anyway.
      if (isRename && !(index === this.#fileAt && changed)) {
        this.isStale = true
        for (const { directory } of places.slice(index + 1)) directory.retire()
      }
      this.#onChange()
      return true
    }
    try {
      places.push({ directory: Directory.at(at, listener), listener })
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
        this.isStale = true
        this.#onChange()
        return false
      }
      // Many directories further up may be passed through, but not be listed.
      if (isLast || (error.code !== 'EACCES' && error.code !== 'EPERM')) throw explained(error, this.#shown)
    }
    return true
  }

  leave() {
    leaveAll(this.#places)
    this.#places = []
  }
}

function leaveAll(places) {
  for (const { directory, listener } of places) directory.leave(listener)
}
