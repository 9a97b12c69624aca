/** What all commands print with: text for people, JSON for programs, colours and progress on terminals only. */

import { stripVTControlCharacters } from 'node:util'
import type { AtomicError, WriteResult } from '@pipeline/atomic'
import { SingleBar } from 'cli-progress'
import { createColors } from 'picocolors'

export interface OutputOptions {
  json?: boolean
  quiet?: boolean
}

/** What an error tells a program: its own fields, as the package documents them. */
interface Told {
  message: string
  code?: string
}

export class Output {
  readonly colors = createColors(isColoured(process.stdout))
  readonly #onStderr = createColors(isColoured(process.stderr))
  readonly #json: boolean
  readonly #quiet: boolean
  #progress: Progress | undefined

  constructor({ json = false, quiet = false }: OutputOptions) {
    this.#json = json
    this.#quiet = quiet
  }

  /** The result of the command: a document for programs, or lines for people. */
  result(document: unknown, ...lines: string[]): void {
    this.end()
    if (this.#json) process.stdout.write(`${toJson(document)}\n`)
    else if (!this.#quiet && lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
  }

  /** What was asked for, also with `--quiet`. Waits for the reader. */
  async data(text: string): Promise<void> {
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.write('', resolve))
  }

  /** Something to know beside the result. */
  note(text: string): void {
    if (this.#json || this.#quiet) return
    this.end()
    process.stderr.write(`${this.#onStderr.yellow('atomic:')} ${printable(text)}\n`)
  }

  fail(error: Told, stack?: string): void {
    this.end()
    if (this.#json) process.stdout.write(`${toJson({ error: told(error) })}\n`)
    const code = error.code && !error.message.includes(error.code) ? ` [${error.code}]` : ''
    process.stderr.write(`${this.#onStderr.red('atomic:')} ${printable(stack ?? error.message)}${code}\n`)
  }

  /** Progress for people at a terminal, and nothing for all others. `total` may be unknown. */
  progress(
    label: string,
    total: number | undefined,
    unit: (value: number) => string,
  ): (value: number) => void {
    if (this.#json || this.#quiet || !process.stderr.isTTY) return () => {}
    this.#progress = new Progress(`${this.#onStderr.cyan(label)} `, total, unit)
    return (value) => this.#progress?.update(value)
  }

  /** Takes the progress off the screen. */
  end(): void {
    this.#progress?.stop()
    this.#progress = undefined
  }
}

/** A bar, or a number where no end is known. It appears when something takes long enough to be waited for. */
class Progress {
  readonly #started = performance.now()
  readonly #bar: SingleBar
  readonly #total: number
  readonly #unit: (value: number) => string
  #shown = false

  constructor(label: string, total: number | undefined, unit: (value: number) => string) {
    this.#total = total ?? 0
    this.#unit = unit
    this.#bar = new SingleBar({
      format: total ? `${label}{bar} {done} of {all}` : `${label}{done}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 30,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    })
  }

  update(value: number): void {
    const shown = { done: this.#unit(value), all: this.#unit(this.#total) }
    if (!this.#shown && performance.now() - this.#started < 300) return
    if (!this.#shown) this.#bar.start(this.#total, value, shown)
    this.#shown = true
    this.#bar.update(value, shown)
  }

  stop(): void {
    if (this.#shown) this.#bar.stop()
  }
}

/** As Node.js itself decides: FORCE_COLOR first, then NO_COLOR, then whether it is a terminal that has colours. */
function isColoured(stream: NodeJS.WriteStream): boolean {
  const { FORCE_COLOR, NO_COLOR } = process.env
  if (FORCE_COLOR !== undefined) return !/^(0|false)$/.test(FORCE_COLOR)
  return !NO_COLOR && stream.isTTY === true && stream.hasColors()
}

/** Text from outside, such as a file's name, must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
    /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A name in a line of text. */
export const named = (path: string): string => printable(path).replace(/[\n\t]/g, '?')

function told(error: Told): Record<string, unknown> {
  const { cause, ...fields } = error as AtomicError
  return {
    ...fields,
    code: error.code ?? null,
    message: error.message,
    ...(cause instanceof Error && {
      cause: { code: (cause as AtomicError).code ?? null, message: cause.message },
    }),
  }
}

/** Errors in a result, such as why a backup was read, are told like all others. */
export function toJson(value: unknown, space?: number): string {
  return JSON.stringify(value, (_, inner) => (inner instanceof Error ? told(inner) : inner), space)
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(Math.floor(Math.log2(Math.max(value, 1)) / 10), units.length - 1)
  const scaled = value / 1024 ** power
  return `${power === 0 ? scaled : scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[power]}`
}

export function duration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`
  const steps: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
  ]
  for (const [step, unit] of steps) if (ms >= step) return `${Math.floor(ms / step)} ${unit}`
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`

/** What is wrong with an index. The package's messages go on with its own functions, and a command tells what to do by commands. */
export const withoutAdvice = ({ message }: Error): string =>
  message.replace(/; repair it, or have a backup.*$/s, '')

/** The same, with the path that the advice ends with. */
export function fault(error: AtomicError): string {
  const text = withoutAdvice(error)
  return text === error.message || error.path === undefined ? text : `${text}, '${error.path}'`
}

/** What a write did, for people. */
export function wrote(out: Output, path: string, result: WriteResult): string {
  const { green, yellow } = out.colors
  const size = bytes(result.bytes)
  if (!result.written) return `${green('unchanged')} ${named(path)}: ${size}, it says that already`
  const safe = result.durable ? 'on disk' : yellow('not flushed: a power cut may undo it')
  const checked = result.verified ? `, read back (${result.verified})` : ''
  return `${green('wrote')} ${named(path)}: ${size}, ${safe}${checked}${result.atomic ? '' : yellow(', overwritten in place')}`
}

/** Columns side by side; the last one is wrapped to the width of the terminal. */
export function table(rows: string[][], width = process.stdout.columns ?? 80): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns - 1 }, (_, at) =>
    Math.max(...rows.map((row) => visible(row[at] ?? ''))),
  )
  const indent = widths.reduce((sum, one) => sum + one + 2, 0)
  return rows.flatMap((row) => {
    const head = widths
      .map((one, at) => `${row[at] ?? ''}${' '.repeat(one - visible(row[at] ?? ''))}  `)
      .join('')
    const [first = '', ...rest] = wrap(row[columns - 1] ?? '', Math.max(width - indent, 20))
    return [`${head}${first}`.trimEnd(), ...rest.map((line) => `${' '.repeat(indent)}${line}`)]
  })
}

const visible = (text: string): number => stripVTControlCharacters(text).length

function wrap(text: string, width: number): string[] {
  const lines: string[] = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last && visible(last) + 1 + visible(word) > width) lines.push(word)
    else lines[lines.length - 1] = last ? `${last} ${word}` : word
  }
  return lines
}
