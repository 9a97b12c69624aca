// A JSON file that is not JSON any more: cut off, empty, or full of NUL bytes, as crashes leave them.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from './row'
import { Worker } from './worker'

const broken = {
  'cut off': '{\n  "count": 1,\n  "records": [{ "id"',
  empty: '',
  'full of NUL': '\0'.repeat(100),
}

export const brokenIndex: Row = {
  when: 'broken index',
  method:
    'A JSON file that is cut off, empty or full of NUL bytes is to be changed. Is what was there overwritten, and does ' +
    'the error name the file and the line?',
  async look(contender, { folder }) {
    let overwritten = 0
    const messages: string[] = []
    for (const [name, text] of Object.entries(broken)) {
      const path = join(folder, `${name}.json`)
      writeFileSync(path, text)
      const worker = await Worker.start(contender)
      const opened = await worker.ask<string[]>('open', { path })
      const { value, error } = opened.error ? opened : await worker.ask<string[]>('increment', { times: 1 })
      await worker.kill()
      if (readFileSync(path, 'utf8') !== text) overwritten++
      const message = error?.message ?? value?.[0]
      if (message !== undefined) messages.push(message)
    }
    const all = Object.keys(broken).length
    const clear = messages.filter((message) => /\.json\b/.test(message) && /\bline \d/.test(message)).length
    const kept = overwritten ? `overwritten ${overwritten}/${all}` : 'kept'
    const error =
      messages.length < all
        ? `${all - messages.length}/${all} without error`
        : clear === all
          ? 'error names file and line'
          : 'error without file name'
    return { seen: `${kept}, ${error}`, good: overwritten === 0 && clear === all }
  },
}
