/** Reports progress: a bar on a terminal, and a line at every quarter in a log. */

import { MultiBar } from 'cli-progress'

/** A line printed above a bar overwrites it; this erases the rest of the bar, to the right of the text. */
const CLEAR_TO_END = '\u001b[K'

export interface Progress {
  at(published: number): void
  say(line: string): void
  close(): void
}

export function openProgress(total: number): Progress {
  return process.stdout.isTTY ? bar(total) : lines(total)
}

function lines(total: number): Progress {
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  let quarter = 0
  return {
    at: (published) => {
      const reached = Math.floor((published / total) * 4)
      if (reached === quarter) return
      quarter = reached
      say(`${published} of ${total} documents published`)
    },
    say,
    close: () => {},
  }
}

function bar(total: number): Progress {
  // A MultiBar of one bar, because only a MultiBar can print lines above its bars.
  const bars = new MultiBar({
    format: 'published {bar} {value}/{total}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 40,
    hideCursor: true,
  })
  const one = bars.create(total, 0)
  return {
    at: (published) => one.update(published),
    say: (line) => bars.log(`${line}${CLEAR_TO_END}\n`),
    close: () => bars.stop(),
  }
}
