// What a package has had flushed before it says that a file is written: the reason for what a power cut does.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toText } from './contenders.mjs'
import { makeDocument } from './document.mjs'
import type { Row } from './row'
import { Worker } from './worker'

const CALLS = 'fsync,fdatasync,rename,renameat,renameat2,link,linkat,write,writev,sendmsg'

export const flushes: Row = {
  when: 'flushed before the answer',
  method:
    'A file is replaced once while `strace` looks on. Is the file flushed before it gets its name, and is the directory flushed after ' +
    'that and before the promise resolves?',
  needs: () => (spawnSync('strace', ['true']).status === 0 ? undefined : 'strace'),
  async look(contender, { folder }) {
    const [place, log] = [join(folder, 'place'), join(folder, 'trace')]
    const path = join(place, 'index.json')
    mkdirSync(place)
    writeFileSync(path, toText(makeDocument(1, 1)))
    const tracer = ['strace', '-f', '-y', '-qq', '-s', '64', '-o', log, '-e', `trace=${CALLS}`]
    const worker = await Worker.start(contender, tracer)
    const { error } = await worker.ask('write', { path, version: 2, bytes: 1 })
    if (error) throw new Error(`${contender}: ${error.message}`)
    // strace writes its last lines before it ends.
    await worker.leave()

    const lines = readFileSync(log, 'utf8').split('\n')
    const before = lines.slice(
      0,
      lines.findIndex((line) => line.includes('\\"answer\\"')),
    )
    const named = before.findIndex(
      (line) => /\b(rename|link)\w*\(/.test(line) && line.includes('index.json"'),
    )
    const isFlush = (line: string) => /\bf(data)?sync\(/.test(line)
    const renamed = before.findLastIndex((line) => /\brename\w*\(/.test(line) && line.includes('index.json"'))
    const flushed = before.findIndex((line) => isFlush(line) && line.includes(`<${place}/`))
    const file = flushed < 0 ? 'nothing' : named < 0 || flushed < named ? 'the file' : 'the file too late'
    const directory = before.slice(renamed + 1).some((line) => isFlush(line) && line.includes(`<${place}>`))
    const seen = directory ? (flushed < 0 ? 'the directory' : `${file} and the directory`) : file
    return { seen, good: seen === 'the file and the directory' }
  },
}
