const assert = require('node:assert').strict
const { readFileSync } = require('node:fs')
const { atomicWrite } = require('@pipeline/atomic')
const { jsonc } = require('@pipeline/atomic/jsonc')
const { yaml } = require('@pipeline/atomic/yaml')
const { toml } = require('@pipeline/atomic/toml')
const { devalue } = require('@pipeline/atomic/devalue')

atomicWrite('required.txt', Buffer.from('required')).then(() => {
  assert.equal(readFileSync('required.txt', 'utf8'), 'required')
  console.log('required', ...[jsonc, yaml, toml, devalue].map(({ extension }) => extension))
})
