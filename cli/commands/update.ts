import { runInThisContext } from 'node:vm'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { endable } from '../endable'
import { merge, remove, set } from '../key'
import { parseWith, refuseChanged } from '../numbers'
import {
  checked,
  type Flushed,
  flushed,
  howToLock,
  howToWrite,
  isIndex,
  type Locked,
  locked,
  type Numbers,
  numbers,
  parseCount,
  parseIndex,
  shared,
  told,
} from '../options'
import { type OutputOptions, toJson, wrote } from '../output'
import { Failure, run, UsageError } from '../run'
import { loadSchema } from '../schema'
import { standardInput } from '../stdin'

const AFTER = `
The changes are made in the order in which they are given, under the lock of the
index: updates at the same time, by whatever process, lose nothing. A missing
file begins as {} (see --initial). The layout of the file is kept.

A key is one of the top level, or a JSON Pointer if it begins with a slash:
/posts/0/title; /tags/- is a new last element. The value of --set is JSON if it
can be, and a string otherwise: --set n=1, --set name=Ada, --set
'version="1.0"'. --numbers is about what is given here, too.

A signal ends the function of --eval at once, even one that never returns. The
index stays as it is; the lock file may stay, too, and holds up nobody.

Examples:
  atomic update config.json --set theme=dark --set /editor/tabs=4 --delete legacy
  atomic update posts.json --merge '{"hello": {"title": "Hello"}, "draft": null}' --backup 3
  curl -sf https://example.org/rates | atomic update rates.json --merge -
  atomic update hits.json --eval 'i => { i.home = (i.home ?? 0) + 1 }'
`

/** `how`: what becomes of numbers that JavaScript would change. */
type Change = (index: any, how: Numbers) => unknown

interface Options extends OutputOptions, Flushed, Locked {
  initial: string
  create: boolean
  schema?: string
  numbers: Numbers
  backup?: number | true
  every?: string
  space?: number
  print?: boolean
  inPlace?: boolean
}

export function update(program: Command): Command {
  // The order of the options counts, which an object of options would not tell.
  const changes: Change[] = []
  /** JSON that was given, with its option. */
  const given: [option: string, text: string][] = []
  let merged: string | undefined
  const usesInput = () => merged !== undefined
  const take = (parse: (argument: string) => Change) => (argument: string) => {
    changes.push(parse(argument))
  }
  // Each run of the function has a patch of its own, for what follows may change what was merged.
  const input = (patch: string): Change => {
    if (patch !== '-') {
      given.push(['--merge', parseIndex(patch)])
      return (index, how) => merge(index, parseWith(patch, how))
    }
    if (usesInput()) throw new InvalidArgumentError('Standard input can be merged once.')
    merged = ''
    return (index, how) => merge(index, parseWith(merged ?? '', how))
  }
  const parseSet = (argument: string): Change => {
    const at = argument.indexOf('=')
    if (at < 1) throw new InvalidArgumentError('It is KEY=VALUE.')
    const [key, value] = [argument.slice(0, at), argument.slice(at + 1)]
    // Anew for each run of the function, which may change it.
    let parsed: (how: Numbers) => unknown = (how) => parseWith(value, how)
    try {
      JSON.parse(value)
      given.push([`--set ${key}`, value])
    } catch {
      // A string.
      parsed = () => value
    }
    return inPlace((index, how) => set(index, key, parsed(how)))
  }

  return shared(
    program
      .command('update')
      .description('Changes a JSON index without losing an update.')
      .argument('<file>', 'the JSON file')
      .option('--set <key=value>', 'set a key', take(parseSet))
      .option(
        '--delete <key>',
        'delete a key',
        take((key) => inPlace((index) => remove(index, key))),
      )
      .option('--merge <json>', 'merge a JSON Merge Patch; - reads it from standard input', take(input))
      .option('--eval <function>', 'a JavaScript function from the index to the next one', take(parseEval))
      .addOption(
        new Option('--initial <json>', 'what a missing file begins as')
          .argParser(parseIndex)
          .default('{}', '{}'),
      )
      .option('--no-create', 'fail if there is no file')
      .option('--backup [generations]', 'keep the version before as FILE.backup, or more of them', parseCount)
      .option('--every <time>', 'with --backup: keep one only if the newest is that old (1h)')
      .option('--in-place', 'overwrite a file that cannot be replaced: a mount, for instance')
      .option('--space <n>', 'indent by that many spaces (default: as it is)', parseCount)
      .option('--print', 'print the new index'),
    numbers,
    checked,
    locked,
    flushed,
    told,
  )
    .addHelpText('after', AFTER)
    .action((file: string, options: Options) =>
      run(options, async ({ out, signal }) => {
        if (changes.length === 0)
          throw new UsageError('Nothing to change: give --set, --delete, --merge or --eval')
        if (options.every !== undefined && !options.backup) throw new UsageError('--every needs --backup')
        const schema = await loadSchema(options.schema)
        if (usesInput()) {
          merged = await readPatch(signal)
          given.push(['--merge -', merged])
        }
        for (const [option, text] of [...given, ['--initial', options.initial] as const])
          refuseChanged(option, text, options.numbers)
        let next: unknown
        const change = async (index: object | undefined): Promise<object> => {
          if (index === undefined) {
            throw new Failure(`ENOENT: ${file} does not exist, and --no-create does not make it`, 'ENOENT')
          }
          next = index
          for (const one of changes) next = await one(next, options.numbers)
          return next as object
        }
        const settings: UpdateOptions = {
          ...howToWrite(options),
          ...howToLock(options),
          ...{ numbers: options.numbers, signal },
          ...(options.inPlace && { fallback: 'in-place' }),
          ...(options.create && { initial: parseWith(options.initial, options.numbers) }),
          ...(options.backup && { backup: backupOf(options) }),
          ...(options.space !== undefined && { space: options.space }),
          ...(schema && { schema }),
        }
        const result = await atomicIndexUpdate(file, change, settings)
        if (options.print && !options.json) await out.data(`${toJson(next, 2)}\n`)
        else out.result({ file, ...result, ...(options.print && { value: next }) }, wrote(out, file, result))
        return 0
      }),
    )
}

function backupOf({ backup, every }: Options): UpdateOptions['backup'] {
  return {
    ...(typeof backup === 'number' && { generations: backup }),
    ...(every && { every: every as '1h' }),
  }
}

async function readPatch(signal: AbortSignal): Promise<string> {
  const patch = await inputText(signal)
  let value: unknown
  try {
    value = JSON.parse(patch)
  } catch (error) {
    throw new Failure(`--merge -: standard input is not JSON: ${(error as Error).message}`)
  }
  if (!isIndex(value)) throw new Failure('--merge -: standard input is neither a JSON object nor an array')
  return patch
}

/** What is no UTF-8 would be in the index as U+FFFD. */
async function inputText(signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of standardInput(signal).chunks) chunks.push(chunk)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    // There are others, such as for more than a string can hold.
    const why = error instanceof TypeError ? 'is not UTF-8' : `cannot be read: ${(error as Error).message}`
    throw new Failure(`--merge -: standard input ${why}`)
  }
}

const inPlace =
  (change: (index: object, how: Numbers) => void): Change =>
  (index, how) => {
    change(index, how)
    return index
  }

function parseEval(source: string): Change {
  let made: unknown
  try {
    made = runInThisContext(`(${source}\n)`, { filename: '--eval' })
  } catch (error) {
    throw new InvalidArgumentError(
      `It is a JavaScript function, such as 'i => ({ ...i, n: 1 })': ${(error as Error).message}.`,
    )
  }
  if (typeof made !== 'function')
    throw new InvalidArgumentError("It is a JavaScript function, such as 'i => ({ ...i, n: 1 })'.")
  const call = made as (index: object) => unknown
  return async (index) => {
    let returned: unknown
    try {
      returned = await endable(() => call(index))
    } catch (error) {
      throw new Failure(`--eval: the function threw ${error}`, (error as NodeJS.ErrnoException | null)?.code)
    }
    // A function that changes the index where it is need not return it.
    return returned === undefined ? index : returned
  }
}
