// How long the event loop is blocked while a big index commits, and how long V8 needs for its text alone.

import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { change } from '../contenders/index-file'
import { indexUpdater } from '../contenders/updaters'
import { serve } from './child'

export interface Question {
  path: string
}

/** Milliseconds. */
export interface Reply {
  parse: number
  stringify: number
  stall: number
  update: number
}

serve(async ({ path }: Question): Promise<Reply> => {
  const alone = await measureV8(await readFile(path, 'latin1'))
  global.gc?.()
  const update = await indexUpdater.open(path)
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  monitor.enable()
  await sleep(50)
  monitor.reset()
  const start = performance.now()
  await update(change(1))
  const took = performance.now() - start
  await sleep(50)
  monitor.disable()
  global.gc?.()
  return { ...alone, stall: monitor.max / 1e6, update: took }
})

async function measureV8(text: string): Promise<{ parse: number; stringify: number }> {
  global.gc?.()
  const start = performance.now()
  const index = change(1)(JSON.parse(text))
  const parsed = performance.now()
  const length = JSON.stringify(index, null, 2).length
  const done = performance.now()
  if (length < text.length / 2) throw new Error('the text came out shorter')
  return { parse: parsed - start, stringify: done - parsed }
}
