// JSON of the library devalue, which has a place for dates, maps, sets, BigInt, `undefined` and repeated references.

'use strict'

const { codec, lazily } = require('./peer.js')

const library = lazily('devalue', () => require('devalue'))

function parse(text) {
  return library().parse(text)
}

function stringify(value) {
  return `${library().stringify(value)}\n`
}

exports.devalue = codec('.json', library, { parse, stringify })
