/**
 * The generator's command line. A user's mistake gets a sentence on stderr and an exit code; a stack is printed only
 * for what is a bug of ours.
 */

import { parseArgs } from 'node:util'
import { build } from './cli/build'
import { SiteError } from './lib/errors'

const HELP = `Makes a web site of a folder of Markdown. Whatever interrupts it, what is served is whole.

Usage: site build [options] SRC OUT

  SRC   the folder: every .md file becomes a page, images are made smaller and come along
  OUT   the site's folder, which may be served meanwhile

Options:
      --atomic          make the whole site beside OUT and swap the two: all pages are of one build
      --keep-previous   with --atomic: leave the site that was swapped out
      --full            make every page anew, whatever the build cache says
      --no-flush        do not wait for the disk: a power cut may take the build back, or damage it
      --title TITLE     the site's (default: the name of SRC)
      --theme DIR       a folder with a style.css, a site.js and a logo.svg of your own
      --url URL         where it will be served, for sitemap and feed (default: http://localhost:8080/)
  -h, --help            this text

Without --atomic only what has changed is written, each file whole or not at all.

Exit codes: 0 built; 1 not built, stderr says why; 2 wrong usage; 130 or 143 interrupted.
`

/** A mistake in the command line. */
class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        atomic: { type: 'boolean', default: false },
        'keep-previous': { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        'no-flush': { type: 'boolean', default: false },
        title: { type: 'string' },
        theme: { type: 'string' },
        url: { type: 'string', default: 'http://localhost:8080/' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(`--url is an http or https address, not "${text}"`)
  }
  const url = new URL(text)
  if (url.search || url.hash) throw new UsageError('--url is an address without ? and #')
  return url.href.replace(/\/?$/, '/')
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args)
  const [command, source, out, ...rest] = positionals
  if (values.help || command === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command === undefined) throw new UsageError('which command?')
  if (command !== 'build') throw new UsageError(`there is no command "${command}"`)
  if (!source || !out || rest.length > 0) throw new UsageError('build needs two folders, SRC and OUT')
  if (values['keep-previous'] && !values.atomic) throw new UsageError('--keep-previous goes with --atomic')
  if (values.title === '') throw new UsageError('--title needs a text')
  return build({
    source,
    out,
    url: parseUrl(values.url),
    ...(values.title !== undefined && { title: values.title }),
    ...(values.theme !== undefined && { theme: values.theme }),
    atomic: values.atomic,
    keepPrevious: values['keep-previous'],
    flush: !values['no-flush'],
    full: values.full,
  })
}

/** Errors that tell a user something; any other is a bug and shows its stack. */
function messageOf(error: unknown): string | undefined {
  if (error instanceof SiteError) return error.message
  if (error instanceof Error && 'syscall' in error && 'code' in error)
    return `${error.message} [${error.code}]`
  return undefined
}

async function main(): Promise<void> {
  // A reader that has seen enough (`| head`) is no reason to stop.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  try {
    process.exitCode = await run(process.argv.slice(2))
  } catch (error) {
    const message = messageOf(error)
    if (error instanceof UsageError) {
      process.stderr.write(`site: ${error.message}\nTry: site --help\n`)
      process.exitCode = 2
    } else if (message !== undefined) {
      process.stderr.write(`site: ${message}\n`)
      process.exitCode = 1
    } else {
      throw error
    }
  }
}

void main()
