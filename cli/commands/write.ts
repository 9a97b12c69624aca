import { AtomicFile } from '@pipeline/atomic'
import type { Command } from 'commander'
import { type Flushed, flushed, howToWrite, parseMode, shared, told } from '../options'
import { bytes, named, type OutputOptions, wrote } from '../output'
import { Failure, run, UsageError } from '../run'
import { outputOf, standardInput } from '../stdin'

const AFTER = `
Readers see the old file until all of the new one is on disk. Standard input may
be of any size; it may come from the very file that is written. If it cannot be
read, or atomic is interrupted, the file stays as it was.

In a pipe the end of the input looks the same whether its producer has finished
or died: "jq . in | atomic write out" writes what there was. Give the command to
atomic instead, after --, and nothing is written unless it succeeds. (The
shell's "set -o pipefail" reports the failure, but only when the file is
written.)

Examples:
  curl -sf https://example.org/feed.xml | atomic write feed.xml --refuse-empty
  atomic write settings.json -- jq '.theme = "dark"' settings.json
  sort words.txt | atomic write words.txt
`

interface Options extends OutputOptions, Flushed {
  mode?: string
  exclusive?: boolean
  ifChanged?: boolean
  refuseEmpty?: boolean
}

export const write = (program: Command): Command =>
  shared(
    program
      .command('write')
      .description(
        'Replaces a file by standard input, or by what a command prints, as a whole or not at all.',
      )
      .argument('<file>', 'the file')
      .argument('[command...]', 'a command whose output is written, if it succeeds')
      .usage('[options] <file> [-- command...]')
      .option('--mode <octal>', 'permission bits (default: those of the old file)', parseMode)
      .option('--exclusive', 'fail if there is such a file')
      .option('--if-changed', 'leave a file alone that has this content already')
      .option('--refuse-empty', 'fail if there is no input: its producer has probably failed'),
    flushed,
    told,
  )
    .addHelpText('after', AFTER)
    .action((file: string, command: string[], options: Options) =>
      run(options, async ({ out, signal }) => {
        if (command.length > 0 && !process.argv.includes('--')) {
          throw new UsageError(
            `write takes one file. A command goes after --: atomic write ${file} -- ${command.join(' ')}`,
          )
        }
        if (command[0] === '--') throw new UsageError('-- comes once, between the file and the command')
        // As of a variable that is empty: the file would be replaced by whatever standard input is.
        if (command.length === 0 && file !== '--' && process.argv.at(-1) === '--')
          throw new UsageError(`There is no command after --. Without -- standard input is written`)
        const { chunks, size } = command.length > 0 ? outputOf(command, signal) : standardInput(signal)
        if (command.length === 0 && process.stdin.isTTY) {
          out.note('reading from the terminal: Ctrl-D ends the file, Ctrl-C leaves it as it was')
        }
        const target = await AtomicFile.open(file, {
          ...howToWrite(options),
          ...(options.mode !== undefined && { mode: options.mode }),
          ...{ flag: options.exclusive ? 'wx' : 'w', ifChanged: options.ifChanged ?? false, signal },
        })
        try {
          const progress = out.progress('writing', size, bytes)
          let done = 0
          for await (const chunk of chunks) {
            await target.write(chunk)
            done += chunk.length
            progress(done)
          }
          if (done === 0 && options.refuseEmpty)
            throw new Failure('The input is empty, which --refuse-empty refuses')
          const result = await target.commit()
          out.result({ file, ...result }, wrote(out, file, result))
        } catch (error) {
          if (error instanceof Failure) error.message += `. ${named(file)} is as it was`
          throw error
        } finally {
          await target[Symbol.asyncDispose]()
        }
        return 0
      }),
    )
