const assert = require('node:assert').strict
const { readFileSync } = require('node:fs')
const { atomicWrite } = require('@pipeline/atomic')

atomicWrite('required.txt', Buffer.from('required')).then(() => {
  assert.equal(readFileSync('required.txt', 'utf8'), 'required')
  console.log('required')
})
