// `kill -9`, or the OOM killer: the process ends between two instructions.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { examine } from './published'
import { PATIENCE_MS, type Row, Tally } from './row'
import { Worker } from './worker'

export const kill: Row = {
  when: '`kill -9`',
  method:
    'A process replaces an index of 1 MB and adds a file of 16 KB, again and again, and is killed at a random moment. ' +
    'Torn: a file is empty or not whole. Lost: a write whose promise had resolved is not there. Then a new process ' +
    `writes the index once. Stuck: that has not succeeded within ${PATIENCE_MS / 1000} s. At last the files that are still left are counted.`,
  async look(contender, { folder, quick }) {
    const tally = new Tally()
    for (let round = 0; round < (quick ? 5 : 50); round++) {
      const place = join(folder, `${round}`)
      mkdirSync(place)
      const worker = await Worker.start(contender)
      await worker.begin('publish', { folder: place })
      await sleep(Math.random() * 30)
      await worker.kill()
      const { torn, lost } = examine(place, worker.acknowledged)
      const next = await Worker.start(contender)
      const write = { path: join(place, 'index.json'), version: 1, bytes: 1 }
      const { error } = await next.ask('write', write, PATIENCE_MS)
      await next.kill()
      const { temporary } = examine(place, worker.acknowledged)
      tally.add({ torn, lost, stuck: error !== undefined, left: temporary.length })
      rmSync(place, { recursive: true })
    }
    return tally.cell
  },
}
