// One measurement in a process of its own, because the peak of memory never falls: updates of an index by
// atomicIndexUpdate, or what JavaScript itself needs for the same, with the text in memory and nothing written.

import { readFileSync, writeFileSync } from 'node:fs'
import { change, writeIndex } from '../contenders/index-file'
import { indexUpdater, valueUpdater } from '../contenders/updaters'
import { serve } from './child'

export interface Question {
  side: 'ours' | 'javascript'
  path: string
  updates: number
  atOnce: boolean
  /** Ours with `keep: 'value'`. */
  keeps: boolean
}

export interface Reply {
  ms: number
  /** Peak of resident memory, in bytes. */
  peak: number
}

serve(async ({ side, path, updates, atOnce, keeps }: Question): Promise<Reply> => {
  const numbers = Array.from({ length: updates }, (_, number) => number * 7)
  const updater = keeps ? valueUpdater : indexUpdater
  const update = await updater.open(path)
  const make = updater.change ?? change
  await loadCode(path)
  let text = side === 'javascript' ? readFileSync(path, 'latin1') : ''
  global.gc?.()
  resetPeak()
  const start = performance.now()
  if (side === 'ours') {
    if (atOnce) await Promise.all(numbers.map((number) => update(make(number))))
    else for (const number of numbers) await update(make(number))
  } else if (atOnce) {
    let index = JSON.parse(text)
    for (const number of numbers) index = change(number)(index)
    text = flat(JSON.stringify(index, null, 2))
  } else {
    for (const number of numbers) {
      text = flat(JSON.stringify(change(number)(JSON.parse(text)), null, 2))
      // As between two updates: V8 can do the work that it has postponed.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { ms: performance.now() - start, peak: readPeak() }
})

/** V8 prints a tree of pieces and joins them at the first read; a writer has to read the text. */
function flat(text: string): string {
  text.charCodeAt(0)
  return text
}

/** The first update of a process loads code that all later ones use. It is made on a small file. */
async function loadCode(path: string): Promise<void> {
  const small = `${path}.small`
  await writeIndex(small, 10)
  const update = await indexUpdater.open(small)
  await update(change(0))
}

/** Linux: the peak starts again from what is resident now. */
function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // The peak then includes reading the text, which takes less than what follows.
  }
}

function readPeak(): number {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
