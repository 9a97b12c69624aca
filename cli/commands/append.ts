import { type AppendLinesOptions, appendLines } from '@pipeline/atomic'
import type { Command } from 'commander'
import { LineSplitter, parseLine } from '../lines'
import {
  type Flushed,
  flushed,
  howToLock,
  howToWrite,
  type Locked,
  locked,
  parseCount,
  parseMode,
  parseSize,
  shared,
  told,
} from '../options'
import { bytes, named, type OutputOptions, plural } from '../output'
import { Failure, run, UsageError } from '../run'
import { standardInput } from '../stdin'

const AFTER = `
Lines are appended whole, under a lock: any number of processes may append to
one file. Those that wait share a flush. What a power cut has left of a line is
set aside before the next append, and told.

From standard input lines are appended as they come. If it fails in the middle,
the lines before stay appended.

Examples:
  atomic append todo.txt 'water the plants'
  server 2>&1 | atomic append server.log --rotate 10MB --keep 5
  jq -c '.[]' events.json | atomic append events.jsonl --jsonl
`

interface Options extends OutputOptions, Flushed, Locked {
  jsonl?: boolean
  rotate?: number
  keep?: number
  mode?: string
}

/** Lines that wait while others are written; more are not read meanwhile. */
const MOST_BYTES = 1 << 20

export const append = (program: Command): Command =>
  shared(
    program
      .command('append')
      .description('Appends lines to a file: arguments, or standard input.')
      .argument('<file>', 'the file')
      .argument('[line...]', 'the lines (default: those of standard input)')
      .option('--jsonl', 'the file is JSON Lines: refuse a line that is not JSON')
      .option(
        '--rotate <size>',
        'begin a new file when this one has that size; the old one becomes FILE.1',
        parseSize,
      )
      .option('--keep <n>', 'with --rotate: how many old files stay (default: 5)', parseCount)
      .option('--mode <octal>', 'permission bits of a new file', parseMode),
    locked,
    flushed,
    told,
  )
    .addHelpText('after', AFTER)
    .action((file: string, lines: string[], options: Options) =>
      run(options, async ({ out, signal }) => {
        if (options.keep !== undefined && options.rotate === undefined)
          throw new UsageError('--keep needs --rotate')
        const settings: Omit<AppendLinesOptions, 'json'> = {
          ...howToWrite(options),
          ...howToLock(options),
          signal,
          ...(options.rotate !== undefined && { rotate: { size: options.rotate, keep: options.keep ?? 5 } }),
          ...(options.mode !== undefined && { mode: options.mode }),
        }
        const sum = { file, lines: 0, bytes: 0, durable: true, rotated: false, torn: [] as object[] }
        const appendSome = async (some: string[]): Promise<void> => {
          const values = options.jsonl ? some.map((line, at) => parseLine(line, sum.lines + at + 1)) : []
          const result = options.jsonl
            ? await appendLines(file, values, { ...settings, json: true })
            : await appendLines(file, some, settings)
          sum.lines += result.lines
          sum.bytes += result.bytes
          sum.durable &&= result.durable
          sum.rotated ||= result.rotated
          if (!result.torn) return
          sum.torn.push(result.torn)
          out.note(`an unfinished line of ${bytes(result.torn.bytes)} was set aside in ${result.torn.path}`)
        }
        try {
          if (lines.length > 0) await appendSome(lines)
          else await appendInput(appendSome, signal)
        } catch (error) {
          if (sum.lines > 0)
            out.note(`${plural(sum.lines, 'line')} before that ${sum.lines === 1 ? 'is' : 'are'} in ${file}`)
          throw error
        }
        const safe = sum.durable ? 'on disk' : 'not flushed: a power cut may undo it'
        out.result(
          sum,
          `${out.colors.green('appended')} ${plural(sum.lines, 'line')} to ${named(file)}: ${bytes(sum.bytes)}, ${safe}`,
        )
        return 0
      }),
    )

/** While some lines are written the next ones are read, and are then written together. */
async function appendInput(
  appendSome: (lines: string[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const splitter = new LineSplitter()
  let failed: { error: unknown } | undefined
  let writing: Promise<void> | undefined
  const writeWaiting = () => {
    const some = splitter.take()
    if (some.length === 0 || failed) return
    writing = appendSome(some)
      .catch((error: unknown) => {
        failed = { error }
      })
      .then(() => {
        writing = undefined
        writeWaiting()
      })
  }
  try {
    for await (const chunk of standardInput(signal).chunks) {
      splitter.add(chunk)
      if (!writing) writeWaiting()
      while (writing && splitter.waiting > MOST_BYTES) await writing
      if (failed) break
    }
    splitter.finish()
  } catch (error) {
    failed ??= { error: error instanceof TypeError ? new Failure('Standard input is not UTF-8') : error }
  }
  while (writing) await writing
  writeWaiting()
  while (writing) await writing
  if (failed) throw (failed as { error: unknown }).error
}
