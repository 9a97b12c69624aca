// A disk that has room for a part of the file only.

import { statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toText } from './contenders.mjs'
import { mayMount, mountMemory, run } from './disk'
import { makeDocument } from './document.mjs'
import { lookAtWrite } from './one-write'
import { type Row, Tally } from './row'

const MiB = 1 << 20
const rooms = [0, MiB / 4, MiB / 2]

export const fullDisk: Row = {
  when: 'full disk',
  method:
    'A file of 1 MB is to be replaced by one of 2 MB on a tmpfs that has nothing, 0.25 MB and 0.5 MB left. Torn: neither the old ' +
    'file nor the new one is under the name. False success: the promise resolved, and the new file is not there.',
  needs: (folder) => (mayMount(folder) ? undefined : 'root on Linux'),
  async look(contender, { folder }) {
    const tally = new Tally()
    for (const room of rooms) {
      mountMemory(folder, '4m')
      try {
        const path = join(folder, 'index.json')
        writeFileSync(path, toText(makeDocument(1, MiB)))
        const { bavail, bsize } = statfsSync(folder)
        writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize - room))
        tally.add(await lookAtWrite(contender, path, { bytes: 2 * MiB, besides: ['filler'] }))
      } finally {
        run('umount', folder)
      }
    }
    return tally.cell
  },
}
