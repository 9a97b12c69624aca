/** The program `atomic`: the package's functions for the shell. */

import { CommanderError } from 'commander'
import { hasLostBytes } from './arguments'
import { program } from './program'
import { EXIT_USAGE } from './run'

// Who has closed it is not told, and the exit code stays what it is.
process.stderr.on('error', () => {})
if (hasLostBytes()) {
  process.stderr.write('atomic: an argument is not UTF-8, and would be taken for another one\n')
  process.exitCode = EXIT_USAGE
} else {
  program()
    .parseAsync()
    .catch((error: unknown) => {
      if (!(error instanceof CommanderError)) throw error
      // Help and version are no errors; what is wrong with the usage has been said.
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE
    })
}
