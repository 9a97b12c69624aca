import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { watchIndex } from '@pipeline/atomic'
import type { Command } from 'commander'
import { parseWith, refuseChanged } from '../numbers'
import { checked, type Numbers, numbers, parseCount, parsePositive, parseValue, shared } from '../options'
import { named, type Output, plural, toJson } from '../output'
import { EXIT_FAILED, run } from '../run'
import { loadSchema } from '../schema'

const AFTER = `
The first line is the present version, at once; then there is a line for each
change, by whatever program: + marks new keys, ~ changed ones, - removed ones.
What comes is always the newest version: those that come and go while the reader
is busy are skipped. A missing file is waited for; a version that stays broken
is told, and the watch goes on. Ctrl-C ends it.

Examples:
  atomic watch posts/index.json
  atomic watch posts/index.json --json | while read -r version; do make site; done
  atomic watch flag.json --count 2      # until it changes
`

interface Options {
  json?: boolean
  count?: number
  initial?: string
  schema?: string
  numbers: Numbers
}

export const watch = (program: Command): Command =>
  shared(
    program
      .command('watch')
      .description('Prints what changes in an index.')
      .argument('<file>', 'the JSON file')
      .option('--count <n>', 'end after that many lines', parsePositive(parseCount))
      .option('--initial <json>', 'what a missing file counts as', parseValue)
      .option('--json', 'print the whole index for each change, as one line: { "time", "value" }')
      .helpOption('-h, --help', 'print this text'),
    numbers,
    checked,
  )
    .addHelpText('after', AFTER)
    .action((file: string, options: Options) =>
      run(options, async ({ out, signal }) => {
        const schema = await loadSchema(options.schema)
        if (options.initial !== undefined) refuseChanged('--initial', options.initial, options.numbers)
        const tellBroken = async (error: Error): Promise<void> => {
          if (options.json) await out.data(`${toJson({ time: new Date(), error })}\n`)
          else out.note(error.message)
        }
        const versions = watchIndex(file, {
          ...{ signal, numbers: options.numbers, onError: tellBroken },
          ...(options.initial !== undefined && { initial: parseWith(options.initial, options.numbers) }),
          ...(schema && { schema }),
        })
        const waiting = new AbortController()
        tellIfMissing(file, out, waiting.signal)
        let count = 0
        try {
          for await (const { value, previous } of versions) {
            waiting.abort()
            const time = new Date()
            if (options.json) await out.data(`${toJson({ time, value })}\n`)
            else
              await out.data(
                `${out.colors.dim(time.toTimeString().slice(0, 8))} ${changed(out, value, previous)}\n`,
              )
            count += 1
            if (count === options.count) return 0
          }
        } finally {
          waiting.abort()
        }
        return EXIT_FAILED
      }),
    )

/** Somebody who looks at an empty screen should know why. */
function tellIfMissing(file: string, out: Output, signal: AbortSignal): void {
  pause(1000, undefined, { signal, ref: false }).then(
    () => out.note(`waiting for ${file}, which does not exist yet or is not good`),
    () => {},
  )
}

/** One line about what is different. */
function changed(out: Output, value: unknown, previous: unknown): string {
  const { green, red, yellow } = out.colors
  if (previous === undefined) return describe(value)
  if (!isKeyed(value) || !isKeyed(previous)) return `${describe(previous)} -> ${describe(value)}`
  const added = Object.keys(value).filter((key) => !Object.hasOwn(previous, key))
  const removed = Object.keys(previous).filter((key) => !Object.hasOwn(value, key))
  const other = Object.keys(value).filter(
    (key) => Object.hasOwn(previous, key) && !isDeepStrictEqual(value[key], previous[key]),
  )
  const parts = [
    added.length > 0 && green(`+ ${some(added)}`),
    other.length > 0 && yellow(`~ ${some(other)}`),
    removed.length > 0 && red(`- ${some(removed)}`),
  ].filter(Boolean)
  // Keys in another order.
  return parts.length > 0 ? parts.join('  ') : 'another order of keys'
}

const isKeyed = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const describe = (value: unknown): string =>
  Array.isArray(value)
    ? plural(value.length, 'element')
    : isKeyed(value)
      ? plural(Object.keys(value).length, 'key')
      : JSON.stringify(value)

function some(keys: string[]): string {
  const shown = keys.slice(0, 5).map(named).join(', ')
  return keys.length > 5 ? `${shown} and ${keys.length - 5} more` : shown
}
