// A stand-in for the peer, in memory: it shows what the base package hands over, and fails on demand.
'use strict'

/** Each call: the name of the function and its arguments. */
const calls = []

/** What a function that is only handed on answers with. */
const handedOn =
  (name) =>
  async (...args) => {
    calls.push([name, ...args])
    if (fake.failure) throw fake.failure
    return { by: name }
  }

const fake = { calls, failure: undefined }

module.exports = {
  fake,
  atomicWrite: handedOn('atomicWrite'),
  async atomicWriteAll(entries, options) {
    calls.push(['atomicWriteAll', options])
    if (fake.failure) throw fake.failure
    const written = []
    for await (const entry of entries) written.push(entry)
    return written
  },
}
