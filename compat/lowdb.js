// Adapters for lowdb, over this package.

'use strict'

const { atomicIndexUpdate, atomicWriteSync, readIndex, readIndexSync } = require('../index.js')

/** `null` is what lowdb takes for a file that is not there. */
const found = ({ value }) => value ?? null

class JSONFile {
  #file
  #options

  constructor(filename, options = {}) {
    this.#file = filename
    this.#options = options
  }

  async read() {
    const { codec, numbers, schema, migrate } = this.#options
    return found(await readIndex(this.#file, { codec, numbers, schema, migrate }))
  }

  async write(data) {
    await atomicIndexUpdate(this.#file, () => data, { mkdir: false, ...this.#options })
  }
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

exports.JSONFile = JSONFile
exports.JSONFileSync = JSONFileSync
exports.atomicAdapter = (filename, options) => new JSONFile(filename, options)
exports.atomicAdapterSync = (filename) => new JSONFileSync(filename)
