// TOML. The file is printed anew with each change: comments are not kept.

'use strict'

const { codec, lazily, refuseCollections } = require('./peer.js')

const library = lazily('smol-toml', () => require('smol-toml'))

function parse(text) {
  return library().parse(text)
}

function stringify(value) {
  refuseCollections(value)
  // An empty file is what a power cut leaves.
  return `${library().stringify(value).trimEnd()}\n`
}

exports.toml = codec('.toml', library, { parse, stringify })
