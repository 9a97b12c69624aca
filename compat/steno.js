// The class of the package steno, over this one.

'use strict'

const { atomicWrite } = require('../index.js')

exports.Writer = class Writer {
  #file
  #writing
  /** What is to be written next, with those who wait for it. */
  #next

  constructor(filename) {
    this.#file = filename
  }

  write(data) {
    const content = typeof data === 'string' ? Buffer.from(data) : data
    if (!this.#writing) return this.#write(content)
    // Only the newest is written, for all who have called meanwhile.
    this.#next ??= withResolvers()
    this.#next.content = content
    return this.#next.promise
  }

  #write(content) {
    this.#writing = true
    // In the tick of the call: it is copied, and has its place in the order of calls.
    const written = atomicWrite(this.#file, content, { mkdir: false })
    const goOn = () => {
      const next = this.#next
      this.#next = undefined
      this.#writing = false
      if (next) this.#write(next.content).then(next.resolve, next.reject)
    }
    return written.then(goOn, (error) => {
      goOn()
      throw error
    })
  }
}

function withResolvers() {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
