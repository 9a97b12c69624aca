// `kill -9`, or the OOM killer: the process ends between two instructions.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { examine } from './published'
import { type Row, Tally } from './row'
import { Worker } from './worker'

export const kill: Row = {
  when: '`kill -9`',
  method:
    'A process replaces an index of 1 MB and adds a file of 16 KB, again and again, and is killed at a random moment. ' +
    'Damaged: a file is empty or not whole. Lost: a write whose promise had resolved is not there. Afterwards a new ' +
    'process writes once in the same folder, and the temp files that are still there are counted.',
  async look(contender, { folder, quick }) {
    const kills = quick ? 5 : 50
    const tally = new Tally()
    for (let round = 0; round < kills; round++) {
      const worker = await Worker.start(contender)
      await worker.begin('publish', { folder, from: 1000 * round + 1 })
      await sleep(Math.random() * 30)
      await worker.kill()
      const found = examine(folder, worker.acknowledged)
      tally.add(found)
      // Temp files stay for the count at the end.
      const files = readdirSync(folder).filter((name) => !found.temporary.includes(name))
      for (const name of files) rmSync(join(folder, name))
    }
    const next = await Worker.start(contender)
    await next.ask('write', { path: join(folder, 'index.json'), version: 1, bytes: 1 })
    await next.kill()
    const { temporary } = examine(folder, { index: 1, posts: [] })
    const { length } = temporary
    const left = length ? `, ${length} temp file${length > 1 ? 's' : ''} left` : ''
    return { seen: `${tally}${left}`, good: tally.good && !left }
  },
}
