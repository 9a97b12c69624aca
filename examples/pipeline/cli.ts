/**
 * The publisher's command line. A user's mistake is answered with one line on stderr and an exit code; a stack
 * trace is printed only for a bug.
 */

import { parseArgs } from 'node:util'
import { metrics } from './cli/metrics'
import { publish, REPAIR_IN_STORE } from './cli/publish'
import { rebuildIndex, recoverIndexCommand } from './cli/repair'
import { describeLocks, lockCounters } from './lib/content/lock-metrics'
import { CONTENT_ENV, isInStore } from './lib/content/paths'
import { PublishError } from './scripts/pipeline/errors'
import { flushLockMetrics } from './scripts/pipeline/lock-metrics'

const HELP = `Publishes documents into a content folder or an object store, crash-safe, from any number of processes at once.

Usage: pipeline [options] <command>

Commands:
  publish FILES...    publish documents: .json files, .md files, or folders of them
  rebuild-index       write contentIndex.json from the documents on disk
  recover-index       restore broken or missing indexes: contentIndex.json from its backup, else from the documents;
                      topicIndex.json from the documents (both commands: of a content folder only)
  metrics             print counts of publishes and failures, and lock waits

Options:
  -c, --content DIR   the content folder (default: $${CONTENT_ENV}, else ./content), or s3://bucket/prefix,
                      az://container/prefix, gs://bucket/prefix; credentials and endpoint come from the environment
  -j, --jobs N        publish: documents at a time in this process (default: 4)
      --locks         publish: print what the locks of this process have cost
      --json          metrics: print JSON
      --reset         metrics: set everything to zero first
  -h, --help          print this text

Exit codes: 0 all done; 1 something was not done, see stderr; 2 wrong usage; 130 interrupted.
To finish an interrupted publish, run it again: it does only what is missing.
`

/** A mistake in the command line. */
export class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        content: { type: 'string', short: 'c' },
        jobs: { type: 'string', short: 'j', default: '4' },
        locks: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        reset: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args)
  const [command, ...rest] = positionals
  if (values.help || command === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (values.content === '') throw new UsageError('--content needs a folder')
  if (values.content !== undefined) process.env[CONTENT_ENV] = values.content
  if (command !== 'publish' && rest.length > 0) throw new UsageError(`${command} takes no files`)
  if (/^(?:rebuild|recover)-index$/.test(command ?? '') && isInStore()) {
    throw new UsageError(`${command} is for a content folder. In a store: ${REPAIR_IN_STORE}`)
  }

  switch (command) {
    case 'publish': {
      const jobs = Number(values.jobs)
      if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64)
        throw new UsageError('--jobs is a number from 1 to 64')
      if (rest.length === 0) throw new UsageError('publish needs files or folders')
      const code = await publish(rest, jobs)
      if (values.locks) process.stdout.write(`${describeLocks(lockCounters())}\n`)
      return code
    }
    case 'rebuild-index':
      return rebuildIndex()
    case 'recover-index':
      return recoverIndexCommand()
    case 'metrics':
      return metrics(values)
    case undefined:
      throw new UsageError('a command is needed')
    default:
      throw new UsageError(`there is no command "${command}"`)
  }
}

/** Errors that a user can act on. Any other is a bug, and its stack is printed. */
function isExpected(error: unknown): error is Error & { code: string } {
  return error instanceof PublishError || (error instanceof Error && 'syscall' in error && 'code' in error)
}

async function main(): Promise<void> {
  // A reader that closes the pipe early (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  try {
    process.exitCode = await run(process.argv.slice(2))
    await flushLockMetrics()
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`pipeline: ${error.message}\nTry: pipeline --help\n`)
      process.exitCode = 2
    } else if (isExpected(error)) {
      process.stderr.write(`pipeline: ${error.message} [${error.code}]\n`)
      process.exitCode = 1
    } else {
      throw error
    }
  }
}

void main()
