// Adapters for lowdb, over this package.

'use strict'

const { inspect } = require('node:util')
const { atomicIndexUpdate, atomicWriteSync, readIndex, readIndexSync, recoverIndex } = require('../index.js')

/** The errors of a file that `onCorrupt` is for. */
const broken = new Set(['ERR_ATOMIC_CORRUPT_INDEX', 'ERR_ATOMIC_SCHEMA', 'EIO'])

/** `null` is what lowdb takes for a file that is not there. */
const found = ({ value }) => value ?? null

class JSONFile {
  #file
  #options

  constructor(filename, options) {
    this.#file = filename
    this.#options = options ?? {}
    checkOnCorrupt(this.#options.onCorrupt)
  }

  async read() {
    try {
      return await this.#read()
    } catch (error) {
      if (!(await this.#isRecovered(error))) throw error
      return this.#read()
    }
  }

  async write(data) {
    const { mkdir = false } = this.#options
    // What is written would replace what is recovered at once, as lowdb has not read that.
    const options = { ...this.#options, mkdir, onCorrupt: 'reject' }
    await atomicIndexUpdate(this.#file, () => data, options).catch((error) => {
      throw aboutData(error)
    })
  }

  async #read() {
    const { codec, numbers, schema, migrate, endpoint, maxAttempts } = this.#options
    return found(await readIndex(this.#file, { codec, numbers, schema, migrate, endpoint, maxAttempts }))
  }

  /** Whether the file is what is to be recovered, and is so now. */
  async #isRecovered({ code }) {
    const { onCorrupt = 'reject', codec, numbers, schema, migrate, flush, verify, timeout } = this.#options
    if (onCorrupt === 'reject' || !broken.has(code)) return false
    const rebuild = typeof onCorrupt === 'function' ? onCorrupt : undefined
    await recoverIndex(this.#file, { rebuild, codec, numbers, schema, migrate, flush, verify, timeout })
    return true
  }
}

/** There is no function here, and no index. The stack, which is what is printed, begins with the message. */
function aboutData(error) {
  if (error.code !== 'ERR_INVALID_RETURN_VALUE') return error
  const { message, stack } = error
  const own = message
    .replace(/^The function must return/, 'The data must be')
    .replace(/: did you forget to return the index\?$/, '')
    .replace(/^The function returned (.*?) at index/, 'The data has $1 at data')
    .replace(/^The function returned (.*) Return /, 'The data is $1 Write ')
    .replace(/^The (new index|result of the function 'fn')/, 'The data')
  error.message = own
  error.stack = stack.replace(message, () => own)
  return error
}

/** As an update refuses it. A read would find it out only where a file is broken. */
function checkOnCorrupt(given) {
  if (given === undefined || given === 'reject' || given === 'recover' || typeof given === 'function') return
  const reason = `must be 'reject', 'recover' or a function that makes an index`
  const error = new TypeError(`The property 'options.onCorrupt' ${reason}. Received ${inspect(given)}`)
  throw Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' })
}

class JSONFileSync {
  #file

  constructor(filename) {
    this.#file = filename
  }

  read() {
    return found(readIndexSync(this.#file))
  }

  write(data) {
    atomicWriteSync(this.#file, JSON.stringify(data, null, 2), { mkdir: false })
  }
}

/** What the presets give instead of a file in tests. */
class MemorySync {
  #data = null

  read() {
    return this.#data
  }

  write(data) {
    this.#data = data
  }
}

class Memory extends MemorySync {
  async read() {
    return super.read()
  }

  async write(data) {
    super.write(data)
  }
}

class Low {
  constructor(adapter, defaultData) {
    checkGiven(adapter, defaultData)
    this.adapter = adapter
    this.data = defaultData
  }

  async read() {
    const data = await this.adapter.read()
    if (data) this.data = data
  }

  async write() {
    if (this.data) await this.adapter.write(this.data)
  }

  async update(change) {
    change(this.data)
    await this.write()
  }
}

class LowSync {
  constructor(adapter, defaultData) {
    checkGiven(adapter, defaultData)
    this.adapter = adapter
    this.data = defaultData
  }

  read() {
    const data = this.adapter.read()
    if (data) this.data = data
  }

  write() {
    if (this.data) this.adapter.write(this.data)
  }

  update(change) {
    change(this.data)
    this.write()
  }
}

function checkGiven(adapter, defaultData) {
  if (adapter === undefined) throw new Error('lowdb: missing adapter')
  if (defaultData === undefined) throw new Error('lowdb: missing default data')
}

/** As in lowdb, so that tests which rely on it find and leave no file. */
const isTest = () => process.env.NODE_ENV === 'test'

async function JSONFilePreset(filename, defaultData, options) {
  const db = new Low(isTest() ? new Memory() : new JSONFile(filename, options), defaultData)
  await db.read()
  return db
}

function JSONFileSyncPreset(filename, defaultData) {
  const db = new LowSync(isTest() ? new MemorySync() : new JSONFileSync(filename), defaultData)
  db.read()
  return db
}

exports.Low = Low
exports.LowSync = LowSync
exports.JSONFilePreset = JSONFilePreset
exports.JSONFileSyncPreset = JSONFileSyncPreset
exports.JSONFile = JSONFile
exports.JSONFileSync = JSONFileSync
exports.atomicAdapter = (filename, options) => new JSONFile(filename, options)
exports.atomicAdapterSync = (filename) => new JSONFileSync(filename)
