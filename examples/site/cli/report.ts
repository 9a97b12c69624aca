/** Reports progress: a bar on a terminal, a line at every quarter in a log. */

import { SingleBar } from 'cli-progress'

export interface Report {
  pages(done: number, total: number): void
  close(): void
}

export function openReport(): Report {
  return process.stdout.isTTY ? barReport() : lineReport()
}

function lineReport(): Report {
  let quarter = 0
  return {
    pages: (done, total) => {
      const reached = total === 0 ? 0 : Math.floor((done / total) * 4)
      if (reached === quarter) return
      quarter = reached
      process.stdout.write(`${done} of ${total} pages\n`)
    },
    close: () => {},
  }
}

function barReport(): Report {
  const bar = new SingleBar({
    format: 'pages {bar} {value}/{total}  {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 40,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: true,
  })
  let begun = false
  return {
    pages: (done, total) => {
      if (!begun) bar.start(total, done)
      begun = true
      bar.update(done)
    },
    close: () => {
      if (begun) bar.stop()
    },
  }
}
