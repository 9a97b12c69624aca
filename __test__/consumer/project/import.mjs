import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'

await atomicWrite('imported.txt', 'imported')
await atomicIndexUpdate('import.json', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
assert.equal(readFileSync('imported.txt', 'utf8'), 'imported')
console.log('imported')
