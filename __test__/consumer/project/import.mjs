import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { AtomicFile, atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { jsonc } from '@pipeline/atomic/jsonc'
import { toml } from '@pipeline/atomic/toml'
import { yaml } from '@pipeline/atomic/yaml'

await atomicWrite('imported.txt', 'imported')
await atomicIndexUpdate('import.json', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
assert.equal(readFileSync('imported.txt', 'utf8'), 'imported')
const file = await AtomicFile.open('piped.txt')
await new Blob(['piped']).stream().pipeTo(file.writable)
await file.commit()
assert.equal(readFileSync('piped.txt', 'utf8'), 'piped')
console.log('imported', ...[jsonc, yaml, toml, devalue].map(({ extension }) => extension))
