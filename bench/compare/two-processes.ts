// Two processes that change one file.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Row, Tally } from './row'
import { Worker } from './worker'

export const twoProcesses: Row = {
  when: 'two processes',
  method:
    'Two processes open one JSON file, and then each adds 1 to a number in it 200 times, each call awaited. Lost: updates whose promise ' +
    'had resolved and that are not in the file. Failed: updates that rejected. Torn: the file is not JSON any more.',
  async look(contender, { folder, quick }) {
    const times = quick ? 20 : 200
    const path = join(folder, 'index.json')
    writeFileSync(path, '{ "count": 0 }')
    const workers = await Promise.all([Worker.start(contender), Worker.start(contender)])
    await Promise.all(workers.map((worker) => worker.ask('open', { path })))
    const answers = await Promise.all(
      workers.map((worker) => worker.ask<string[]>('increment', { times }, 120_000)),
    )
    await Promise.all(workers.map((worker) => worker.kill()))
    const failed = answers.reduce((sum, { value, error }) => sum + (error ? times : (value?.length ?? 0)), 0)
    const counted = countIn(path)
    const lost = counted === undefined ? 0 : 2 * times - failed - counted
    const tally = new Tally()
    tally.add({ torn: counted === undefined, lost, failed }, 2 * times)
    return tally.cell
  },
}

function countIn(path: string): number | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).count
  } catch {
    return undefined
  }
}
