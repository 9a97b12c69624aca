/**
 * The generator's command line. A user's mistake is answered with a message on stderr and an exit code; a stack trace
 * is printed only for a bug.
 */

import { parseArgs } from 'node:util'
import { build } from './cli/build'
import { SiteError } from './lib/errors'

const HELP = `Makes a web site from a folder of Markdown. Every file served is complete, whatever interrupts a build.

Usage: site build [options] SRC OUT

  SRC   the sources: every .md file becomes a page, images are compressed and copied
  OUT   the site's folder, which may be served during the build

Options:
      --atomic          build the whole site beside OUT and swap the two: all pages are from one build
      --keep-previous   with --atomic: keep the old site as OUT.previous
      --full            render every page, also unchanged ones
      --no-flush        do not wait for the disk: a power cut may undo the build, or damage it
      --title TITLE     the title of the site (default: the name of SRC)
      --theme DIR       a folder with your own style.css, site.js and logo.svg
      --url URL         where it will be served, for sitemap and feed (default: http://localhost:8080/)
  -h, --help            print this text

Without --atomic only files that have changed are written, each of them completely or not at all.

Exit codes: 0 built; 1 not built, see stderr; 2 wrong usage; 130 or 143 interrupted.
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
    throw new UsageError(`--url must be an http or https address, not "${text}"`)
  }
  const url = new URL(text)
  if (url.search || url.hash) throw new UsageError('--url must be an address without ? and #')
  return url.href.replace(/\/?$/, '/')
}

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args)
  const [command, source, out, ...rest] = positionals
  if (values.help || command === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  if (command === undefined) throw new UsageError('a command is needed')
  if (command !== 'build') throw new UsageError(`there is no command "${command}"`)
  if (!source || !out || rest.length > 0) throw new UsageError('build needs two folders, SRC and OUT')
  if (values['keep-previous'] && !values.atomic) throw new UsageError('--keep-previous needs --atomic')
  if (values.title === '') throw new UsageError('--title must not be empty')
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

/** The message of an error that a user can act on. Any other error is a bug, and its stack is printed. */
function messageOf(error: unknown): string | undefined {
  if (error instanceof SiteError) return error.message
  if (error instanceof Error && 'syscall' in error && 'code' in error)
    return `${error.message} [${error.code}]`
  return undefined
}

async function main(): Promise<void> {
  // A reader that closes the pipe early (`| head`) is no reason to stop the build.
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
