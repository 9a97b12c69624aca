import { readIndex } from '@pipeline/atomic'
import type { Command } from 'commander'
import { get } from '../key'
import { parseWith, refuseChanged } from '../numbers'
import { checked, type Numbers, numbers, parseValue, shared } from '../options'
import { named, toJson, withoutAdvice } from '../output'
import { Failure, run } from '../run'
import { loadSchema } from '../schema'

const AFTER = `
Takes no lock, waits for nobody, and needs no right to write: what is printed is
one complete version of the index.

A key is one of the top level, or a JSON Pointer if it begins with a slash:
/posts/0/title. (~1 is a slash in it, ~0 a ~.)

Examples:
  atomic read posts/index.json
  atomic read package.json --get /scripts/test --raw
  atomic read posts/index.json --fallback >good.json
`

interface Options {
  fallback?: boolean
  get?: string
  raw?: boolean
  initial?: string
  schema?: string
  numbers: Numbers
  json?: boolean
}

export const read = (program: Command): Command =>
  shared(
    program
      .command('read')
      .description('Prints an index, if it is good.')
      .argument('<file>', 'the JSON file')
      .option('--fallback', 'take the newest good backup if the index is broken or missing')
      .option('--get <key>', 'print this part only')
      .option('--raw', 'print a string without quotes and escapes')
      .option('--initial <json>', 'what a missing file counts as', parseValue)
      .option('--json', 'print where the value comes from, too: { "value", "source", … }')
      .helpOption('-h, --help', 'print this text'),
    numbers,
    checked,
  )
    .addHelpText('after', AFTER)
    .action((file: string, options: Options) =>
      run(options, async ({ out }) => {
        const schema = await loadSchema(options.schema)
        if (options.initial !== undefined) refuseChanged('--initial', options.initial, options.numbers)
        const { value, ...rest } = await readIndex(file, {
          numbers: options.numbers,
          ...(options.fallback && { fallback: 'backup' }),
          ...(options.initial !== undefined && { initial: parseWith(options.initial, options.numbers) }),
          ...(schema && { schema }),
        })
        if (value === undefined) {
          throw new Failure(
            `${named(file)} does not exist. Give --initial JSON to read something all the same`,
            'ENOENT',
          )
        }
        const wanted = options.get === undefined ? value : get(value, options.get)
        if (wanted === undefined) throw new Failure(`${named(file)} has no ${options.get}`)
        if (rest.source === 'backup') {
          const why = rest.corrupt ? withoutAdvice(rest.corrupt) : 'the file is missing'
          out.note(`from the backup ${rest.backup}, because ${why}`)
        }
        if (options.json) out.result({ file, value: wanted, ...rest })
        else if (options.raw && typeof wanted === 'string') await out.data(`${wanted}\n`)
        else await out.data(`${toJson(wanted, 2)}\n`)
        return 0
      }),
    )
