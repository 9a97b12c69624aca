/** Reports progress: a bar for each publisher on a terminal, and a line at every quarter in a log. */

import { MultiBar } from 'cli-progress'

/** A line printed above a bar overwrites it; this erases the rest of the bar, to the right of the text. */
const CLEAR_TO_END = '\u001b[K'

export interface Progress {
  of(publisher: number): (dealtWith: number) => void
  say(line: string): void
  close(): void
}

export function openProgress(totals: readonly number[]): Progress {
  return process.stdout.isTTY ? bars(totals) : lines(totals)
}

function lines(totals: readonly number[]): Progress {
  return {
    of: (i) => {
      const total = totals[i] ?? 0
      let quarter = 0
      return (dealtWith) => {
        const reached = Math.floor((dealtWith / total) * 4)
        if (reached < quarter) quarter = 0 // the publisher was started again
        if (reached === quarter) return
        quarter = reached
        process.stdout.write(`publisher ${i + 1}: ${dealtWith} of ${total}\n`)
      }
    },
    say: (line) => process.stdout.write(`${line}\n`),
    close: () => {},
  }
}

function bars(totals: readonly number[]): Progress {
  const multi = new MultiBar({
    format: '{name} {bar} {value}/{total}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 40,
    hideCursor: true,
  })
  const all = totals.map((total, i) => multi.create(total, 0, { name: `publisher ${i + 1}` }))
  return {
    of: (i) => (dealtWith) => all[i]?.update(dealtWith),
    say: (line) => multi.log(`${line}${CLEAR_TO_END}\n`),
    close: () => multi.stop(),
  }
}
