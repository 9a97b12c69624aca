import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type AtomicError,
  type IndexRecovery,
  type Recovered,
  recoverIndex,
  recover as recoverRoot,
} from '@pipeline/atomic'
import type { Command } from 'commander'
import { parseWith, refuseChanged } from '../numbers'
import {
  checked,
  howToLock,
  type Locked,
  locked,
  type Numbers,
  numbers,
  parseIndex,
  shared,
  told,
} from '../options'
import { fault, named, type Output, type OutputOptions, table, withoutAdvice } from '../output'
import { run, UsageError } from '../run'
import { loadSchema } from '../schema'

const AFTER = `
A good index is left alone. A broken or missing one is replaced by its newest
good backup, or else by --initial; what is broken is set aside as
FILE.corrupt-TIME, and never removed. Many that recover at the same time do it
once.

For a directory: completes or undoes what an interrupted transaction below it
has left.

Examples:
  atomic recover posts/index.json
  atomic recover tags.json --initial '{}'
  atomic recover content/
`

interface Options extends OutputOptions, Locked {
  initial?: string
  schema?: string
  numbers: Numbers
  giveUp?: boolean
}

export const recover = (program: Command): Command =>
  shared(
    program
      .command('recover')
      .description('Makes a broken index good again, or completes an interrupted transaction.')
      .argument('<path>', 'the JSON file, or the root of transactions')
      .option('--initial <json>', 'what to put in its place if no backup is good', parseIndex)
      .option('--give-up', 'for a directory: give up what cannot be recovered'),
    numbers,
    checked,
    locked,
    told,
  )
    .addHelpText('after', AFTER)
    .action((path: string, options: Options) =>
      run(options, async ({ out, signal }) => {
        const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
        if (options.giveUp && !isDirectory)
          throw new UsageError('--give-up is for a directory: the root of transactions')
        if (isDirectory && options.initial !== undefined)
          throw new UsageError('--initial is for a JSON file, and this is a directory')

        if (isDirectory) {
          const recovered = await recoverRoot(path, {
            timeout: options.timeout,
            giveUp: options.giveUp ?? false,
            signal,
          })
          out.result({ path, ...recovered }, ...aboutTransaction(out, path, recovered))
          return 0
        }
        const schema = await loadSchema(options.schema)
        if (options.initial !== undefined) refuseChanged('--initial', options.initial, options.numbers)
        const recovering = recoverIndex(path, {
          ...howToLock(options),
          ...{ numbers: options.numbers, mkdir: false, signal },
          ...(options.initial !== undefined && { initial: parseWith(options.initial, options.numbers) }),
          ...(schema && { schema }),
        })
        const recovered = await recovering.catch((error: AtomicError) => {
          if (options.initial === undefined && existsSync(dirname(path))) sayHowToBegin(error)
          throw error
        })
        const { value: _, ...rest } = recovered
        out.result({ path, ...rest }, ...aboutIndex(out, path, recovered))
        return 0
      }),
    )

/** What is left to do where no backup is good. */
function sayHowToBegin(error: AtomicError): void {
  const isMissing = error.code === 'ENOENT' && error.syscall === 'open'
  if (!isMissing && !/^ERR_ATOMIC_(CORRUPT_INDEX|SCHEMA)$/.test(error.code)) return
  const todo = isMissing ? 'no backup is good:' : 'no backup is good: repair it by hand, or'
  error.message = `${fault(error)}; ${todo} begin anew with --initial '{}'`
}

function aboutIndex(
  out: Output,
  path: string,
  { action, source, setAside, corrupt }: IndexRecovery,
): string[] {
  const { green, bold } = out.colors
  if (action === 'none') return [`${green('good')} ${named(path)}: nothing was done`]
  const from = action === 'restored' ? `from ${named(source ?? '')}` : 'as --initial says'
  const lines = [`${green('recovered')} ${named(path)} ${from}`]
  if (corrupt) lines.push(...table([['', `it was broken: ${named(withoutAdvice(corrupt))}`]]))
  if (setAside)
    lines.push(
      ...table([
        ['', `the broken one is ${bold(named(setAside))}: look for what is missing, and remove it then`],
      ]),
    )
  return lines
}

function aboutTransaction(out: Output, path: string, { outcome, transaction, files }: Recovered): string[] {
  const { green, yellow } = out.colors
  if (outcome === 'nothing') return [`${green('good')} ${named(path)}: no transaction was interrupted`]
  const what = {
    completed: 'all of it is there',
    dropped: 'nothing of it is there',
    'given-up': 'it was given up',
  }
  const rows = files.map(({ path, action, kept }) => [
    `  ${named(path)}`,
    kept ? yellow(action) : action,
    kept ? `kept as ${named(kept)}` : '',
  ])
  return [
    `${green(outcome)} transaction ${transaction ?? ''} in ${named(path)}: ${what[outcome]}`,
    ...table(rows),
  ]
}
