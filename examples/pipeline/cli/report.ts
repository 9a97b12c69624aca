/** Reports progress: a bar on a terminal, a line for each document in a log. Failures are printed in both. */

import { MultiBar } from 'cli-progress'
import pc from 'picocolors'
import type { PublishError } from '../scripts/pipeline/publisher'

/** A line printed above a bar overwrites it; this erases the rest of the bar, to the right of the text. */
const CLEAR_TO_END = '\u001b[K'

export interface Report {
  done(what: 'published' | 'unchanged', routePath: string): void
  failed(file: string, error: PublishError): void
  close(): void
}

export function openReport(total: number): Report {
  return process.stdout.isTTY ? barReport(total) : lineReport()
}

function failure(file: string, error: PublishError): string {
  return `failed     ${file}: ${error.message} [${error.code}]`
}

function lineReport(): Report {
  return {
    done: (what, routePath) => process.stdout.write(`${what.padEnd(10)} ${routePath}\n`),
    failed: (file, error) => process.stderr.write(`${failure(file, error)}\n`),
    close: () => {},
  }
}

function barReport(total: number): Report {
  // A MultiBar of one bar, because only a MultiBar can print lines above its bars.
  const bars = new MultiBar({
    format: `publishing {bar} {value}/{total}  {eta_formatted} left  {route}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
  })
  const bar = bars.create(total, 0, { route: '' })
  return {
    done: (_, route) => bar.increment(1, { route }),
    failed: (file, error) => {
      bars.log(`${pc.red(failure(file, error))}${CLEAR_TO_END}\n`)
      bar.increment()
    },
    close: () => bars.stop(),
  }
}
