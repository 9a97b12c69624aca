import { readFile } from 'node:fs/promises'
import { AtomicFile, type WriteResult } from '@pipeline/atomic'
import { Writer } from '@pipeline/atomic/compat/steno'

let result: WriteResult
{
  await using file = await AtomicFile.open('tsx.txt')
  await file.write('written')
  result = await file.commit()
}
await new Writer('steno.txt').write('by steno')
console.log(result.bytes, await readFile('tsx.txt', 'utf8'), await readFile('steno.txt', 'utf8'))
