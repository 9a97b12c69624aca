// What the same arguments come to each time is made once: programs that update the same indexes in many transactions give the same paths and options.

/** So many of each are remembered: what was made first goes, and is made anew if it is used often. */
const MOST_REMEMBERED = 256
/** And so many roots, each with so many files, and so many of all roots. */
const MOST_ROOTS = 64
const MOST_FILES = 2048
const MOST_FILES_OF_ALL = 32_768
/** Of paths with at most so many characters. */
const LONGEST = 512

function remember(all, key, value, most = MOST_REMEMBERED) {
  if (all.size >= most) all.delete(all.keys().next().value)
  all.set(key, value)
  return value
}

/** Roots, by absolute paths: where others lead may change. */
const roots = new Map()
/** What is known of files below roots, by where these are. */
const files = new Map()

/** How many files were remembered since all were forgotten. */
let rememberedFiles = 0

/** The handle of a root, its absolute path, what it is called, and what is known of files below it. */
function rootAt(root) {
  const known = roots.get(root)
  if (known !== undefined) return known
  const handle = native.root(root)
  const { absolute, shown } = fileAt(handle, 'root', root)
  const below = files.get(absolute) ?? remember(files, absolute, new Map(), MOST_ROOTS)
  const found = { handle, absolute, shown, files: below }
  return absolute === root ? remember(roots, root, found, MOST_ROOTS) : found
}

/** As `fileAt`, below a root. */
function fileBelow({ handle, files: below }, name, path) {
  if (typeof path !== 'string') return fileAt(handle, name, path)
  const known = below.get(path)
  const file = fileAt(handle, name, path, known)
  if (known === undefined && path.length <= LONGEST) {
    if (++rememberedFiles > MOST_FILES_OF_ALL) forgetFiles()
    remember(below, path, [file.handle, file.shown, file.absolute], MOST_FILES)
  }
  return file
}

/** What is used often is made anew. */
function forgetFiles() {
  for (const below of files.values()) below.clear()
  rememberedFiles = 1
}

/** So deep is looked whether something can be changed. */
const MOST_LEVELS = 8

/** Whether nobody can change any of it, but for these members. A getter may answer otherwise each time, and is not called. */
function isConstant(value, except = [], levels = MOST_LEVELS, seen = new Set()) {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function'
  if (seen.has(value)) return true
  seen.add(value)
  const proto = Object.getPrototypeOf(value)
  const isPlain = proto === Object.prototype || proto === Array.prototype
  if (levels === 0 || !isPlain || !Object.isFrozen(value)) return false
  return Object.entries(Object.getOwnPropertyDescriptors(value)).every(
    ([key, member]) =>
      'value' in member && (except.includes(key) || isConstant(member.value, [], levels - 1, seen)),
  )
}

/** Is used as it is, and not copied. */
const AS_IT_IS = ['schema', 'migrate']

const isWord = (value) => ['string', 'boolean', 'undefined'].includes(typeof value)

/** What is used as it is can be changed: whether it still is a schema. */
const isSchema = (schema) => schema === undefined || typeof schema?.['~standard']?.validate === 'function'

/** What calls come to whose options nobody can change, by these options; `undefined` for frozen ones of which something can be changed. */
class Remembered {
  #known = new WeakMap()
  /** Of calls without options. */
  #none = new Map()

  /** What was made of the options as they are `given`, for a file and with what the transaction says; else it is made. */
  of(given, { flush, verify }, path, make) {
    const known = isWord(flush) && isWord(verify) ? this.#of(given) : undefined
    if (known === undefined || !isSchema(given?.schema)) return make()
    const key = `${flush} ${verify} ${path}`
    return known.get(key) ?? remember(known, key, make())
  }

  #of(given) {
    if (given === undefined) return this.#none
    if (typeof given !== 'object' || given === null) return undefined
    if (!this.#known.has(given)) {
      if (!Object.isFrozen(given)) return undefined
      this.#known.set(given, isConstant(given, AS_IT_IS) ? new Map() : undefined)
    }
    return this.#known.get(given)
  }
}

const writes = new Remembered()
const updates = new Remembered()
