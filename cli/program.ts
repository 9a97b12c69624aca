/** The commands of the program `atomic`, each a file in `commands/`, and what its help says of all of them. */

import { Command } from 'commander'
import { version } from '../package.json'
import { append } from './commands/append'
import { bench } from './commands/bench'
import { check } from './commands/check'
import { read } from './commands/read'
import { recover } from './commands/recover'
import { selftest } from './commands/selftest'
import { sweep } from './commands/sweep'
import { update } from './commands/update'
import { watch } from './commands/watch'
import { write } from './commands/write'
import { print } from './run'

const AFTER = `
Exit codes: 0 done; 1 failed, or check has found a problem; 2 wrong usage. A
command that is interrupted ends by that signal and leaves nothing behind (see
update for --eval); one whose reader goes away (| head) ends with 141.

With --json the result is one JSON document on standard output, and so is an
error: { "error": { "code", "message", … } }. Colours are for terminals;
NO_COLOR turns them off, and FORCE_COLOR=1 on.

update and read take objects in stores, too: s3://bucket/key, az://, gs://, with
the package @pipeline/atomic-cloud. A directory of that name is ./s3:/…
`

export function program(): Command {
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
      writeOut: print,
      outputError: (text, write) => write(text.replace(/^error: /, 'atomic: ')),
      // The terminal's, and without one the same everywhere.
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? 80, 100),
      getErrHelpWidth: () => 80,
    })
  for (const add of [write, update, read, append, watch, check, recover, sweep, bench, selftest]) {
    const command = add(atomic)
    command.showHelpAfterError(`Try: atomic ${command.name()} --help`)
  }
  return atomic.showHelpAfterError('Try: atomic --help')
}
