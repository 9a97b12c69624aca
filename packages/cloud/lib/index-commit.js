'use strict'
// The seam of the base package's group commit.

const { IndexCommit: Native, Place } = require('../addon.js')
const { aborted, explain, limitsOf, textOf } = require('./call.js')
const { backupOf, published } = require('./objects.js')

/** One commit: what is read is what is replaced, or nothing is. Its limits count from here. */
class IndexCommit {
  #commit
  #about
  #version
  #key
  #call

  constructor(url, options) {
    const { signal, endpoint } = options
    this.#about = { text: textOf(url), signal, origin: new Error('update') }
    this.#call = limitsOf(options)
    try {
      const place = new Place(this.#about.text, false, endpoint === undefined ? undefined : String(endpoint))
      this.#commit = new Native(place, this.#call, backupOf(url, options))
      this.#key = place.key
    } catch (error) {
      throw explain(error, { ...this.#about, what: 'update' })
    }
  }

  get key() {
    return this.#key
  }

  /** The version that was read or written last. */
  get version() {
    return this.#version
  }

  async read() {
    const found = await this.#run('read', () => this.#commit.read())
    this.#version = found?.version
    return found?.text
  }

  /** What a caller is to be told that does not wait for `replaceIf` any longer; `undefined`: nothing was written so far. */
  get doubt() {
    const message = this.#commit.doubt
    return message ? explain({ message }, { ...this.#about, what: 'update' }) : undefined
  }

  /** In milliseconds: nothing is written after `write`, what has become of a write is looked for until `doubt`. */
  async replaceIf(text, { write, doubt } = {}) {
    const outcome = await this.#run('update', () => this.#commit.replaceIf(text, write, doubt))
    if (!outcome) return { done: false }
    const { written, ...commit } = published(outcome)
    this.#version = commit.version
    return { done: true, ...commit }
  }

  async #run(what, work) {
    const { signal } = this.#about
    if (signal?.aborted) throw aborted(signal)
    const abort = () => this.#call.abort()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await work()
    } catch (error) {
      throw explain(error, { ...this.#about, what })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

module.exports = { openIndex: (url, options = {}) => new IndexCommit(url, options) }
