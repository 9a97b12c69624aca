import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { AtomicFile, atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'

await atomicWrite('imported.txt', 'imported')
await atomicIndexUpdate('import.json', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
assert.equal(readFileSync('imported.txt', 'utf8'), 'imported')
const file = await AtomicFile.open('piped.txt')
await new Blob(['piped']).stream().pipeTo(file.writable)
await file.commit()
assert.equal(readFileSync('piped.txt', 'utf8'), 'piped')
console.log('imported')
