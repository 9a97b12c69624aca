// Two processes that change one file.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from './row'
import { Worker } from './worker'

export const twoProcesses: Row = {
  when: 'two processes',
  method:
    'Two processes open one JSON file, and then each adds 1 to a number in it 200 times, each call awaited. Lost: updates whose promise ' +
    'had resolved and that are not in the file. Failed: updates that rejected.',
  async look(contender, { folder, quick }) {
    const times = quick ? 20 : 200
    const path = join(folder, 'index.json')
    writeFileSync(path, '{ "count": 0 }')
    const workers = await Promise.all([Worker.start(contender), Worker.start(contender)])
    await Promise.all(workers.map((worker) => worker.ask('open', { path })))
    const answers = await Promise.all(workers.map((worker) => worker.ask<string[]>('increment', { times })))
    await Promise.all(workers.map((worker) => worker.kill()))
    const failed = answers.reduce((sum, { value, error }) => sum + (error ? times : (value?.length ?? 0)), 0)
    const resolved = 2 * times - failed
    const counted = countIn(path)
    if (counted === undefined) return { seen: 'file destroyed', good: false }
    const lost = resolved - counted
    const seen = `${lost}/${resolved} updates lost${failed ? `, ${failed} failed` : ''}`
    return { seen, good: lost === 0 && failed === 0 }
  },
}

function countIn(path: string): number | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).count
  } catch {
    return undefined
  }
}
