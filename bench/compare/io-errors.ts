// A device or a server that fails: one kind of request at a time, by a FUSE mount that refuses it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Call, mayServeFuse, onPoorFs } from '../../__test__/helpers/poor-fs'
import { toText } from './contenders.mjs'
import { mayMount } from './disk'
import { makeDocument } from './document.mjs'
import { lookAtWrite } from './one-write'
import { type Row, Tally } from './row'

const KiB = 1 << 10
const requests: Call[] = ['write', 'fsync', 'close', 'rename']

export const ioErrors: Row = {
  when: 'I/O errors',
  method:
    'A file of 64 KB is to be replaced on a FUSE mount where one kind of request fails with `EIO`: each write, each fsync, ' +
    'each close of a file that was opened for writing, each rename. Torn: neither the old file nor the new one is under the name. False ' +
    'success: the promise resolved, and the new file is not there. A package that does not make a request does not meet its error.',
  needs: (folder) => (mayMount(folder) && mayServeFuse() ? undefined : 'root on Linux, FUSE and cargo'),
  async look(contender, { folder }) {
    const tally = new Tally()
    for (const request of requests) {
      const found = await onPoorFs(join(folder, request), { refuse: { [request]: 'EIO' } }, (at, seenIn) => {
        writeFileSync(join(seenIn, 'index.json'), toText(makeDocument(1, 64 * KiB)))
        return lookAtWrite(contender, join(at, 'index.json'), { bytes: 64 * KiB, seenIn })
      })
      tally.add(found)
    }
    return tally.cell
  },
}
