// JSON of the library devalue, which has a place for dates, maps, sets, BigInt, `undefined` and repeated references.

'use strict'

const { codec, lazily } = require('./peer.js')

const library = lazily('devalue', () => require('devalue'))

function open(text) {
  return { value: library().parse(text) }
}

function print(value) {
  return `${library().stringify(value)}\n`
}

exports.devalue = codec('.json', library, { open, print })
