import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { appendLines, atomicIndexUpdate, atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import type { Command } from 'commander'
import { parseDuration, parsePositive, shared, told } from '../options'
import { bytes, duration, named, type Output, type OutputOptions, table } from '../output'
import { run } from '../run'
import { inScratch } from '../scratch'

const AFTER = `
Everything is written into a new folder in the directory, which is removed at
the end and after Ctrl-C (after a kill: atomic sweep). Other programs that use
the disk count as well: run it twice before you believe a figure.

Examples:
  atomic bench /srv/data
  atomic bench . --time 2s --json
`

interface Options extends OutputOptions {
  time: number
}

/** A thing to measure: `step` does it once, and returns how much that was. */
interface Measure {
  name: string
  label: string
  unit: 'per second' | 'bytes per second'
  step: (folder: string, at: number) => Promise<number>
}

const PAGE = Buffer.alloc(4096, 'x')
let made: Buffer | undefined
/** Made when something is measured, before that: to fill it takes a tenth of the time in which the program starts. */
function large(): Buffer {
  made ??= Buffer.alloc(8 << 20, 'x')
  return made
}
const hundred = Array.from({ length: 100 }, (_, at) => at)

const increment = (index: { n: number }) => ({ n: index.n + 1 })
const update = (folder: string) =>
  atomicIndexUpdate(join(folder, 'index.json'), increment, { initial: { n: 0 } })

async function once(body: Promise<unknown>, amount = 1): Promise<number> {
  await body
  return amount
}

const measures: Measure[] = [
  {
    name: 'writes',
    label: 'files of 4 KiB, one by one',
    unit: 'per second',
    step: (folder, at) => once(atomicWrite(join(folder, `file-${at % 100}`), PAGE)),
  },
  {
    name: 'writesWithoutFlush',
    label: 'the same with --no-flush',
    unit: 'per second',
    step: (folder, at) => once(atomicWrite(join(folder, `loose-${at % 100}`), PAGE, { flush: false })),
  },
  {
    name: 'writesTogether',
    label: 'the same, 100 together',
    unit: 'per second',
    step: (folder) =>
      once(atomicWriteAll(hundred.map((at) => ({ path: join(folder, `batch-${at}`), data: PAGE }))), 100),
  },
  {
    name: 'updates',
    label: 'updates of an index, one by one',
    unit: 'per second',
    step: (folder) => once(update(folder)),
  },
  {
    name: 'updatesTogether',
    label: 'the same, 100 at once',
    unit: 'per second',
    step: (folder) => once(Promise.all(hundred.map(() => update(folder))), 100),
  },
  {
    name: 'appendsTogether',
    label: 'appended lines, 100 at once',
    unit: 'per second',
    step: (folder) =>
      once(Promise.all(hundred.map((at) => appendLines(join(folder, 'log'), `line ${at}`))), 100),
  },
  {
    name: 'throughput',
    label: 'a file of 8 MiB',
    unit: 'bytes per second',
    step: (folder) => once(atomicWrite(join(folder, 'large'), large()), large().length),
  },
]

export const bench = (program: Command): Command =>
  shared(
    program
      .command('bench')
      .description('Measures what a disk gives: the time of a flush, and how much can be written.')
      .argument('<directory>', 'a directory on the disk')
      .option(
        '--time <time>',
        'how long to measure, all in all: 500ms, 30s; a number alone is milliseconds (default: 10s)',
        parsePositive(parseDuration),
      ),
    told,
  )
    .addHelpText('after', AFTER)
    .action((directory: string, { time = 10_000, ...options }: Options) =>
      run(options, async ({ out, signal }) => {
        await inScratch(directory, 'bench', async (folder) => {
          const each = time / (measures.length + 1)
          large()
          const progress = out.progress('measuring', time, (ms) => `${(ms / 1000).toFixed(1)} s`)
          const flushes = await measureFlushes(join(folder, 'flush'), each, signal, progress)
          const results: (Pick<Measure, 'name' | 'unit'> & { value: number })[] = []
          for (const [at, { name, unit, step }] of measures.entries()) {
            const value = await measure(
              (n) => step(folder, n),
              each,
              signal,
              (ms) => progress(each * (at + 1) + ms),
            )
            results.push({ name, unit, value })
          }
          out.result(
            { directory, flush: flushes, results },
            ...describe(
              out,
              directory,
              flushes,
              results.map(({ value }) => value),
            ),
          )
        })
        return 0
      }),
    )

/** How much is done in a second. */
async function measure(
  step: (at: number) => Promise<number>,
  time: number,
  signal: AbortSignal,
  progress: (ms: number) => void,
): Promise<number> {
  const start = performance.now()
  let sum = 0
  let spent = 0
  for (let at = 0; spent < time; at++) {
    signal.throwIfAborted()
    sum += await step(at)
    spent = performance.now() - start
    progress(Math.min(spent, time))
    // Steps that never wait for the disk would keep signals waiting.
    if (at % 64 === 63) await pause(0)
  }
  return sum / (spent / 1000)
}

/** How long an fsync takes after 4 KiB were written, in milliseconds. */
async function measureFlushes(
  file: string,
  time: number,
  signal: AbortSignal,
  progress: (ms: number) => void,
) {
  const handle = await open(file, 'wx')
  const times: number[] = []
  try {
    const once = async (at: number) => {
      await handle.write(PAGE, 0, PAGE.length, (at % 256) * PAGE.length)
      const start = performance.now()
      await handle.sync()
      return times.push(performance.now() - start)
    }
    await measure(once, time, signal, progress)
  } finally {
    await handle.close()
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(Math.floor(times.length * share), times.length - 1)] ?? 0
  return { median: at(0.5), p99: at(0.99), count: times.length }
}

function describe(
  out: Output,
  directory: string,
  { median, p99 }: { median: number; p99: number },
  values: number[],
): string[] {
  const { bold, yellow, dim } = out.colors
  const rows = measures.map(({ label, unit }, at) => {
    const value = values[at] ?? 0
    const shown = unit === 'per second' ? `${rounded(value)}/s` : `${bytes(value)}/s`
    return [`  ${label}`, bold(shown)]
  })
  const lines = [
    `What ${named(directory)} gives:`,
    ...table([
      ['  flush', `${bold(duration(median))} ${dim(`(99 of 100 within ${duration(p99)})`)}`],
      ...rows,
    ]),
  ]
  if (median < 0.05) {
    lines.push(
      yellow(
        'A flush this fast reaches no disk: this is memory, a cache with a battery, or a disk that only says so.',
      ),
    )
  }
  return lines
}

/** Two digits are what a second measurement would confirm. */
const rounded = (value: number): string => Number(value.toPrecision(2)).toLocaleString('en')
