// A disk that has room for a part of the file only.

import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toText } from './contenders.mjs'
import { mayMount, mountMemory, run } from './disk'
import { makeDocument, versionOf } from './document.mjs'
import type { Row } from './row'
import { Worker } from './worker'

const MiB = 1 << 20

export const fullDisk: Row = {
  when: 'full disk',
  method:
    'A file of 1 MB is to be replaced by one of 2 MB on a tmpfs that has 0.5 MB left. Does the promise resolve, what is ' +
    'under the name, and what lies beside it?',
  needsRoot: (folder) => !mayMount(folder),
  async look(contender, { folder }) {
    mountMemory(folder, '4m')
    try {
      const path = join(folder, 'index.json')
      writeFileSync(path, toText(makeDocument(1, MiB)))
      const { bavail, bsize } = statfsSync(folder)
      writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize - MiB / 2))
      const worker = await Worker.start(contender)
      const { error } = await worker.ask('write', { path, version: 2, bytes: 2 * MiB })
      await worker.kill()
      const version = versionOf(readFileSync(path, 'utf8'))
      const left = readdirSync(folder).filter((name) => !['index.json', 'filler'].includes(name))
      const seen = [
        error ? (error.code ?? error.name) : 'no error',
        version === 1
          ? 'old file kept'
          : version === 2
            ? 'new file there'
            : error
              ? 'old file destroyed'
              : 'file cut off',
        ...(left.length ? ['temp file left'] : []),
      ]
      return { seen: seen.join(', '), good: Boolean(error) && version === 1 && left.length === 0 }
    } finally {
      run('umount', folder)
    }
  },
}
