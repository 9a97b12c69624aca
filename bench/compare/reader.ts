// A program that reads while another one writes.

import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toText } from './contenders.mjs'
import { makeDocument, versionOf } from './document.mjs'
import { type Row, Tally } from './row'
import { Worker } from './worker'

const MiB = 1 << 20

export const reader: Row = {
  when: 'a reader meanwhile',
  method:
    'A process replaces a file of 1 MB 100 times, and another one reads it all the while. Torn: a read saw no file, an empty one, or one ' +
    'that is not whole.',
  async look(contender, { folder, quick }) {
    const path = join(folder, 'index.json')
    writeFileSync(path, toText(makeDocument(1, MiB)))
    const worker = await Worker.start(contender)
    let writing = true
    const written = worker.ask('replace', { path, times: quick ? 10 : 100, bytes: MiB }, 120_000)
    const done = written.finally(() => {
      writing = false
    })
    const tally = new Tally()
    while (writing) {
      const text = await readFile(path, 'utf8').catch(() => '')
      tally.add({ torn: versionOf(text) === undefined })
    }
    const { error } = await done
    await worker.kill()
    if (error) throw new Error(`${contender}: ${error.message}`)
    return tally.cell
  },
}
