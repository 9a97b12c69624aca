/** Lines of a stream, and lines that are JSON. */

import { Failure } from './run'

/** Splits UTF-8 at line feeds. What is no UTF-8 throws a `TypeError`: it is not replaced. */
export class LineSplitter {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #lines: string[] = []
  #rest: string[] = []
  /** How much text has come that nobody has taken. */
  waiting = 0

  add(chunk: Uint8Array): void {
    this.#split(this.#decoder.decode(chunk, { stream: true }))
  }

  /** The end of the stream: a last line needs no line feed. */
  finish(): void {
    this.#split(this.#decoder.decode())
    const last = this.#rest.join('')
    this.#rest = []
    if (last) this.#lines.push(last)
  }

  /** The lines that are whole. */
  take(): string[] {
    const taken = this.#lines
    this.#lines = []
    this.waiting = 0
    return taken
  }

  #split(text: string): void {
    this.waiting += text.length
    const parts = text.split('\n')
    const last = parts.pop() ?? ''
    const [first] = parts
    if (first !== undefined) {
      this.#lines.push(this.#rest.join('') + first, ...parts.slice(1))
      this.#rest = []
    }
    if (last) this.#rest.push(last)
  }
}

/** The value of a line of JSON Lines, unless something in it would be lost. */
export function parseLine(line: string, number: number): unknown {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new Failure(`Line ${number} is not JSON: ${(error as Error).message}`)
  }
  const lossy = numbersOf(line).find((literal) => !isExact(literal))
  if (lossy)
    throw new Failure(
      `Line ${number} has the number ${lossy}, which JavaScript would change: make it a string`,
    )
  return value
}

function numbersOf(json: string): string[] {
  const outside = json.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  return outside.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? []
}

/** Decimals are rounded to the nearest number, as everywhere in JavaScript; whole numbers are not. */
function isExact(literal: string): boolean {
  const value = Number(literal)
  return Number.isFinite(value) && (!/^-?\d+$/.test(literal) || BigInt(literal) === BigInt(value))
}
