import { atomicWrite } from '@pipeline/atomic'
import { JSONFile } from '@pipeline/atomic/compat/lowdb'

const { bytes } = await atomicWrite('bundled.txt', 'bundled')
await new JSONFile('db.json').write({ bytes })
console.log(await new JSONFile('db.json').read())
