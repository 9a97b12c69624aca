// One measurement in a process of its own, because the highest mark of memory never falls: updates of an index by
// atomicIndexUpdate, or what JavaScript itself needs for the same, with the text at hand and nothing written.

import { readFileSync, writeFileSync } from 'node:fs'
import { change, writeIndex } from '../contenders/index-file'
import { indexUpdater } from '../contenders/updaters'
import { serve } from './child'

export interface Question {
  who: 'ours' | 'javascript'
  path: string
  updates: number
  atOnce: boolean
}

export interface Reply {
  ms: number
  /** Most memory that was resident at a time, in bytes. */
  peak: number
}

serve(async ({ who, path, updates, atOnce }: Question): Promise<Reply> => {
  const numbers = Array.from({ length: updates }, (_, number) => number * 7)
  const update = await indexUpdater.open(path)
  await loadCode(path)
  let text = who === 'javascript' ? readFileSync(path, 'latin1') : ''
  global.gc?.()
  resetPeak()
  const start = performance.now()
  if (who === 'ours') {
    if (atOnce) await Promise.all(numbers.map((number) => update(change(number))))
    else for (const number of numbers) await update(change(number))
  } else if (atOnce) {
    let index = JSON.parse(text)
    for (const number of numbers) index = change(number)(index)
    text = flat(JSON.stringify(index, null, 2))
  } else {
    for (const number of numbers) {
      text = flat(JSON.stringify(change(number)(JSON.parse(text)), null, 2))
      // As between two updates: V8 gets its turn for what it puts off.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { ms: performance.now() - start, peak: readPeak() }
})

/** What V8 prints is a tree of pieces until somebody reads it, as whoever writes it must. */
function flat(text: string): string {
  text.charCodeAt(0)
  return text
}

/** The first update of a process loads what all later ones use. It is of another file, and small. */
async function loadCode(path: string): Promise<void> {
  const small = `${path}.small`
  await writeIndex(small, 10)
  const update = await indexUpdater.open(small)
  await update(change(0))
}

/** Linux: the mark starts again from what is resident now. */
function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Then it also has what reading the text took, which is less than what comes.
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
