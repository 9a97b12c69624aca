/**
 * What surrounds each command: a signal that is aborted by Ctrl-C and by a reader that goes away, messages for errors, and the
 * exit code. A command unwinds before the process ends, so that it leaves nothing.
 */

import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import type { AtomicError } from '@pipeline/atomic'
import { quoted } from './check/finding'
import { fault, Output, type OutputOptions } from './output'

export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** A failure that its message explains: no stack is shown. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly code?: string,
  ) {
    super(message)
  }
}

/** A mistake in the command line that shows only when the command runs. */
export class UsageError extends Error {}

/** Why a command was given up: a signal, or `SIGPIPE` for a reader that went away. */
export class Interrupted extends Error {
  constructor(readonly by: NodeJS.Signals) {
    super(`interrupted by ${by}`)
  }
}

/** Those of commands that write have `flush`. */
interface Options extends OutputOptions {
  flush?: boolean
  parents?: boolean
  /** Those with code of the user's. */
  eval?: unknown
  schema?: string
}

export interface Frame {
  out: Output
  /** Aborted when the command is to end early. */
  signal: AbortSignal
}

/** Runs the body of a command and ends the process: with the exit code that it returns, or 0. */
export async function run(
  options: Options,
  body: (frame: Frame) => Promise<number | undefined>,
): Promise<void> {
  const controller = new AbortController()
  const out = new Output(options)
  endOnSignals(controller)
  endWithoutReader(process.stdout, controller)
  const { stuck, isOver } = abortIfStuck(controller, options)

  let code: number
  try {
    code = (await Promise.race([body({ out, signal: controller.signal }), stuck])) ?? 0
  } catch (error) {
    code =
      controller.signal.reason instanceof Interrupted
        ? EXIT_FAILED
        : report(error, out, controller.signal, options)
  }
  isOver()
  out.end()
  await Promise.all([drained(process.stdout), drained(process.stderr)])
  const { reason } = controller.signal
  if (reason instanceof Interrupted) endBy(reason.by)
  // Standard output has failed after the work was done.
  if (reason && code === 0) code = report(reason, out, controller.signal, options)
  // A producer that goes on writing, or a terminal that is read, would keep the process.
  process.exit(code)
}

/**
 * Node.js ends, and well, when nothing is left that could settle what is waited for. An abort has the package take its files away first;
 * what no abort ends, such as a module that is being loaded, is not waited for any more: `stuck` rejects.
 */
function abortIfStuck(controller: AbortController, options: Options) {
  let end = () => {}
  const stuck = new Promise<never>((_, reject) => {
    end = () => {
      if (controller.signal.aborted) reject(controller.signal.reason)
      else controller.abort(new Failure(whatIsStuck(options)))
      // Node.js asks again only after something has happened.
      setImmediate(() => {})
    }
  })
  process.on('beforeExit', end)
  return { stuck, isOver: () => process.off('beforeExit', end) }
}

function whatIsStuck(options: Options): string {
  const given = (['eval', 'schema'] as const).filter((name) => options[name] !== undefined)
  const whose = given.length > 0 ? ` of ${given.map((name) => `--${name}`).join(' or ')}` : ''
  return `A promise${whose} never settles: the command was given up`
}

function endOnSignals(controller: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The second one is of a person who does not want to wait.
      if (controller.signal.aborted) endBy(name)
      controller.abort(new Interrupted(name))
    })
  }
}

function endWithoutReader(stream: NodeJS.WriteStream, controller: AbortController): void {
  stream.on('error', (error: NodeJS.ErrnoException) => controller.abort(reasonOf(error)))
}

/** Why nothing more can be written to standard output. */
function reasonOf({ code, message }: NodeJS.ErrnoException): Interrupted | Failure {
  const gone = code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
  return gone ? new Interrupted('SIGPIPE') : new Failure(`Standard output: ${message}`, code)
}

/** Prints what no command surrounds, such as help. */
export function print(text: string): void {
  process.stdout.once('error', (error) => {
    const reason = reasonOf(error)
    if (reason instanceof Interrupted) endBy(reason.by)
    new Output({}).fail(reason)
    process.exit(EXIT_FAILED)
  })
  process.stdout.write(text)
}

/** By the signal itself, so that a shell sees it and ends its own loop; Node.js cannot die of SIGPIPE. */
function endBy(signal: NodeJS.Signals): never {
  process.removeAllListeners(signal)
  if (signal !== 'SIGPIPE') process.kill(process.pid, signal)
  process.exit(128 + (constants.signals[signal] ?? 0))
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}

/** A broken index: the package's own message names functions. */
function byCommand(error: AtomicError): string {
  const text = fault(error)
  if (text === error.message || error.path === undefined) return error.message
  return `${text}; repair it, or have a good backup put back by: atomic recover ${quoted(error.path)}`
}

const TOO_DEEP = 'The value is nested too deeply to be printed or written as JSON'

/** JSON.parse has no such limit, so an index may be read that cannot be printed. */
const isTooDeep = (error: unknown): boolean =>
  error instanceof RangeError &&
  /call stack/.test(error.message) &&
  /\bJSON\.stringify\b/.test(`${error.stack}`)

/** Says what is wrong, and returns the exit code. */
function report(error: unknown, out: Output, signal: AbortSignal, options: Options): number {
  const given = error instanceof Error && error.name === 'AbortError' ? (signal.reason ?? error) : error
  const known = isTooDeep(given) ? new Failure(TOO_DEEP) : given
  if (!(known instanceof Error)) {
    out.fail({ message: `${known} was thrown` })
    return EXIT_FAILED
  }
  const { code } = known as AtomicError
  if (known instanceof UsageError || /^ERR_INVALID_(ARG|URL|FILE_URL)_/.test(code ?? '')) {
    out.fail(known)
    return EXIT_USAGE
  }
  if (code === 'ERR_ATOMIC_CORRUPT_INDEX') known.message = byCommand(known as AtomicError)
  // Whatever has no code is a bug, here or in a function of the user's.
  out.fail(known, known instanceof Failure || code !== undefined ? undefined : known.stack)
  const { path = '' } = known as AtomicError
  const isOfDirectory = code === 'ENOENT' && 'syscall' in known && path && !existsSync(dirname(path))
  if (isOfDirectory && 'flush' in options && !options.parents)
    out.note('missing directories are made with --parents')
  return EXIT_FAILED
}
