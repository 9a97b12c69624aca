/** The program `atomic`: the package's functions for the shell. Each command is a file in `commands/`. */

import { Command, CommanderError } from 'commander'
import { version } from '../package.json'
import { append } from './commands/append'
import { bench } from './commands/bench'
import { read } from './commands/read'
import { recover } from './commands/recover'
import { update } from './commands/update'
import { watch } from './commands/watch'
import { write } from './commands/write'
import { EXIT_USAGE } from './run'

const AFTER = `
Exit codes: 0 done; 1 failed, or something was found; 2 wrong usage. A command
that is interrupted ends by that signal and leaves nothing behind; one whose
reader goes away (| head) ends with 141.

With --json the result is one JSON document on standard output, and so is an
error: { "error": { "code", "message", … } }. Colours are for terminals;
NO_COLOR turns them off, and FORCE_COLOR=1 on.

update and read take objects in stores, too: s3://bucket/key, az://, gs://, with
the package @pipeline/atomic-cloud. A directory of that name is ./s3:/…
`

function program(): Command {
  const atomic = new Command('atomic')
    .description(
      'Writes files and updates JSON indexes so that a crash, a full disk or a second process loses nothing.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .addHelpText('after', AFTER)
    .exitOverride()
    .configureOutput({
      outputError: (text, print) => print(text.replace(/^error: /, 'atomic: ')),
      // The terminal's, and without one the same everywhere.
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? 80, 100),
      getErrHelpWidth: () => 80,
    })
  for (const add of [write, update, read, append, watch, recover, bench]) {
    const command = add(atomic)
    command.showHelpAfterError(`Try: atomic ${command.name()} --help`)
  }
  return atomic.showHelpAfterError('Try: atomic --help')
}

program()
  .parseAsync()
  .catch((error: unknown) => {
    if (!(error instanceof CommanderError)) throw error
    // Help and version are no errors; what is wrong with the usage has been said.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE
  })
