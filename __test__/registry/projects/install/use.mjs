import { readFileSync } from 'node:fs'
import { atomicIndexUpdate, readIndex } from '@pipeline/atomic'
import writeFile from '@pipeline/atomic/compat/write-file-atomic'

await writeFile('imported.txt', 'imported')
await atomicIndexUpdate('imported.json', (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })
// Nobody listens there: what counts is that the package for stores is found.
const store = { endpoint: 'http://127.0.0.1:9', region: 'none', timeout: 500, maxAttempts: 1 }
const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
const error = await readIndex('s3://bucket/index.json', { ...store, credentials }).catch((error) => error)
const stores = error.code === 'ERR_ATOMIC_NO_CLOUD' ? 'no stores' : 'stores'
console.log(readFileSync('imported.txt', 'utf8'), JSON.parse(readFileSync('imported.json', 'utf8')), stores)
